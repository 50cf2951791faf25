//! Columns of a product shared among threads.

use std::ops::Range;

use rayon::prelude::*;

use super::PARALLEL;
use crate::flex::chunks::is_in_pool;

/// Weights from which on a product uses all threads, on a thread of the pool: fewer stay in a cache, and
/// reading them takes less time than waking a thread.
const WEIGHTS: usize = 1 << 17;
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

/// Calls `part` with `out` for ranges that make up all columns of a product of `m x k` with `k x n`: one call, or
/// one per thread.
pub(super) fn share_columns(
    [m, k, n]: [usize; 3],
    out: *mut f32,
    part: impl Fn(*mut f32, Range<usize>) + Sync,
) {
    let n_weights = k.saturating_mul(n);
    let is_shared = match is_in_pool() {
        true => n_weights >= WEIGHTS,
        false => n_weights.saturating_mul(m) >= PARALLEL,
    };
    if !is_shared {
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
