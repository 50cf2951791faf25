//! Some rows and columns of a product, whose sums stay in registers.

use macerator::{Scalar, Simd, Vector, vload_unaligned, vstore_unaligned};

use crate::flex::prefetch::to_second_cache;

/// Lanes of the widest vectors.
pub(super) const WIDEST: usize = 16;
/// Most rows of a tile, and those of a tile of one vector of columns, so that enough sums are under way.
const MOST_ROWS: [usize; 2] = [6, 8];
/// Values of a line of the cache.
const LINE: usize = 16;

/// Vectors that start where lines of the cache do: others need two lines each.
#[repr(align(64))]
pub(super) struct Aligned<const N: usize>([f32; N]);

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

/// What tiles ask for while they compute, and never read (to strided rows the processor does not look ahead by itself,
/// and the first cache has no room to spare): `steps` times `lines` lines of a row, `step` values further
/// with every inner value, then the row that is `stride` values behind.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    first: *const f32,
    stride: usize,
    step: usize,
    steps: usize,
    lines: usize,
    /// Values from what a tile asks for to what the next one does.
    share: usize,
}

impl Ahead {
    /// As many rows of `n_columns` values as tiles of `depth` inner values compute with, shared evenly among
    /// `n_tiles`: a processor waits for few lines at a time, and what is asked for at once has to wait.
    #[inline(always)]
    pub(super) fn evenly(
        first: *const f32,
        stride: usize,
        [depth, n_columns]: [usize; 2],
        n_tiles: usize,
    ) -> Self {
        let n_rows = depth.div_ceil(n_tiles);
        let steps = (depth / n_rows).max(1);
        let lines = n_columns.div_ceil(LINE).div_ceil(steps);
        let step = match lines {
            1 => n_columns.div_ceil(steps),
            _ => lines * LINE,
        };
        let share = n_rows * stride;
        Self {
            first,
            stride,
            step,
            steps,
            lines,
            share,
        }
    }

    /// Values one behind the other, `step` with every inner value; none if `is_read` already.
    #[inline(always)]
    pub(super) fn in_order(first: *const f32, step: usize, is_read: bool) -> Self {
        Self {
            first,
            stride: 0,
            step,
            steps: usize::MAX,
            lines: usize::from(!is_read),
            share: 0,
        }
    }

    /// What the next tile asks for.
    #[inline(always)]
    pub(super) fn next(self) -> Self {
        let first = self.first.wrapping_add(self.share);
        Self { first, ..self }
    }
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
    /// Where the weights are copied to, in rows that are `V` vectors apart, unless it is null.
    pub(super) copy: *mut f32,
    pub(super) ahead: Ahead,
}

/// The rows of each tile, for so many rows of columns in so many vectors: as many as there are registers for, and
/// nearly the same everywhere, since a tile of one or two rows takes longer than its share.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub(super) n_tiles: usize,
    n_rows: usize,
    /// Tiles with a row more.
    n_larger: usize,
}

impl Tiles {
    pub(super) fn new(n_rows: usize, n_vectors: usize) -> Self {
        let n_tiles = n_rows.div_ceil(MOST_ROWS[usize::from(n_vectors == 1)]);
        Self {
            n_tiles,
            n_rows: n_rows / n_tiles.max(1),
            n_larger: n_rows % n_tiles.max(1),
        }
    }

    /// Rows of a tile. (An iterator over ranges of rows made the loops around it slower by a twentieth.)
    #[inline(always)]
    pub(super) fn n_rows(&self, tile: usize) -> usize {
        self.n_rows + usize::from(tile < self.n_larger)
    }
}

impl Tile {
    /// Adds the products to the sums.
    ///
    /// # Safety
    ///
    /// There are `n_rows` rows of `depth` values; `depth` rows of weights with `n_columns` columns, which are at
    /// least a vector and need `V` of them; `out` has room for the result, and where it is not the first for these
    /// elements, they are there; `copy` has room for `depth` times `V` vectors, or is null.
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
                6 => self.add_rows::<S, 6, V, IS_FUSED>(),
                7 if V == 1 => self.add_rows::<S, 7, V, IS_FUSED>(),
                8 if V == 1 => self.add_rows::<S, 8, V, IS_FUSED>(),
                _ => unreachable!("{} rows in one tile", self.n_rows),
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
            let (mut rows, mut weight_row, mut copy) = (self.rows, self.weights, self.copy);
            let Ahead { first, steps, .. } = self.ahead;
            let (mut ahead_row, mut ahead, mut left) = (first, first, steps);
            for _ in 0..self.depth {
                for line in 0..V {
                    if line < self.ahead.lines {
                        to_second_cache(ahead.wrapping_add(line * LINE));
                    }
                }
                ahead = ahead.wrapping_add(self.ahead.step);
                left -= 1;
                if left == 0 {
                    ahead_row = ahead_row.wrapping_add(self.ahead.stride);
                    (ahead, left) = (ahead_row, steps);
                }
                let mut weights = [0.0_f32.splat::<S>(); V];
                for (v, weights) in weights.iter_mut().enumerate() {
                    *weights = vload_unaligned(weight_row.add(offset(v)));
                }
                if !copy.is_null() {
                    for (v, weights) in weights.iter().enumerate() {
                        vstore_unaligned(copy.add(offset(v)), *weights);
                    }
                    copy = copy.wrapping_add(V * lanes);
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let factor: Vector<S, f32> = (*rows.add(r * self.row_stride)).splat();
                    for (sum, weights) in sums.iter_mut().zip(&weights) {
                        *sum = added::<S, IS_FUSED>(factor, *weights, *sum);
                    }
                }
                rows = rows.wrapping_add(1);
                weight_row = weight_row.wrapping_add(self.weight_stride);
            }
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    vstore_unaligned(self.out.add(r * self.out_stride + offset(v)), *sum);
                }
            }
        }
    }
}
