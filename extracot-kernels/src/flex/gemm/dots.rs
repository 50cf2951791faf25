//! Products of few rows with a large matrix whose columns lie in one piece, as a head that shares its weights
//! with the embeddings. A general product copies all of them into another order first.

use std::ops::Range;

use macerator::{AutoArch, Scalar, Simd, Vector, WithSimd, vload_unaligned};

use super::Matrix;
use super::threads::share;

/// Weights below which it gains nothing.
const LARGE: usize = 1 << 17;
/// Columns of a tile.
const COLUMNS: usize = 4;
/// The same where there are registers for more.
const COLUMNS_OF_MANY_REGISTERS: usize = 6;
/// Columns of a tile of one row, so that enough sums are under way.
const COLUMNS_OF_ONE: usize = 8;

/// Whether [`product`] can compute `a b`.
pub(super) fn is_possible(a: &Matrix<'_>, b: &Matrix<'_>) -> bool {
    a.has_slices_as_rows() && b.has_slices_as_columns()
}

/// Whether it also has something to gain.
pub(super) fn applies(a: &Matrix<'_>, b: &Matrix<'_>) -> bool {
    let [k, n] = b.dims;
    is_possible(a, b) && k.saturating_mul(n) >= LARGE
}

/// Writes `a b` into rows of `out` that are `row_stride` apart. Every element is summed in the lanes of the
/// widest registers.
///
/// # Safety
///
/// All elements of the result lie in the memory that `out` points to, and nothing else uses it; the inner
/// dimensions are the same; [`is_possible`].
pub(super) unsafe fn product(out: *mut f32, row_stride: usize, (a, b): (Matrix<'_>, Matrix<'_>)) {
    let dims = [a.dims[0], b.dims[0], b.dims[1]];
    share(dims, out, |out, rows, columns| {
        // SAFETY: the caller's promise: these rows are there.
        let out = unsafe { out.add(rows.start * row_stride) };
        AutoArch::new().dispatch(Columns {
            a: a.take_rows(&rows),
            b,
            out,
            row_stride,
            columns,
        });
    });
}

/// Some columns of a product. Whoever makes one promises what [`product`] asks for.
struct Columns<'a> {
    a: Matrix<'a>,
    b: Matrix<'a>,
    out: *mut f32,
    row_stride: usize,
    columns: Range<usize>,
}

impl WithSimd for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let most = match self.a.dims[0] {
            1 => COLUMNS_OF_ONE,
            _ if S::lanes32() >= 16 => COLUMNS_OF_MANY_REGISTERS,
            _ => COLUMNS,
        };
        let mut column = self.columns.start;
        while column < self.columns.end {
            let left = self.columns.end - column;
            // SAFETY: the columns that are taken are among those left.
            column += unsafe {
                match left.min(most) {
                    COLUMNS_OF_ONE => self.rows::<S, COLUMNS_OF_ONE>(column),
                    COLUMNS_OF_MANY_REGISTERS if most == COLUMNS_OF_MANY_REGISTERS => {
                        self.rows::<S, COLUMNS_OF_MANY_REGISTERS>(column)
                    }
                    COLUMNS.. => self.rows::<S, COLUMNS>(column),
                    _ => self.rows::<S, 1>(column),
                }
            };
        }
    }
}

impl Columns<'_> {
    /// All rows of `C` columns, which stay in the nearest cache; the number of columns.
    ///
    /// # Safety
    ///
    /// The columns are among those of the result.
    #[inline(always)]
    unsafe fn rows<S: Simd, const C: usize>(&self, column: usize) -> usize {
        let m = self.a.dims[0];
        // As many sums as there are registers for.
        let most = if S::lanes32() >= 16 && C <= COLUMNS_OF_MANY_REGISTERS {
            4
        } else {
            2
        };
        let mut row = 0;
        while row < m {
            // SAFETY: the rows that are taken are among those left.
            unsafe {
                match (m - row).min(most) {
                    1 => self.tile::<S, 1, C>(row, column),
                    2 => self.tile::<S, 2, C>(row, column),
                    3 => self.tile::<S, 3, C>(row, column),
                    _ => self.tile::<S, 4, C>(row, column),
                }
            }
            row += (m - row).min(most);
        }
        C
    }

    /// `R` rows of `C` columns.
    ///
    /// # Safety
    ///
    /// Rows and columns are among those of the result.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const C: usize>(&self, row: usize, column: usize) {
        let lanes = S::lanes32();
        let (a, b) = (self.a, self.b);
        let k = a.dims[1];
        let whole = k - k % lanes;
        let mut sums = [[0.0_f32.splat::<S>(); C]; R];
        // SAFETY: the caller's promise for `out`. `Matrix::new` checked that all elements of `a` and `b` lie
        // in their slices; those of a row of `a` and of a column of `b` are next to each other (`applies`).
        unsafe {
            let a_rows = a.values.as_ptr().add(row * a.strides[0]);
            let b_columns = b.values.as_ptr().add(column * b.strides[1]);
            for inner in (0..whole).step_by(lanes) {
                let mut weights = [0.0_f32.splat::<S>(); C];
                for (c, weights) in weights.iter_mut().enumerate() {
                    *weights = vload_unaligned(b_columns.add(c * b.strides[1] + inner));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let factors: Vector<S, f32> =
                        vload_unaligned(a_rows.add(r * a.strides[0] + inner));
                    for (sum, weights) in sums.iter_mut().zip(&weights) {
                        *sum = factors.mul_add(*weights, *sum);
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (c, sum) in sums.iter().enumerate() {
                    let mut sum = sum.reduce_add();
                    for inner in whole..k {
                        let factor = *a_rows.add(r * a.strides[0] + inner);
                        sum += factor * *b_columns.add(c * b.strides[1] + inner);
                    }
                    *self.out.add((row + r) * self.row_stride + column + c) = sum;
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
            for m in [1, 2, 3, 4, 5, 8, 64].into_iter().filter(|m| *m < most) {
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
}
