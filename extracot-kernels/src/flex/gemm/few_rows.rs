//! Products with few rows, as decoding has them, with weights whose rows lie in one piece. A general product packs
//! its matrices first, which for few rows takes as long as the product; here weights are read once, where they lie
//! or panel by panel.
//!
//! Every element is one chain of multiplications and additions over the inner dimension, in order, as in
//! `gemm`: a row comes out the same whatever else is in its batch.

use std::mem::MaybeUninit;
use std::ops::Range;

use macerator::{AutoArch, Scalar, Simd, Vector, WithSimd, vload_unaligned, vstore_unaligned};

use super::Matrix;
use super::threads::{PART_ROWS, share};
use super::tile::{Ahead, Aligned, Tile, Tiles, WIDEST, added};

/// Inner values that are added at once.
const DEPTH: usize = 64;
/// The same for few rows: reading weights takes the time then, and each row of them is
/// read from its start to its end. For more rows, those of the result are read and written as often.
const SHALLOW_DEPTH: usize = 16;
/// Rows up to which that is better. Above, the first tile copies a panel of weights to where its rows are next to
/// each other: they are a power of two apart most often, and of such rows a cache holds few.
const SHALLOW: usize = 8;
/// Weights of a panel: four of the widest vectors.
const PANEL: usize = DEPTH * 4 * WIDEST;

/// Writes `a b` into `out`, row after row.
///
/// # Safety
///
/// All elements of the result lie in the memory that `out` points to, and nothing else uses it; the inner
/// dimensions are the same and not 0; both have slices as rows.
pub(super) unsafe fn product(out: *mut f32, (a, b): (Matrix<'_>, Matrix<'_>)) {
    let ([m, k], n) = (a.dims, b.dims[1]);
    share([m, k, n], out, |out, rows, part| {
        // SAFETY: the caller's promise, and `share` gives no other call the same elements.
        unsafe { columns::<true>(out.add(rows.start * n), (a.take_rows(&rows), b), part) }
    });
}

/// Some columns of [`product`], on this thread.
///
/// # Safety
///
/// As for [`product`], for these columns.
pub(super) unsafe fn columns<const IS_FUSED: bool>(
    out: *mut f32,
    (a, b): (Matrix<'_>, Matrix<'_>),
    columns: Range<usize>,
) {
    for row in (0..a.dims[0]).step_by(PART_ROWS) {
        let rows = row..(row + PART_ROWS).min(a.dims[0]);
        AutoArch::new().dispatch(Columns::<IS_FUSED> {
            a: a.take_rows(&rows),
            b,
            // SAFETY: the caller's promise.
            out: unsafe { out.add(row * b.dims[1]) },
            columns: columns.clone(),
        });
    }
}

/// Some columns of a product of up to [`PART_ROWS`] rows. Whoever makes one promises what [`columns`] asks for.
struct Columns<'a, const IS_FUSED: bool> {
    a: Matrix<'a>,
    b: Matrix<'a>,
    out: *mut f32,
    columns: Range<usize>,
}

/// Some columns and inner values.
struct Panel {
    depth: Range<usize>,
    columns: Range<usize>,
    /// The first weight of the panel that is next.
    next: *const f32,
}

impl<const IS_FUSED: bool> WithSimd for Columns<'_, IS_FUSED> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let lanes = S::lanes32();
        assert!(lanes <= WIDEST, "room for a vector");
        let [m, k] = self.a.dims;
        let most = if m > SHALLOW { DEPTH } else { SHALLOW_DEPTH };
        let Range { start, end } = self.columns;
        for first in (0..k).step_by(most) {
            let depth = first..(first + most).min(k);
            let mut column = start;
            while column < end {
                let width = match end - column < lanes {
                    true => end - column,
                    false => panel_width(end - column, lanes),
                };
                let next = match column + width < end {
                    true => self.weights(depth.start, column + width),
                    false if depth.end < k => self.weights(depth.end, start),
                    // Most often the part that this thread computes next.
                    false => self.weights(0, end),
                };
                let panel = Panel {
                    depth: depth.clone(),
                    columns: column..column + width,
                    next,
                };
                // SAFETY: these columns are among those left, and the vectors as many as hold them.
                unsafe {
                    match width.div_ceil(lanes) {
                        _ if width < lanes => self.rest::<S>(&panel),
                        1 => self.panel::<S, 1>(&panel),
                        2 => self.panel::<S, 2>(&panel),
                        3 => self.panel::<S, 3>(&panel),
                        _ => self.panel::<S, 4>(&panel),
                    }
                }
                column += width;
            }
        }
    }
}

/// Columns of the next panel of those left, at least a vector: as many vectors as there are registers for, the last
/// of which may overlap the one before. What a panel leaves is nothing or a vector and more.
fn panel_width(left: usize, lanes: usize) -> usize {
    let most = if lanes >= 16 { 4 * lanes } else { 2 * lanes };
    match left {
        _ if left <= most => left,
        _ if left >= most + lanes => most,
        _ => most / 2,
    }
}

impl<const IS_FUSED: bool> Columns<'_, IS_FUSED> {
    /// Where a weight lies, or would lie if there were more of them.
    #[inline(always)]
    fn weights(&self, inner: usize, column: usize) -> *const f32 {
        let place = inner * self.b.strides[0] + column;
        self.b.values.as_ptr().wrapping_add(place)
    }

    /// All rows of columns that `V` vectors hold.
    ///
    /// # Safety
    ///
    /// The columns are among those of the result, a vector or more, and as many as `V` vectors hold but not `V - 1`.
    #[inline(always)]
    unsafe fn panel<S: Simd, const V: usize>(&self, panel: &Panel) {
        let [m, row_stride] = [self.a.dims[0], self.a.strides[0]];
        let (depth, n_columns) = (panel.depth.len(), panel.columns.len());
        assert!(depth * V * S::lanes32() <= PANEL, "room for a panel");
        let mut copied = MaybeUninit::<Aligned<PANEL>>::uninit();
        let copied: *mut f32 = copied.as_mut_ptr().cast();
        let mut weights = self.weights(panel.depth.start, panel.columns.start);
        let mut weight_stride = self.b.strides[0];
        let mut copy = if m > SHALLOW {
            copied
        } else {
            std::ptr::null_mut()
        };
        let tiles = Tiles::new(m, V);
        let mut ahead = Ahead::evenly(panel.next, weight_stride, [depth, n_columns], tiles.n_tiles);
        let mut row = 0;
        for tile in 0..tiles.n_tiles {
            let n_rows = tiles.n_rows(tile);
            // SAFETY: rows and columns are among those of the result, and `Matrix::new` checked that those of `a` and
            // `b` lie in their slices. There is room for the copy, which is read behind the tile that makes it.
            unsafe {
                let from = self.a.values.as_ptr().add(row * row_stride);
                let tile = Tile {
                    rows: from.add(panel.depth.start),
                    row_stride,
                    n_rows,
                    weights,
                    weight_stride,
                    out: self.out.add(row * self.b.dims[1] + panel.columns.start),
                    out_stride: self.b.dims[1],
                    n_columns,
                    depth,
                    is_first: panel.depth.start == 0,
                    copy,
                    ahead,
                };
                tile.add::<S, V, IS_FUSED>();
            }
            row += n_rows;
            ahead = ahead.next();
            if !copy.is_null() {
                (weights, weight_stride) = (copy.cast_const(), V * S::lanes32());
                copy = std::ptr::null_mut();
            }
        }
    }

    /// All rows of columns that are fewer than a vector: each vector of weights is filled up with zeros.
    ///
    /// # Safety
    ///
    /// The columns are among those of the result, and fewer than the lanes.
    #[inline(always)]
    unsafe fn rest<S: Simd>(&self, panel: &Panel) {
        let (a, b) = (self.a, self.b);
        let n_columns = panel.columns.len();
        for row in 0..a.dims[0] {
            // SAFETY: the caller's promise; the buffers have room for a vector.
            unsafe {
                let out = self.out.add(row * b.dims[1] + panel.columns.start);
                let mut buffer = [0.0_f32; WIDEST];
                if panel.depth.start > 0 {
                    std::ptr::copy_nonoverlapping(out, buffer.as_mut_ptr(), n_columns);
                }
                let mut sum: Vector<S, f32> = vload_unaligned(buffer.as_ptr());
                for inner in panel.depth.clone() {
                    let first = inner * b.strides[0] + panel.columns.start;
                    let values = &b.values[first..][..n_columns];
                    let mut weights = [0.0_f32; WIDEST];
                    weights[..n_columns].copy_from_slice(values);
                    let weights: Vector<S, f32> = vload_unaligned(weights.as_ptr());
                    let factor = a.values[row * a.strides[0] + inner];
                    sum = added::<S, IS_FUSED>(factor.splat(), weights, sum);
                }
                vstore_unaligned(buffer.as_mut_ptr(), sum);
                std::ptr::copy_nonoverlapping(buffer.as_ptr(), out, n_columns);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::numbers;
    use super::super::{Kernel, few_rows_into, product_by};
    use super::*;

    /// More than a part has.
    const MOST: usize = 70;

    fn found(a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
        product_by(Kernel::FewRows, a, b)
    }

    #[test]
    fn every_shape_is_the_sum_of_products_and_a_row_does_not_depend_on_its_batch() {
        for (k, n) in [
            (1, 1),
            (5, 3),
            (16, 16),
            (17, 47),
            (33, 130),
            (9, 24),
            (66, 60),
            (40, 1000),
            (70, 8200),
        ] {
            let (x, w) = (numbers(MOST * k, 1), numbers(k * n, 2));
            let b = Matrix::rows(&w, [k, n]);
            let all = found(Matrix::rows(&x, [MOST, k]), b);
            for m in [1, 2, 3, 4, 5, 6, 7, 12, 16, 17, 33, 63, 65] {
                let some = found(Matrix::rows(&x[..m * k], [m, k]), b);
                assert_eq!(some, all[..m * n], "{m} of {MOST} rows, {k} x {n}");
            }
            for (place, found) in all.iter().enumerate().step_by(5) {
                let (row, column) = (place / n, place % n);
                let products = (0..k).map(|i| f64::from(x[row * k + i] * w[i * n + column]));
                let expected: f64 = products.sum();
                assert!((f64::from(*found) - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn rows_may_be_strided() {
        // [[1, 3], [2, 4]] by columns, times rows of 3 within rows of 4.
        let (x, w) = ([1.0, 3.0, 2.0, 4.0], [1.0, 0.0, 2.0, 9.0, 0.0, 1.0, 1.0]);
        let a = Matrix::new(&x, [2, 2], [1, 2]);
        let b = Matrix::new(&w, [2, 3], [4, 1]);
        assert_eq!(found(a, b), [1.0, 2.0, 4.0, 3.0, 4.0, 10.0]);
        // Rows of 70 within rows of 75, weights within rows of 136.
        for (m, n) in [(1, 24), (9, 47), (20, 130)] {
            let (x, w) = (numbers(m * 75, 1), numbers(70 * 136, 2));
            let (a, b) = (
                Matrix::new(&x, [m, 70], [75, 1]),
                Matrix::new(&w, [70, n], [136, 1]),
            );
            let rows = |values: &[f32], stride: usize, len: usize| -> Vec<f32> {
                values
                    .chunks(stride)
                    .flat_map(|row| &row[..len])
                    .copied()
                    .collect()
            };
            let (x, w) = (rows(&x, 75, 70), rows(&w, 136, n));
            let alone = found(Matrix::rows(&x, [m, 70]), Matrix::rows(&w, [70, n]));
            assert_eq!(found(a, b), alone, "{m} x {n}");
        }
    }

    #[test]
    fn nothing_is_written_beside_the_result() {
        for n in [3, 24, 47, 130] {
            let (x, w) = (numbers(9 * 70, 1), numbers(70 * n, 2));
            let (a, b) = (Matrix::rows(&x, [9, 70]), Matrix::rows(&w, [70, n]));
            let mut out = vec![7.0; 9 * n + 40];
            few_rows_into::<true>((a, b), &mut out[20..9 * n + 20]);
            assert_eq!(out[20..9 * n + 20], found(a, b));
            assert!(
                out[..20]
                    .iter()
                    .chain(&out[9 * n + 20..])
                    .all(|value| *value == 7.0)
            );
        }
    }
}
