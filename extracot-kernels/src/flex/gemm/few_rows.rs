//! Products with few rows, as decoding has them. A general product packs its matrices first, which for few
//! rows takes as long as the product; here weights are read once, where they lie or panel by panel.
//!
//! Every element is one chain of multiplications and additions over the inner dimension, in order, as in
//! `gemm`: a row comes out the same whatever else is in its batch.

use std::iter::StepBy;
use std::mem::MaybeUninit;
use std::ops::Range;

use macerator::{AutoArch, Scalar, Simd, Vector, WithSimd, vload_unaligned, vstore_unaligned};

use super::Matrix;
use super::threads::share;

/// Lanes of the widest vectors.
const WIDEST: usize = 16;
/// Rows of a tile.
const TILE: usize = 6;
/// Rows of the second matrix that are read side by side, each from its start to its end: few where reading
/// them takes the time, more where the rows of the result are read and written as often.
const DEPTHS: [usize; 2] = [16, 64];
/// Rows of the result up to which the first depth is better. Above, a panel of weights is copied to where its rows
/// are next to each other: they are a power of two apart most often, and of such rows a cache holds few.
const SHALLOW: usize = 8;
/// Weights of a panel: the larger depth of four of the widest vectors.
const PANEL: usize = DEPTHS[1] * 4 * WIDEST;

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
/// As for [`product`], for these columns, and there are rows and inner values.
pub(super) unsafe fn columns<const IS_FUSED: bool>(
    out: *mut f32,
    row_stride: usize,
    (a, b): (Matrix<'_>, Matrix<'_>),
    columns: Range<usize>,
) {
    AutoArch::new().dispatch(Columns::<IS_FUSED> {
        a,
        b,
        out,
        row_stride,
        columns,
    });
}

/// `factor * weights + sum`
#[inline(always)]
fn added<S: Simd, const IS_FUSED: bool>(
    factor: Vector<S, f32>,
    weights: Vector<S, f32>,
    sum: Vector<S, f32>,
) -> Vector<S, f32> {
    match IS_FUSED {
        true => factor.mul_add(weights, sum),
        false => factor * weights + sum,
    }
}

/// Asks for what will be read soon, wherever it is: to strided rows the processor does not look ahead by itself.
#[inline(always)]
fn prefetch(values: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: all processors of this architecture have the instruction, which reads nothing and never fails.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(values.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// Where the weights of some vectors of columns lie, and those of the columns behind them.
#[derive(Clone, Copy)]
struct Panel {
    first: *const f32,
    stride: usize,
    /// Asked for, never read.
    behind: *const f32,
    behind_stride: usize,
}

/// A tile: its first row, its columns, and the inner values to add.
struct Place {
    row: usize,
    columns: Range<usize>,
    depth: Range<usize>,
    /// Vectors of the columns behind this tile that it asks for.
    lines: StepBy<Range<usize>>,
}

/// Some columns of a product. Whoever makes one promises what [`columns`] asks for.
struct Columns<'a, const IS_FUSED: bool> {
    a: Matrix<'a>,
    b: Matrix<'a>,
    out: *mut f32,
    row_stride: usize,
    columns: Range<usize>,
}

impl<const IS_FUSED: bool> WithSimd for Columns<'_, IS_FUSED> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let lanes = S::lanes32();
        assert!(lanes <= WIDEST, "room for a vector");
        let k = self.a.dims[1];
        let most = DEPTHS[usize::from(self.a.dims[0] > SHALLOW)];
        let Range { start, end } = self.columns;
        for depth in (0..k).step_by(most) {
            let depth = depth..(depth + most).min(k);
            let mut column = start;
            while column < end {
                let width = match end - start < lanes {
                    true => end - start,
                    false => panel_width(end - column, lanes),
                };
                let columns = column..column + width;
                // SAFETY: these columns are among those left, and the vectors as many as hold them.
                unsafe {
                    match width.div_ceil(lanes) {
                        _ if width < lanes => self.rest::<S>(depth.clone(), columns),
                        1 => self.panel::<S, 1>(depth.clone(), columns),
                        2 => self.panel::<S, 2>(depth.clone(), columns),
                        3 => self.panel::<S, 3>(depth.clone(), columns),
                        _ => self.panel::<S, 4>(depth.clone(), columns),
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
    /// All rows of columns that `V` vectors hold.
    ///
    /// # Safety
    ///
    /// The columns are among those of the result, a vector or more, and as many as `V` vectors hold but not `V - 1`;
    /// `depth` is among the inner values, and no longer than the larger of [`DEPTHS`].
    #[inline(always)]
    unsafe fn panel<S: Simd, const V: usize>(&self, depth: Range<usize>, columns: Range<usize>) {
        let m = self.a.dims[0];
        let (lanes, stride) = (S::lanes32(), self.b.strides[0]);
        assert!(depth.len() * V * lanes <= PANEL, "room for a panel");
        let last = columns.len() - lanes;
        let offset = |v: usize| if v + 1 == V { last } else { v * lanes };
        let mut copy = MaybeUninit::<[f32; PANEL]>::uninit();
        // SAFETY: `Matrix::new` checked that all elements of `b` lie in its slice, and those of a row are next to
        // each other (`columns`); there is room for as many rows as the larger depth.
        let weights = unsafe {
            let first = self
                .b
                .values
                .as_ptr()
                .add(depth.start * stride + columns.start);
            let mut weights = Panel {
                first,
                stride,
                behind: first.wrapping_add(columns.len()),
                behind_stride: stride,
            };
            if m > SHALLOW {
                let copy: *mut f32 = copy.as_mut_ptr().cast();
                for inner in 0..depth.len() {
                    for v in 0..V {
                        let values = vload_unaligned::<S, _>(first.add(inner * stride + offset(v)));
                        vstore_unaligned(copy.add(inner * V * lanes + offset(v)), values);
                    }
                }
                (weights.first, weights.stride) = (copy, V * lanes);
            }
            weights
        };
        let per_tile = m.div_ceil(m.div_ceil(TILE));
        for (idx, row) in (0..m).step_by(per_tile).enumerate() {
            let place = Place {
                row,
                columns: columns.clone(),
                depth: depth.clone(),
                lines: (idx..V).step_by(m.div_ceil(per_tile)),
            };
            // SAFETY: as many rows as are left, at most `TILE`.
            unsafe {
                match (m - row).min(per_tile) {
                    1 => self.tile::<S, 1, V>(place, weights),
                    2 => self.tile::<S, 2, V>(place, weights),
                    3 => self.tile::<S, 3, V>(place, weights),
                    4 => self.tile::<S, 4, V>(place, weights),
                    5 => self.tile::<S, 5, V>(place, weights),
                    _ => self.tile::<S, 6, V>(place, weights),
                }
            }
        }
    }

    /// `R` rows of the columns that `V` vectors hold, which stay in registers. Where the last two vectors overlap, both
    /// compute the same.
    ///
    /// # Safety
    ///
    /// Rows and columns are among those of the result, and `panel` is that of these columns.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize>(&self, place: Place, panel: Panel) {
        let (a, row_stride, lanes) = (self.a, self.row_stride, S::lanes32());
        let last = place.columns.len() - lanes;
        let offset = |v: usize| if v + 1 == V { last } else { v * lanes };
        let mut sums = [[0.0_f32.splat::<S>(); V]; R];
        // SAFETY: the caller's promise for `out` and the panel. `Matrix::new` checked that all elements of `a` lie
        // in its slice.
        unsafe {
            let out = self.out.add(place.row * row_stride + place.columns.start);
            if place.depth.start > 0 {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = vload_unaligned(out.add(r * row_stride + offset(v)));
                    }
                }
            }
            for (at, inner) in place.depth.enumerate() {
                for v in place.lines.clone() {
                    prefetch(
                        panel
                            .behind
                            .wrapping_add(at * panel.behind_stride + v * lanes),
                    );
                }
                let mut weights = [0.0_f32.splat::<S>(); V];
                for (v, weights) in weights.iter_mut().enumerate() {
                    *weights = vload_unaligned(panel.first.add(at * panel.stride + offset(v)));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let place = (place.row + r) * a.strides[0] + inner * a.strides[1];
                    let factor: Vector<S, f32> = (*a.values.as_ptr().add(place)).splat();
                    for (sum, weights) in sums.iter_mut().zip(&weights) {
                        *sum = added::<S, IS_FUSED>(factor, *weights, *sum);
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    vstore_unaligned(out.add(r * row_stride + offset(v)), *sum);
                }
            }
        }
    }

    /// All rows of columns that are fewer than a vector: each vector of weights is filled up with zeros.
    ///
    /// # Safety
    ///
    /// The columns are among those of the result, and fewer than the lanes.
    #[inline(always)]
    unsafe fn rest<S: Simd>(&self, depth: Range<usize>, columns: Range<usize>) {
        let (a, b, row_stride) = (self.a, self.b, self.row_stride);
        let n_columns = columns.len();
        for row in 0..a.dims[0] {
            // SAFETY: as in `tile`; the buffers have room for a vector.
            unsafe {
                let out = self.out.add(row * row_stride + columns.start);
                let mut buffer = [0.0_f32; WIDEST];
                if depth.start > 0 {
                    std::ptr::copy_nonoverlapping(out, buffer.as_mut_ptr(), n_columns);
                }
                let mut sum: Vector<S, f32> = vload_unaligned(buffer.as_ptr());
                for inner in depth.clone() {
                    let values = &b.values[inner * b.strides[0] + columns.start..][..n_columns];
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
