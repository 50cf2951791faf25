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
use super::threads::{ROWS, share};
use super::tile::{Ahead, LINE, Lines, Tile, WIDEST, added, rows_per_tile};

/// Inner values that are added at once.
const DEPTH: usize = 64;
/// The same for few rows: reading weights takes the time then, and each row of them is
/// read from its start to its end. For more rows, those of the result are read and written as often.
const SHALLOW_DEPTH: usize = 16;
/// Rows up to which that is better. Above, a panel of weights is copied to where its rows are next to each other:
/// they are a power of two apart most often, and of such rows a cache holds few.
const SHALLOW: usize = 8;
/// Weights of a panel: four of the widest vectors.
const PANEL: usize = DEPTH * 4 * WIDEST;

/// Writes `a b` into rows of `out` that are `row_stride` apart.
///
/// # Safety
///
/// All elements of the result lie in the memory that `out` points to, and nothing else uses it; the inner
/// dimensions are the same; `b` has slices as rows.
pub(super) unsafe fn product(out: *mut f32, row_stride: usize, (a, b): (Matrix<'_>, Matrix<'_>)) {
    let dims = [a.dims[0], b.dims[0], b.dims[1]];
    share(dims, out, |out, rows, part| {
        // SAFETY: the caller's promise.
        unsafe {
            let out = out.add(rows.start * row_stride);
            columns::<true>(out, row_stride, (a.take_rows(&rows), b), part);
        }
    });
}

/// Some columns of [`product`], on this thread.
///
/// # Safety
///
/// As for [`product`], for these columns, and there are inner values.
pub(super) unsafe fn columns<const IS_FUSED: bool>(
    out: *mut f32,
    row_stride: usize,
    (a, b): (Matrix<'_>, Matrix<'_>),
    columns: Range<usize>,
) {
    for row in (0..a.dims[0]).step_by(ROWS) {
        let rows = row..(row + ROWS).min(a.dims[0]);
        AutoArch::new().dispatch(Columns::<IS_FUSED> {
            a: a.take_rows(&rows),
            b,
            // SAFETY: the caller's promise.
            out: unsafe { out.add(row * row_stride) },
            row_stride,
            columns: columns.clone(),
        });
    }
}

/// Some columns of a product of up to [`ROWS`] rows. Whoever makes one promises what [`columns`] asks for.
struct Columns<'a, const IS_FUSED: bool> {
    a: Matrix<'a>,
    b: Matrix<'a>,
    out: *mut f32,
    row_stride: usize,
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
        assert!(m <= ROWS, "room for the rows");
        let most = if m > SHALLOW { DEPTH } else { SHALLOW_DEPTH };
        let Range { start, end } = self.columns;
        let mut rows = MaybeUninit::<Lines<{ ROWS * DEPTH }>>::uninit();
        let rows: *mut f32 = rows.as_mut_ptr().cast();
        for first in (0..k).step_by(most) {
            let depth = first..(first + most).min(k);
            // SAFETY: `Matrix::new` checked that all elements of `a` lie in its slice; there is room for `ROWS`.
            unsafe {
                let from = self.a.values.as_ptr().add(first * self.a.strides[1]);
                copy_rows::<S>(rows, from, [m, depth.len()], self.a.strides);
            }
            let mut column = start;
            while column < end {
                let width = match end - column < lanes {
                    true => end - column,
                    false => panel_width(end - column, lanes),
                };
                let next = match column + width < end {
                    true => self.weights(depth.start, column + width),
                    false => self.weights(depth.end, start),
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
                        1 => self.panel::<S, 1>(&panel, rows),
                        2 => self.panel::<S, 2>(&panel, rows),
                        3 => self.panel::<S, 3>(&panel, rows),
                        _ => self.panel::<S, 4>(&panel, rows),
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

/// Copies rows of at most [`DEPTH`] values from where they lie, with a distance between rows and one between
/// values, to rows that are [`DEPTH`] apart: those a power of two apart push each other
/// out of the cache.
///
/// # Safety
///
/// All of the values are there, and `to` has room for them.
#[inline(always)]
unsafe fn copy_rows<S: Simd>(
    to: *mut f32,
    from: *const f32,
    [n_rows, depth]: [usize; 2],
    [row_stride, stride]: [usize; 2],
) {
    let lanes = S::lanes32();
    for row in 0..n_rows {
        // SAFETY: the caller's promise.
        unsafe {
            let (to, from) = (to.add(row * DEPTH), from.add(row * row_stride));
            if stride == 1 && depth % lanes == 0 {
                for at in (0..depth).step_by(lanes) {
                    vstore_unaligned(to.add(at), vload_unaligned::<S, f32>(from.add(at)));
                }
            } else {
                for at in 0..depth {
                    *to.add(at) = *from.add(at * stride);
                }
            }
        }
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
    /// The columns are among those of the result, a vector or more, and as many as `V` vectors hold but not `V - 1`;
    /// `rows` are their inner values, [`DEPTH`] apart.
    #[inline(always)]
    unsafe fn panel<S: Simd, const V: usize>(&self, panel: &Panel, rows: *const f32) {
        let m = self.a.dims[0];
        let (lanes, stride) = (S::lanes32(), self.b.strides[0]);
        let (depth, n_columns) = (panel.depth.len(), panel.columns.len());
        assert!(depth * V * lanes <= PANEL, "room for a panel");
        let last = n_columns - lanes;
        let offset = |v: usize| if v + 1 == V { last } else { v * lanes };
        let mut copy = MaybeUninit::<Lines<PANEL>>::uninit();
        let mut weights = self.weights(panel.depth.start, panel.columns.start);
        let mut weight_stride = stride;
        if m > SHALLOW {
            let copy: *mut f32 = copy.as_mut_ptr().cast();
            for inner in 0..depth {
                for v in 0..V {
                    // SAFETY: `Matrix::new` checked that all elements of `b` lie in its slice, and those of a row are
                    // next to each other (`columns`); there is room for them.
                    unsafe {
                        let values: Vector<S, f32> =
                            vload_unaligned(weights.add(inner * stride + offset(v)));
                        vstore_unaligned(copy.add(inner * V * lanes + offset(v)), values);
                    }
                }
            }
            (weights, weight_stride) = (copy, V * lanes);
        }
        let per_tile = rows_per_tile(m, V);
        let lines = V.div_ceil(m.div_ceil(per_tile));
        for (idx, row) in (0..m).step_by(per_tile).enumerate() {
            // SAFETY: rows and columns are among those of the result.
            unsafe {
                let tile = Tile {
                    rows: rows.add(row * DEPTH),
                    row_stride: DEPTH,
                    n_rows: per_tile.min(m - row),
                    weights,
                    weight_stride,
                    out: self.out.add(row * self.row_stride + panel.columns.start),
                    out_stride: self.row_stride,
                    n_columns,
                    depth,
                    is_first: panel.depth.start == 0,
                    ahead: Ahead {
                        first: panel.next.wrapping_add(idx * lines * LINE),
                        step: stride,
                        lines: lines.min(V.saturating_sub(idx * lines)),
                    },
                };
                tile.add::<S, V, IS_FUSED>();
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
        let (a, b, row_stride) = (self.a, self.b, self.row_stride);
        let n_columns = panel.columns.len();
        for row in 0..a.dims[0] {
            // SAFETY: the caller's promise; the buffers have room for a vector.
            unsafe {
                let out = self.out.add(row * row_stride + panel.columns.start);
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
                    let factor = a.values[row * a.strides[0] + inner * a.strides[1]];
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
    use super::*;

    /// More than a part has.
    const MOST: usize = 70;

    fn found(a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
        let [m, n] = [a.dims[0], b.dims[1]];
        let mut out = vec![f32::NAN; m * n];
        // SAFETY: there is room for the result.
        unsafe { product(out.as_mut_ptr(), n, (a, b)) };
        out
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
        // What lies between the rows of the result stays.
        for n in [24, 47, 60] {
            let (x, w) = (numbers(9 * 70, 1), numbers(70 * n, 2));
            let (a, b) = (Matrix::rows(&x, [9, 70]), Matrix::rows(&w, [70, n]));
            let mut out = vec![7.0; 9 * (n + 5)];
            // SAFETY: there is room for the result.
            unsafe { product(out.as_mut_ptr(), n + 5, (a, b)) };
            for (row, expected) in out.chunks(n + 5).zip(found(a, b).chunks(n)) {
                assert_eq!(row, [expected, &[7.0; 5]].concat());
            }
        }
    }
}
