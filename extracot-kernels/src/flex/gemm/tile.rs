//! Some rows and columns of a product, whose sums stay in registers.

use macerator::{Scalar, Simd, Vector, vload_unaligned, vstore_unaligned};

/// Lanes of the widest vectors.
pub(super) const WIDEST: usize = 16;
/// Rows of a tile, and those of a tile of one vector of columns, so that enough sums are under way.
const ROWS: [usize; 2] = [6, 8];
/// Values of a line of the cache.
pub(super) const LINE: usize = 16;

/// Vectors that start where lines of the cache do: others need two lines each.
#[repr(align(64))]
pub(super) struct Lines<const N: usize>([f32; N]);

/// `factor * weights + sum`
#[inline(always)]
pub(super) fn added<S: Simd, const IS_FUSED: bool>(
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
/// It goes to the second cache, since the first has no room to spare.
#[inline(always)]
fn prefetch(values: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: all processors of this architecture have the instruction, which reads nothing and never fails.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(values.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// What a tile asks for while it computes, and never reads: so many lines from `first` on, and as many `step`
/// values further for every inner value.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    pub(super) first: *const f32,
    pub(super) step: usize,
    pub(super) lines: usize,
}

/// Rows in slices times weights in slices as rows.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) rows: *const f32,
    /// Distance between rows.
    pub(super) row_stride: usize,
    pub(super) n_rows: usize,
    pub(super) weights: *const f32,
    pub(super) weight_stride: usize,
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
    pub(super) n_columns: usize,
    pub(super) depth: usize,
    /// Whether the sums start with zeros, and not with what is in `out`.
    pub(super) is_first: bool,
    pub(super) ahead: Ahead,
}

/// Rows of each tile, for so many rows of columns in so many vectors.
pub(super) fn rows_per_tile(n_rows: usize, n_vectors: usize) -> usize {
    n_rows.div_ceil(n_rows.div_ceil(ROWS[usize::from(n_vectors == 1)]).max(1))
}

impl Tile {
    /// Adds the products to the sums.
    ///
    /// # Safety
    ///
    /// There are `n_rows` rows of `depth` values, at least one and at most as many as [`rows_per_tile`] says;
    /// `depth` rows of weights with `n_columns` columns, which are at least a vector and need `V` of them; `out` has
    /// room for the result, and where it is not the first for these elements, they are there.
    #[inline(always)]
    pub(super) unsafe fn add<S: Simd, const V: usize, const IS_FUSED: bool>(self) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.n_rows {
                1 => self.add_rows::<S, 1, V, IS_FUSED>(),
                2 => self.add_rows::<S, 2, V, IS_FUSED>(),
                3 => self.add_rows::<S, 3, V, IS_FUSED>(),
                4 => self.add_rows::<S, 4, V, IS_FUSED>(),
                5 => self.add_rows::<S, 5, V, IS_FUSED>(),
                7 if V == 1 => self.add_rows::<S, 7, V, IS_FUSED>(),
                8 if V == 1 => self.add_rows::<S, 8, V, IS_FUSED>(),
                _ => self.add_rows::<S, 6, V, IS_FUSED>(),
            }
        }
    }

    /// The last vector ends with the columns, so it may overlap the one before: both compute the same there.
    #[inline(always)]
    unsafe fn add_rows<S: Simd, const R: usize, const V: usize, const IS_FUSED: bool>(self) {
        let lanes = S::lanes32();
        let last = self.n_columns - lanes;
        let offset = |v: usize| if v + 1 == V { last } else { v * lanes };
        let mut sums = [[0.0_f32.splat::<S>(); V]; R];
        // SAFETY: the caller's promise. Pointers may end behind what they point to, where they are not read.
        unsafe {
            if !self.is_first {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = vload_unaligned(self.out.add(r * self.out_stride + offset(v)));
                    }
                }
            }
            let (mut rows, mut weight_row, mut ahead) = (self.rows, self.weights, self.ahead.first);
            for _ in 0..self.depth {
                for line in 0..V {
                    if line < self.ahead.lines {
                        prefetch(ahead.wrapping_add(line * LINE));
                    }
                }
                let mut weights = [0.0_f32.splat::<S>(); V];
                for (v, weights) in weights.iter_mut().enumerate() {
                    *weights = vload_unaligned(weight_row.add(offset(v)));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let factor: Vector<S, f32> = (*rows.add(r * self.row_stride)).splat();
                    for (sum, weights) in sums.iter_mut().zip(&weights) {
                        *sum = added::<S, IS_FUSED>(factor, *weights, *sum);
                    }
                }
                rows = rows.wrapping_add(1);
                weight_row = weight_row.wrapping_add(self.weight_stride);
                ahead = ahead.wrapping_add(self.ahead.step);
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    vstore_unaligned(self.out.add(r * self.out_stride + offset(v)), *sum);
                }
            }
        }
    }
}
