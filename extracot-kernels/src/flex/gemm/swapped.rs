//! Products of few rows with a large matrix whose columns lie in one piece, as a head that shares its weights with
//! the embeddings. The two change places: columns of weights are the rows of tiles, and the rows, put next to each
//! other value by value, are their columns. A general product would copy all of the weights into another order.
//!
//! Every element is one chain of multiplications and additions, as in `few_rows`.

use std::mem::MaybeUninit;
use std::ops::Range;

use macerator::{AutoArch, Simd, WithSimd};

use super::Matrix;
use super::threads::{PART_ROWS, share};
use super::tile::{Ahead, Aligned, Tile, Tiles, WIDEST};

/// Weights below which it gains nothing.
const LARGE: usize = 1 << 17;
/// Values of the rows that are used again and again while they stay in the first cache.
const PANEL: usize = 1 << 12;
/// Columns of weights whose sums are computed before they are written to the result.
const COLUMNS: usize = 60;

/// Whether [`product`] can compute `a b`.
pub(super) fn is_possible(a: &Matrix<'_>, b: &Matrix<'_>) -> bool {
    a.has_slices_as_rows() && b.has_slices_as_columns()
}

/// Whether it also has something to gain.
pub(super) fn applies(a: &Matrix<'_>, b: &Matrix<'_>) -> bool {
    let [k, n] = b.dims;
    is_possible(a, b) && k.saturating_mul(n) >= LARGE
}

/// Writes `a b` into `out`, row after row.
///
/// # Safety
///
/// All elements of the result lie in the memory that `out` points to, and nothing else uses it; the inner
/// dimensions are the same and not 0; [`is_possible`].
pub(super) unsafe fn product(out: *mut f32, (a, b): (Matrix<'_>, Matrix<'_>)) {
    let ([m, k], n) = (a.dims, b.dims[1]);
    let groups: Vec<_> = (0..m)
        .step_by(PART_ROWS)
        .map(|row| Group::new(&a, row))
        .collect();
    share([m, k, n], out, |out, rows, columns| {
        AutoArch::new().dispatch(Columns {
            group: &groups[rows.start / PART_ROWS],
            b,
            // SAFETY: the caller's promise: these rows are there. `share` gives no other call the same elements.
            out: unsafe { out.add(rows.start * n) },
            columns,
        });
    });
}

/// Up to [`PART_ROWS`] rows, value by value, filled up with zeros to whole vectors.
struct Group {
    values: Vec<f32>,
    n_rows: usize,
    width: usize,
}

impl Group {
    fn new(a: &Matrix<'_>, row: usize) -> Self {
        let k = a.dims[1];
        let n_rows = PART_ROWS.min(a.dims[0] - row);
        let width = n_rows.next_multiple_of(WIDEST);
        let mut values = vec![0.0; k * width];
        for r in 0..n_rows {
            let from = &a.values[(row + r) * a.strides[0]..][..k];
            for (to, from) in values.chunks_exact_mut(width).zip(from) {
                to[r] = *from;
            }
        }
        Self {
            values,
            n_rows,
            width,
        }
    }
}

/// Some columns of a product. Whoever makes one promises what [`product`] asks for.
struct Columns<'a> {
    group: &'a Group,
    b: Matrix<'a>,
    out: *mut f32,
    columns: Range<usize>,
}

impl WithSimd for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let lanes = S::lanes32();
        assert!(
            lanes <= WIDEST && self.group.width.is_multiple_of(lanes),
            "whole vectors"
        );
        let mut sums = MaybeUninit::<Aligned<{ COLUMNS * PART_ROWS }>>::uninit();
        let sums: *mut f32 = sums.as_mut_ptr().cast();
        let Range { start, end } = self.columns;
        for first in (start..end).step_by(COLUMNS) {
            let columns = first..(first + COLUMNS).min(end);
            // SAFETY: there is room for so many columns of a group, and all of them are written before they are read.
            unsafe {
                self.add::<S>(sums, &columns);
                for row in 0..self.group.n_rows {
                    let to = self.out.add(row * self.b.dims[1] + first);
                    for column in 0..columns.len() {
                        *to.add(column) = *sums.add(column * self.group.width + row);
                    }
                }
            }
        }
    }
}

impl Columns<'_> {
    /// Writes the sums of some columns, one column behind the other.
    ///
    /// # Safety
    ///
    /// The columns are among those of the result, and `sums` has room for them.
    #[inline(always)]
    unsafe fn add<S: Simd>(&self, sums: *mut f32, columns: &Range<usize>) {
        let (k, width) = (self.b.dims[0], self.group.width);
        let stride = self.b.strides[1];
        let n_columns = columns.len();
        let deep = PANEL / width;
        let lanes = S::lanes32();
        let most = if lanes >= 16 { 4 * lanes } else { 2 * lanes };
        let first = self.b.values.as_ptr().wrapping_add(columns.start * stride);
        for inner in (0..k).step_by(deep) {
            let depth = deep.min(k - inner);
            // As much of the columns behind these as is computed of these meanwhile.
            let behind = first.wrapping_add(n_columns * (stride + inner));
            for row in (0..width).step_by(most) {
                let n_vectors = most.min(width - row) / lanes;
                let tiles = Tiles::new(n_columns, n_vectors);
                let mut column = 0;
                for tile in 0..tiles.n_tiles {
                    let n_columns = tiles.n_rows(tile);
                    // SAFETY: `Matrix::new` checked that the columns lie in the slice of `b`, and their values are next
                    // to each other; a group has `k` times `width` values, whole vectors; the caller's promise.
                    unsafe {
                        let tile = Tile {
                            rows: first.add(column * stride + inner),
                            row_stride: stride,
                            n_rows: n_columns,
                            weights: self.group.values.as_ptr().add(inner * width + row),
                            weight_stride: width,
                            out: sums.add(column * width + row),
                            out_stride: width,
                            n_columns: n_vectors * lanes,
                            depth,
                            is_first: inner == 0,
                            copy: std::ptr::null_mut(),
                            ahead: Ahead::in_order(
                                behind.wrapping_add(column * depth),
                                n_columns,
                                row > 0,
                            ),
                        };
                        match n_vectors {
                            1 => tile.add::<S, 1, true>(),
                            2 => tile.add::<S, 2, true>(),
                            3 => tile.add::<S, 3, true>(),
                            _ => tile.add::<S, 4, true>(),
                        }
                    }
                    column += n_columns;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::steady_product;
    use super::super::tests::numbers;
    use super::*;

    #[test]
    fn every_shape_is_the_sum_of_products_and_a_row_does_not_depend_on_its_batch() {
        for (k, n) in [(64, 2048), (67, 2051), (512, 259), (131_072, 1)] {
            let most = if k > 1000 { 9 } else { 66 };
            let (x, w) = (numbers(most * k, 1), numbers(k * n, 2));
            let b = Matrix::rows(&w, [n, k]).transposed();
            let found = |m: usize| {
                let a = Matrix::rows(&x[..m * k], [m, k]);
                assert!(applies(&a, &b));
                steady_product(a, b)
            };
            let all = found(most);
            for m in [1, 2, 3, 4, 5, 8, 20, 33, 64]
                .into_iter()
                .filter(|m| *m < most)
            {
                assert_eq!(found(m), all[..m * n], "{m} of {most} rows, {k} x {n}");
            }
            for (place, found) in all.iter().enumerate().step_by(5) {
                let (row, column) = (place / n, place % n);
                let pairs = x[row * k..(row + 1) * k].iter().zip(&w[column * k..]);
                let expected: f64 = pairs.map(|(x, w)| f64::from(x * w)).sum();
                let near = 1e-6 * (k as f64).sqrt();
                assert!((f64::from(*found) - expected).abs() < near, "{k} x {n}");
            }
        }
    }

    #[test]
    fn columns_may_be_further_apart_than_they_are_long() {
        let (k, n) = (70, 2100);
        let (x, w) = (numbers(20 * k, 1), numbers(n * (k + 3), 2));
        let a = Matrix::rows(&x, [20, k]);
        let apart = Matrix::new(&w, [k, n], [1, k + 3]);
        let close: Vec<f32> = w
            .chunks(k + 3)
            .flat_map(|column| &column[..k])
            .copied()
            .collect();
        let close = Matrix::new(&close, [k, n], [1, k]);
        assert!(applies(&a, &apart) && applies(&a, &close));
        assert_eq!(steady_product(a, apart), steady_product(a, close));
    }
}
