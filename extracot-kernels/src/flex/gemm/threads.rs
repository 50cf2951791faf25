//! Parts of a product shared among threads.

use std::ops::Range;

use rayon::prelude::*;

use super::{PARALLEL, PARALLEL_IN_POOL};
use crate::flex::chunks::is_in_pool;

/// Weights from which on a product of few rows uses all threads, on a thread of the pool: fewer stay in a cache,
/// and reading them takes less time than waking a thread.
const WEIGHTS: usize = 1 << 17;
/// Columns that one thread takes are a multiple of this.
const PART_COLUMNS: usize = 64;
/// Parts of a thread from 8 rows on, one below: a thread that comes late leaves some to the others. Every part begins
/// with weights that nobody asked for.
const PARTS: usize = 2;
/// Rows of a part: as many as the kernels for few rows are made for.
pub(super) const PART_ROWS: usize = 64;

/// Memory of a result that threads write to, each its own part.
struct Out(*mut f32);

// SAFETY: `share` gives it to calls for different parts only.
unsafe impl Sync for Out {}

impl Out {
    /// A method, so that a closure holds all of this and not the pointer alone.
    fn pointer(&self) -> *mut f32 {
        self.0
    }
}

/// Calls `part` with `out` and the rows and columns of parts that make up a product of `m x k` with `k x n`, on
/// this thread or on all. No two calls get the same element.
pub(super) fn share(
    [m, k, n]: [usize; 3],
    out: *mut f32,
    part: impl Fn(*mut f32, Range<usize>, Range<usize>) + Sync,
) {
    let n_weights = k.saturating_mul(n);
    let is_large = |least: usize| n_weights.saturating_mul(m) >= least;
    let is_shared = match is_in_pool() {
        true => n_weights >= WEIGHTS || m > PART_ROWS && is_large(PARALLEL_IN_POOL),
        false => is_large(PARALLEL),
    };
    let per_part = match is_shared && m <= PART_ROWS {
        true => {
            let n_parts = (m / 4).clamp(1, PARTS) * rayon::current_num_threads();
            n.div_ceil(n_parts).next_multiple_of(PART_COLUMNS)
        }
        false => n.max(1),
    };
    let n_columns = n.div_ceil(per_part);
    let out = Out(out);
    let work = |idx: usize| {
        let (row, column) = (idx / n_columns * PART_ROWS, idx % n_columns * per_part);
        let columns = column..(column + per_part).min(n);
        part(out.pointer(), row..(row + PART_ROWS).min(m), columns);
    };
    let parts = 0..m.div_ceil(PART_ROWS) * n_columns;
    match is_shared {
        true => parts.into_par_iter().for_each(work),
        false => parts.for_each(work),
    }
}
