//! Moves weights into large pages, as Linux does on x86-64.
#![allow(
    unsafe_code,
    reason = "a system call takes an address; it changes no value there"
)]

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Bytes of a large page.
const PAGE: usize = 1 << 21;
/// Bytes of weights below which small pages cost nothing.
const LEAST: usize = 1 << 24;
/// Pages that the system has no memory for before it is asked for no more: each makes it look for long.
const REFUSALS: usize = 4;

/// The addresses of weights.
#[derive(Default)]
struct Blocks(Vec<Range<usize>>);

impl ModuleVisitor for Blocks {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // One that waits for its first use would draw its values now, out of order.
        if !param.is_initialized() {
            return;
        }
        if let Ok(weights) = param.val().try_into_primitive::<Flex>() {
            self.0.push(addresses(&weights));
        }
    }
}

fn addresses(tensor: &FlexTensor) -> Range<usize> {
    let bytes = tensor.bytes().as_ptr_range();
    bytes.start.addr()..bytes.end.addr()
}

pub(crate) fn prefer_large_pages<M: Module>(model: &M) {
    let mut blocks = Blocks::default();
    model.visit(&mut blocks);
    let Blocks(blocks) = blocks;
    if blocks.iter().map(ExactSizeIterator::len).sum::<usize>() >= LEAST {
        collapse(&pages_of(blocks));
    }
}

/// Moves ranges of large pages, and returns how many pages are where they should be then. One call for each: a call
/// for several ends with the first that cannot be moved, as where memory of other kinds begins.
fn collapse(ranges: &[Range<usize>]) -> usize {
    let (mut n_moved, mut n_refused) = (0, 0);
    for range in ranges {
        for start in range.clone().step_by(PAGE) {
            let page = std::ptr::without_provenance_mut(start);
            // SAFETY: the call copies what is in this page to another place of the machine's memory and maps the same
            // addresses to it, whosever they are. Where it cannot, it changes nothing and returns an error.
            if unsafe { libc::madvise(page, PAGE, libc::MADV_COLLAPSE) } == 0 {
                n_moved += 1;
                continue;
            }
            let is_end = start == range.start || start + PAGE == range.end;
            match std::io::Error::last_os_error().raw_os_error() {
                Some(libc::EBUSY) => n_refused += 1,
                // Said of addresses without memory too, which the ends of a range may have.
                Some(libc::ENOMEM) if !is_end => n_refused += 1,
                _ => {}
            }
            if n_refused == REFUSALS {
                return n_moved;
            }
        }
    }
    n_moved
}

/// The large pages that blocks lie in, in order. A block begins and ends somewhere in a page, and most are next to
/// others.
fn pages_of(mut blocks: Vec<Range<usize>>) -> Vec<Range<usize>> {
    blocks.retain(|block| !block.is_empty());
    blocks.sort_by_key(|block| block.start);
    let mut pages: Vec<Range<usize>> = Vec::new();
    for block in blocks {
        let (start, end) = (block.start / PAGE * PAGE, block.end.next_multiple_of(PAGE));
        match pages.last_mut() {
            Some(last) if start <= last.end => last.end = last.end.max(end),
            _ => pages.push(start..end),
        }
    }
    pages
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn pages_hold_whole_blocks_and_those_of_neighbours_are_one_range() {
        let mib = |start: usize, end: usize| start << 20..end << 20;
        let blocks = vec![mib(21, 22), mib(3, 5), mib(5, 7), mib(8, 8), mib(9, 11)];
        assert_eq!(pages_of(blocks), vec![mib(2, 12), mib(20, 22)]);
        // Two in one page.
        assert_eq!(pages_of(vec![5..6, 7..8]), vec![0..PAGE]);
        assert!(pages_of(vec![]).is_empty());
    }

    /// So many large pages of memory of their own, of which the first `n_guarded` bytes may not be touched.
    fn mapped(n_pages: usize, n_guarded: usize) -> Range<usize> {
        let bytes = (n_pages + 1) * PAGE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let may = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: memory that nothing else has, and never gives back; what is guarded lies within it.
        unsafe {
            let first = libc::mmap(std::ptr::null_mut(), bytes, may, flags, -1, 0);
            assert_ne!(first, libc::MAP_FAILED);
            let page = first.map_addr(|at| at.next_multiple_of(PAGE));
            page.cast::<u8>().write_bytes(7, n_pages * PAGE);
            let guarded = libc::mprotect(page, n_guarded, libc::PROT_NONE);
            assert_eq!(guarded, 0);
            page.addr()..page.addr() + n_pages * PAGE
        }
    }

    #[test]
    fn what_cannot_be_moved_keeps_nothing_else_from_it() {
        // Not on a system that has no large pages.
        let is_possible = collapse(&[mapped(1, 0)]) == 1;
        let n_moved = collapse(&[mapped(4, 1 << 12), mapped(3, 0)]);
        // All but the one that memory of two kinds shares.
        assert_eq!(n_moved, if is_possible { 6 } else { 0 });
    }

    #[test]
    fn weights_keep_their_values() {
        let device = Device::flex();
        let layer: Linear = LinearConfig::new(1024, 4096).init(&device);
        let values = || layer.weight.val().into_data();
        let before = values();
        prefer_large_pages(&layer);
        assert_eq!(values(), before);
    }
}
