//! Products of matrices in slices, through the `gemm` crate that burn-flex uses too. The result goes where
//! it belongs, in memory that was neither zeroed nor copied before: in burn-flex 0.22 the output of a small
//! product costs as much as the product.
#![allow(
    unsafe_code,
    reason = "gemm takes pointers; the bounds of every matrix are checked where it is made"
)]

mod few_rows;
mod swapped;
mod threads;
mod tile;

use burn::backend::flex::FlexTensor;
use gemm::Parallelism;

use super::chunks::is_in_pool;

/// Multiplications and additions from which on a product uses all threads.
const PARALLEL: usize = 1 << 24;
/// The same on a thread of the pool, where sharing work costs less than handing it over.
const PARALLEL_IN_POOL: usize = 1 << 22;
/// Inner values up to which `gemm` adds in one chain, as `few_rows` does for any number.
const LONGEST_CHAIN: usize = 512;

/// A matrix somewhere in a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    dims: [usize; 2],
    strides: [usize; 2],
}

/// Whether all elements lie in a slice.
fn fits(len: usize, dims: [usize; 2], strides: [usize; 2]) -> bool {
    if dims.contains(&0) {
        return true;
    }
    let last = |dim: usize| (dims[dim] - 1).checked_mul(strides[dim]);
    let last = last(0).and_then(|row| last(1).and_then(|col| row.checked_add(col)));
    last.is_some_and(|last| last < len)
}

impl<'a> Matrix<'a> {
    /// `[rows, columns]` from the start of `values`, with a distance between rows and one between columns.
    ///
    /// # Panics
    ///
    /// If an element lies outside of `values`.
    pub(super) fn new(values: &'a [f32], dims: [usize; 2], strides: [usize; 2]) -> Self {
        assert!(
            fits(values.len(), dims, strides)
                && strides.iter().all(|s| isize::try_from(*s).is_ok()),
            "{dims:?} by {strides:?} in {} values",
            values.len()
        );
        Self {
            values,
            dims,
            strides,
        }
    }

    /// Rows one behind the other.
    pub(super) fn rows(values: &'a [f32], dims: [usize; 2]) -> Self {
        Self::new(values, dims, [dims[1], 1])
    }

    /// Rows and columns swapped.
    pub(super) fn transposed(self) -> Self {
        let ([rows, columns], [row, column]) = (self.dims, self.strides);
        Self {
            values: self.values,
            dims: [columns, rows],
            strides: [column, row],
        }
    }

    /// Some of the rows.
    pub(super) fn take_rows(self, rows: &std::ops::Range<usize>) -> Self {
        let values = &self.values[rows.start * self.strides[0]..];
        Self::new(values, [rows.len(), self.dims[1]], self.strides)
    }

    /// Whether the values of a row are next to each other.
    pub(super) fn has_slices_as_rows(&self) -> bool {
        self.strides[1] == 1 || self.dims[1] == 1
    }

    /// Whether the values of a column are next to each other.
    pub(super) fn has_slices_as_columns(&self) -> bool {
        self.strides[0] == 1 || self.dims[0] == 1
    }

    /// The same with slices as rows, in `copy` if it has none.
    fn with_slices_as_rows<'b>(self, copy: &'b mut Vec<f32>) -> Matrix<'b>
    where
        'a: 'b,
    {
        if self.has_slices_as_rows() {
            return self;
        }
        let ([rows, columns], [row, column]) = (self.dims, self.strides);
        let row = |idx: usize| (0..columns).map(move |at| self.values[idx * row + at * column]);
        copy.extend((0..rows).flat_map(row));
        Matrix::rows(copy, self.dims)
    }

    /// Whether columns are closer to each other than rows.
    pub(super) fn is_row_major(&self) -> bool {
        self.strides[0] >= self.strides[1]
    }
}

/// The last two dimensions of a tensor, `offset` values behind its first.
pub(super) fn matrix_at(tensor: &FlexTensor, offset: usize) -> Matrix<'_> {
    let layout = tensor.layout();
    let n_dims = layout.shape().num_dims();
    let dims = [layout.shape()[n_dims - 2], layout.shape()[n_dims - 1]];
    let strides = layout.strides();
    let strides = [strides[n_dims - 2], strides[n_dims - 1]].map(|stride| stride as usize);
    matrix_with(tensor, offset, dims, strides)
}

/// A matrix within a tensor that runs forwards, `offset` values behind its first.
pub(super) fn matrix_with(
    tensor: &FlexTensor,
    offset: usize,
    dims: [usize; 2],
    strides: [usize; 2],
) -> Matrix<'_> {
    let values = &tensor.storage::<f32>()[tensor.layout().start_offset() + offset..];
    Matrix::new(values, dims, strides)
}

/// The tensor itself if it runs forwards in memory, else a contiguous copy.
pub(super) fn forwards(tensor: &FlexTensor) -> FlexTensor {
    match tensor.layout().strides().iter().all(|stride| *stride >= 0) {
        true => tensor.clone(),
        false => tensor.to_contiguous(),
    }
}

/// The matrix itself if it runs forwards and its rows or columns lie in one piece each, else a contiguous copy.
pub(super) fn in_slices(matrix: &FlexTensor) -> FlexTensor {
    let matrix = forwards(matrix);
    match matrix.layout().strides().contains(&1) {
        true => matrix,
        false => matrix.to_contiguous(),
    }
}

fn parallelism(m: usize, n: usize, k: usize) -> Parallelism {
    let least = match is_in_pool() {
        true => PARALLEL_IN_POOL,
        false => PARALLEL,
    };
    match m.saturating_mul(n).saturating_mul(k) >= least {
        true => Parallelism::Rayon(0),
        false => Parallelism::None,
    }
}

/// How a product is computed.
#[derive(Debug, Clone, Copy)]
enum Kernel {
    General,
    FewRows,
    Swapped,
}

/// `a b`, row after row, by what is fastest for so many rows.
pub(super) fn product(a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
    let is_few = a.dims[0] <= threads::PART_ROWS;
    let kernel = match is_few {
        true if b.has_slices_as_rows() => Kernel::FewRows,
        true if swapped::applies(&a, &b) => Kernel::Swapped,
        _ => Kernel::General,
    };
    product_by(kernel, a, b)
}

/// `a b`, row after row. The kernel is chosen by the weights `b` where the number of rows would change the last
/// bits, so that a row comes out the same whatever is beside it; it may be a little slower for many rows. Rows or
/// columns of `b` lie in one piece.
///
/// The exception is a row alone with small weights in more than 256 columns that lie in one piece each, for which
/// `gemm` has an order of its own.
pub(super) fn steady_product(a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
    let [k, n] = b.dims;
    // For one or two inner values, and for one column, `gemm` has kernels of their own.
    let is_long = k > LONGEST_CHAIN;
    // Up to 256 elements of a result with weights in columns are sums of lanes in `gemm`.
    let is_narrow = n <= 256;
    if swapped::applies(&a, &b) || (is_long || is_narrow) && swapped::is_possible(&a, &b) {
        product_by(Kernel::Swapped, a, b)
    } else if b.has_slices_as_rows() && (is_long || k <= 2 || n == 1) {
        product_by(Kernel::FewRows, a, b)
    } else {
        product(a, b)
    }
}

fn product_by(kernel: Kernel, a: Matrix<'_>, b: Matrix<'_>) -> Vec<f32> {
    let ([m, k], [_, n]) = (a.dims, b.dims);
    assert_eq!(k, b.dims[0], "the inner dimensions are the same");
    let Some(n_values) = m.checked_mul(n) else {
        unreachable!("{m} x {n} values are more than a memory has");
    };
    if n_values == 0 || k == 0 {
        return vec![0.0; n_values];
    }
    let mut out: Vec<f32> = Vec::with_capacity(n_values);
    let to = out.as_mut_ptr();
    // SAFETY: `Matrix::new` checked that all elements of `a` and `b` are in their slices, and what else a kernel asks
    // of them is checked in front of it; `out` has room for the `m * n` elements written row after row, and all of
    // them are written before they are read.
    unsafe {
        match kernel {
            Kernel::General => call(to, n, false, (a, b), parallelism(m, n, k)),
            Kernel::FewRows => {
                assert!(b.has_slices_as_rows(), "rows are slices");
                let mut copy = Vec::new();
                few_rows::product(to, (a.with_slices_as_rows(&mut copy), b));
            }
            Kernel::Swapped => {
                assert!(swapped::is_possible(&a, &b), "columns are slices");
                swapped::product(to, (a, b));
            }
        }
        out.set_len(n_values);
    }
    out
}

/// Writes `a b` into rows of `out` that are `row_stride` apart, or adds it to what is there. On one thread.
///
/// # Panics
///
/// If the result does not fit.
pub(super) fn product_into(
    (a, b): (Matrix<'_>, Matrix<'_>),
    (out, row_stride): (&mut [f32], usize),
    is_added: bool,
) {
    let ([m, k], [_, n]) = (a.dims, b.dims);
    assert_eq!(k, b.dims[0], "the inner dimensions are the same");
    assert!(
        row_stride >= n && fits(out.len(), [m, n], [row_stride, 1]),
        "{m} x {n}"
    );
    // SAFETY: `Matrix::new` checked that all elements of `a` and `b` are in their slices, and the line above
    // those of `out`, which is borrowed mutably and so is neither of them.
    unsafe {
        let out = out.as_mut_ptr();
        call(out, row_stride, is_added, (a, b), Parallelism::None);
    }
}

/// `a b` into `out`, row after row, for few rows and on one thread; `IS_FUSED` says whether a product is rounded only
/// together with the sum it is added to.
///
/// # Panics
///
/// If `out` has another size than the result, or rows of `b` are no slices.
pub(super) fn few_rows_into<const IS_FUSED: bool>(
    (a, b): (Matrix<'_>, Matrix<'_>),
    out: &mut [f32],
) {
    let ([m, k], [_, n]) = (a.dims, b.dims);
    assert_eq!(k, b.dims[0], "the inner dimensions are the same");
    assert!(b.has_slices_as_rows(), "rows are slices");
    assert_eq!(Some(out.len()), m.checked_mul(n), "{m} x {n}");
    if k == 0 {
        out.fill(0.0);
        return;
    }
    let mut copy = Vec::new();
    let a = a.with_slices_as_rows(&mut copy);
    // SAFETY: the result fits, `out` is borrowed mutably, there are inner values, and rows are slices.
    unsafe { few_rows::columns::<IS_FUSED>(out.as_mut_ptr(), (a, b), 0..n) };
}

/// # Safety
///
/// All elements of the result lie in the memory that `out` points to, with rows `out_row` apart.
unsafe fn call(
    out: *mut f32,
    out_row: usize,
    is_added: bool,
    (a, b): (Matrix<'_>, Matrix<'_>),
    parallelism: Parallelism,
) {
    let ([m, k], [_, n]) = (a.dims, b.dims);
    let [a_row, a_column] = a.strides.map(|stride| stride as isize);
    let [b_row, b_column] = b.strides.map(|stride| stride as isize);
    let (lhs, rhs) = (a.values.as_ptr(), b.values.as_ptr());
    // SAFETY: the caller's promise for `out`, and that of `Matrix::new` for the others.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            out_row as isize,
            is_added,
            lhs,
            a_column,
            a_row,
            rhs,
            b_column,
            b_row,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    /// The same numbers for the same seed, from -0.5 to 0.5.
    pub(super) fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..n).map(|_| next()).collect()
    }
}
