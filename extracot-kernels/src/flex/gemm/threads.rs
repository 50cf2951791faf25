//! Columns of a product shared among threads.

use std::ops::Range;

use rayon::prelude::*;

use crate::flex::chunks::is_in_pool;

/// Weights from which on a product uses all threads, on a thread of the pool: fewer stay in a cache, and
/// reading them takes less time than waking a thread.
const PARALLEL: usize = 1 << 17;
/// Columns that one thread takes are a multiple of this.
const COLUMNS: usize = 64;

/// Memory of a result that threads write to, each its own columns.
#[derive(Clone, Copy)]
struct Out(*mut f32);

// SAFETY: `share_columns` gives it to calls for different columns only.
unsafe impl Sync for Out {}

impl Out {
    fn pointer(&self) -> *mut f32 {
        self.0
    }
}

/// Calls `part` with `out` for ranges that make up all columns of the weights: one call, or one per thread.
pub(super) fn share_columns(
    [k, n]: [usize; 2],
    out: *mut f32,
    part: impl Fn(*mut f32, Range<usize>) + Sync,
) {
    if k.saturating_mul(n) < PARALLEL || !is_in_pool() {
        part(out, 0..n);
        return;
    }
    let per_thread = n
        .div_ceil(rayon::current_num_threads())
        .next_multiple_of(COLUMNS);
    let out = Out(out);
    (0..n.div_ceil(per_thread)).into_par_iter().for_each(|idx| {
        let columns = idx * per_thread..((idx + 1) * per_thread).min(n);
        part(out.pointer(), columns);
    });
}
