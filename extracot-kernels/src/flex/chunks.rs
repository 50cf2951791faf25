//! Work in chunks of a fixed size: a result does not depend on which thread computed which.

use rayon::prelude::*;

/// Values below which the threads cost more than they save.
const PARALLEL: usize = 1 << 17;
/// The same on a thread of the pool, where sharing work costs less than handing it over.
const PARALLEL_IN_POOL: usize = 1 << 14;
/// About so many values per chunk.
const CHUNK: usize = 1 << 13;

/// Whether this thread is one of the pool, and not one that waits for it.
pub(super) fn is_in_pool() -> bool {
    rayon::current_thread_index().is_some()
}

fn is_parallel(n_values: usize) -> bool {
    let least = match is_in_pool() {
        true => PARALLEL_IN_POOL,
        false => PARALLEL,
    };
    n_values >= least && rayon::current_num_threads() > 1
}

/// Rows per chunk for rows of a length.
pub(super) fn rows_per_chunk(row_len: usize) -> usize {
    (CHUNK / row_len.max(1)).max(1)
}

/// Calls `work` with the index of every chunk of `size` values and the chunk.
pub(super) fn for_each(values: &mut [f32], size: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let n_values = values.len();
    for_each_of(values, size, n_values, work);
}

/// Like [`for_each`] where as much work as for `n_values` stands behind the values.
pub(super) fn for_each_of(
    values: &mut [f32],
    size: usize,
    n_values: usize,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    if is_parallel(n_values) {
        let chunks = values.par_chunks_mut(size).enumerate();
        chunks.for_each(|(idx, chunk)| work(idx, chunk));
    } else {
        for (idx, chunk) in values.chunks_mut(size).enumerate() {
            work(idx, chunk);
        }
    }
}

/// Like [`for_each`] over two buffers in step, each with a size of its own.
pub(super) fn for_each2(
    (first, first_size): (&mut [f32], usize),
    (second, second_size): (&mut [f32], usize),
    work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    let n_values = first.len();
    let sizes = [first_size, second_size, 1];
    for_each3_of(
        [first, second, &mut []],
        sizes,
        n_values,
        |idx, [a, b, _]| {
            work(idx, a, b);
        },
    );
}

/// Like [`for_each_of`] over three buffers in step, each with a size of its own. A buffer that is shorter
/// gives empty chunks at the end.
pub(super) fn for_each3_of(
    buffers: [&mut [f32]; 3],
    sizes: [usize; 3],
    n_values: usize,
    work: impl Fn(usize, [&mut [f32]; 3]) + Sync,
) {
    let n_chunks = buffers[0].len().div_ceil(sizes[0].max(1));
    let mut rest = buffers;
    let mut chunks = Vec::with_capacity(n_chunks);
    for _ in 0..n_chunks {
        let mut place = 0;
        chunks.push(rest.each_mut().map(|rest| {
            let size = sizes[place].min(rest.len());
            place += 1;
            let (chunk, behind) = std::mem::take(rest).split_at_mut(size);
            *rest = behind;
            chunk
        }));
    }
    if is_parallel(n_values) {
        let chunks = chunks.into_par_iter().enumerate();
        chunks.for_each(|(idx, chunks)| work(idx, chunks));
    } else {
        for (idx, chunks) in chunks.into_iter().enumerate() {
            work(idx, chunks);
        }
    }
}

/// The part of `values` that belongs to a chunk of another buffer.
pub(super) fn part(values: &[f32], idx: usize, size: usize) -> &[f32] {
    let start = (idx * size).min(values.len());
    &values[start..(start + size).min(values.len())]
}

/// The default size of chunks of values that do not belong together.
pub(super) const VALUES: usize = CHUNK;
