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

/// The addresses of weights.
#[derive(Default)]
struct Blocks(Vec<Range<usize>>);

impl ModuleVisitor for Blocks {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
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
    if blocks.iter().map(ExactSizeIterator::len).sum::<usize>() < LEAST {
        return;
    }
    for pages in pages_of(blocks) {
        let start = std::ptr::without_provenance_mut(pages.start);
        // SAFETY: the call copies what is in these pages to another place of the machine's memory and maps the same
        // addresses to it, whosever they are. Addresses without memory, or with one that cannot be moved, are
        // passed over, of which the result tells; nothing is left to do about it.
        unsafe { libc::madvise(start, pages.len(), libc::MADV_COLLAPSE) };
    }
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
