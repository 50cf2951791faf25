//! Memory whose large blocks start where lines of the cache do.
#![allow(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; it only asks the system's for another alignment"
)]

use std::alloc::{GlobalAlloc, Layout, System};

/// Bytes of a line of the cache.
const LINE: usize = 64;
/// Bytes from which on a block is aligned: to look for such a block takes longer, which small tensors do not repay.
const LARGE: usize = 1 << 16;

/// The system's allocator, but that blocks of 64 KiB and more start at a multiple of 64 bytes.
///
/// A vector of AVX-512 is as wide as a line of the cache. glibc's `malloc` returns blocks 16 bytes behind such a
/// line, and then every vector of a tensor needs two of them: products of few rows are a tenth to a half slower.
/// A binary uses it by
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: extracot_kernels::LineAligned = extracot_kernels::LineAligned;
/// ```
///
/// Results do not depend on it. Our choice: `docs/decisions/0016-lines.md`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineAligned;

/// The layout that the system is asked for: it depends on the layout alone, so that a block is given back with the
/// layout it was taken with.
fn aligned(layout: Layout) -> Layout {
    if layout.size() < LARGE {
        return layout;
    }
    layout.align_to(LINE).unwrap_or(layout)
}

// SAFETY: every block is one of the system's of the same size and at least the same alignment, and goes back with the
// layout that it was asked for with.
unsafe impl GlobalAlloc for LineAligned {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise; the size stays.
        unsafe { System.alloc(aligned(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(aligned(layout)) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block was taken with this layout.
        unsafe { System.dealloc(block, aligned(layout)) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size fits the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let is_same_alignment = aligned(layout).align() == aligned(new).align();
        // SAFETY: the block was taken with this layout; what both have room for is copied.
        unsafe {
            if is_same_alignment {
                return System.realloc(block, aligned(layout), new_size);
            }
            let moved = self.alloc(new);
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_blocks_start_at_lines_and_keep_their_bytes_when_they_grow_and_shrink() {
        for align in [1, 4, 16, 128] {
            let layout = |size| Layout::from_size_align(size, align).expect("a layout");
            // SAFETY: blocks are used within their sizes and given back with their layouts.
            unsafe {
                let mut block = LineAligned.alloc(layout(100));
                for at in 0..100 {
                    *block.add(at) = at as u8;
                }
                let mut size = 100;
                for next in [
                    LARGE - 1,
                    LARGE,
                    LARGE + 4000,
                    1 << 20,
                    2 * LARGE,
                    LARGE - 1,
                    100,
                ] {
                    block = LineAligned.realloc(block, layout(size), next);
                    size = next;
                    assert!(!block.is_null());
                    assert!(size < LARGE || block.addr().is_multiple_of(LINE));
                    assert!(block.addr().is_multiple_of(align));
                    assert!((0..100).all(|at| *block.add(at) == at as u8), "{size}");
                }
                LineAligned.dealloc(block, layout(size));
                let zeros = LineAligned.alloc_zeroed(layout(4096));
                assert!((0..4096).all(|at| *zeros.add(at) == 0));
                assert!(zeros.addr().is_multiple_of(LINE));
                LineAligned.dealloc(zeros, layout(4096));
            }
        }
    }
}
