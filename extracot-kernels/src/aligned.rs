//! Memory whose large blocks start where lines of the cache do.
#![allow(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; it moves blocks of the system's to the next line"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;

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

/// Whether a block is moved to a line. It depends on the layout alone, so that a block is given back as it was taken.
fn is_moved(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= LINE
}

/// What the system is asked for: room to move the block, and for the pointer that has to be given back.
/// Asked for an aligned block, glibc (before 2.38) does not find those of the same size that were given back.
fn with_room(layout: Layout) -> Option<Layout> {
    let size = layout.size().checked_add(LINE)?;
    Layout::from_size_align(size, align_of::<*mut u8>()).ok()
}

/// The first line behind the start of a block of the system's, which is noted in front of it.
///
/// # Safety
///
/// The block is null, or has [`LINE`] bytes more than are used, and starts at a multiple of a pointer's size.
unsafe fn moved(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    let line = block.map_addr(|at| (at + LINE) & !(LINE - 1));
    // SAFETY: the line is a pointer's size to `LINE` bytes behind the start.
    unsafe { line.cast::<*mut u8>().sub(1).write(block) };
    line
}

// SAFETY: every block is one of the system's or lies in one, at least as large and as aligned as asked for, and goes
// back as it was taken.
unsafe impl GlobalAlloc for LineAligned {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, and that of `with_room`.
        unsafe {
            match is_moved(layout) {
                true => with_room(layout).map_or(null_mut(), |layout| moved(System.alloc(layout))),
                false => System.alloc(layout),
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`; what is noted lies in front of the block.
        unsafe {
            match is_moved(layout) {
                true => with_room(layout)
                    .map_or(null_mut(), |layout| moved(System.alloc_zeroed(layout))),
                false => System.alloc_zeroed(layout),
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block was taken with this layout, so that its start is noted if it was moved.
        unsafe {
            match (is_moved(layout), with_room(layout)) {
                (true, Some(with_room)) => {
                    System.dealloc(block.cast::<*mut u8>().sub(1).read(), with_room);
                }
                _ => System.dealloc(block, layout),
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size fits the alignment.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the block was taken with this layout; what both have room for is copied.
        unsafe {
            if !is_moved(layout) && !is_moved(new) {
                return System.realloc(block, layout, new_size);
            }
            let copy = self.alloc(new);
            if !copy.is_null() {
                std::ptr::copy_nonoverlapping(block, copy, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            copy
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    #[test]
    fn large_blocks_start_at_lines_and_keep_their_bytes_when_they_grow_and_shrink() {
        for align in [1, 4, 16, 32, 64, 128] {
            // SAFETY: blocks are used within their sizes and given back with their layouts.
            unsafe {
                let mut size = 100;
                let mut block = LineAligned.alloc(layout(size, align));
                for at in 0..size {
                    *block.add(at) = at as u8;
                }
                for next in [
                    LARGE - 1,
                    LARGE,
                    LARGE + 4000,
                    1 << 20,
                    2 * LARGE,
                    LARGE - 1,
                    100,
                ] {
                    block = LineAligned.realloc(block, layout(size, align), next);
                    assert!(!block.is_null());
                    assert!(next < LARGE || block.addr().is_multiple_of(LINE));
                    assert!(block.addr().is_multiple_of(align));
                    let kept = size.min(next);
                    assert!((0..kept).all(|at| *block.add(at) == at as u8), "{next}");
                    for at in kept..next {
                        *block.add(at) = at as u8;
                    }
                    size = next;
                }
                LineAligned.dealloc(block, layout(size, align));
            }
        }
    }

    #[test]
    fn zeroed_blocks_are_zero_where_others_were() {
        for size in [100, LARGE, LARGE + 1000] {
            // SAFETY: as above.
            unsafe {
                for _ in 0..20 {
                    let used = LineAligned.alloc(layout(size, 4));
                    used.write_bytes(0xff, size);
                    LineAligned.dealloc(used, layout(size, 4));
                    let zeros = LineAligned.alloc_zeroed(layout(size, 4));
                    assert!(!zeros.is_null());
                    assert!((0..size).all(|at| *zeros.add(at) == 0));
                    LineAligned.dealloc(zeros, layout(size, 4));
                }
            }
        }
    }

    #[test]
    fn what_no_memory_has_is_null_and_a_block_that_cannot_grow_stays() {
        let most = isize::MAX as usize - 8;
        // SAFETY: the blocks are not used, or as above.
        unsafe {
            assert!(LineAligned.alloc(layout(most, 1)).is_null());
            assert!(LineAligned.alloc_zeroed(layout(most, 1)).is_null());
            for size in [100, LARGE] {
                let block = LineAligned.alloc(layout(size, 1));
                block.write_bytes(7, size);
                assert!(LineAligned.realloc(block, layout(size, 1), most).is_null());
                assert!((0..size).all(|at| *block.add(at) == 7));
                LineAligned.dealloc(block, layout(size, 1));
            }
        }
    }
}
