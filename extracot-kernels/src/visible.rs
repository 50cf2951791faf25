//! Which keys a query of attention may look at.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Added to a score that must not count. Finite in f32 and bf16 (f16 makes it minus infinity): `exp` of
/// it is exactly 0 next to any real score, and every row has one.
pub const MASKED: f32 = -1e9;

/// Queries that attend together: half of the score matrix of a long causal sequence is never computed,
/// and a block is still large enough for the matrix product.
const BLOCK: usize = 64;

/// One range of keys for every query of every row.
#[derive(Debug, Clone)]
pub struct VisibleKeys {
    pub(crate) ranges: Arc<Ranges>,
    biases: Arc<OnceLock<Vec<Tensor<4>>>>,
}

#[derive(Debug)]
pub(crate) struct Ranges {
    /// 1, for all rows of a batch, or one per row.
    pub(crate) n_rows: usize,
    pub(crate) n_queries: usize,
    /// `n_rows * n_queries` of them.
    pub(crate) keys: Vec<Range<usize>>,
}

/// Queries and the keys that any of them, in any row, can see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) queries: Range<usize>,
    pub(crate) keys: Range<usize>,
}

impl VisibleKeys {
    /// Ranges row after row, for `n_queries` queries each. One row stands for all of a batch.
    ///
    /// # Panics
    ///
    /// If a range is empty or there are not whole rows of them.
    pub fn new(n_queries: usize, keys: Vec<Range<usize>>) -> Self {
        assert!(
            keys.iter().all(|keys| !keys.is_empty()),
            "a query sees no key"
        );
        let n_rows = keys.len() / n_queries.max(1);
        assert_eq!(
            n_rows * n_queries,
            keys.len(),
            "rows of {n_queries} queries"
        );
        Self {
            ranges: Arc::new(Ranges {
                n_rows,
                n_queries,
                keys,
            }),
            biases: Arc::default(),
        }
    }

    /// Query `i` sees the keys up to `i`, in every row.
    pub fn causal(n_queries: usize) -> Self {
        Self::new(
            n_queries,
            (0..n_queries).map(|query| 0..query + 1).collect(),
        )
    }

    /// For every block `[n_rows, 1, queries, keys]` with [`MASKED`] where a query may not look,
    /// made when first asked for, on the device and in the dtype of then: the layers of a model share them.
    pub(crate) fn biases(
        &self,
        blocks: &[Block],
        (device, dtype): (&Device, DType),
    ) -> &[Tensor<4>] {
        self.biases.get_or_init(|| {
            let bias = |block: &Block| {
                let mut values = Vec::new();
                for row in 0..self.ranges.n_rows {
                    for query in block.queries.clone() {
                        let seen = self.ranges.of(row, query);
                        let value = |key| if seen.contains(&key) { 0.0 } else { MASKED };
                        values.extend(block.keys.clone().map(value));
                    }
                }
                let shape = [self.ranges.n_rows, 1, block.queries.len(), block.keys.len()];
                Tensor::from_data(TensorData::new(values, shape), (device, dtype))
            };
            blocks.iter().map(bias).collect()
        })
    }
}

impl Ranges {
    pub(crate) fn of(&self, row: usize, query: usize) -> Range<usize> {
        self.keys[row % self.n_rows * self.n_queries + query].clone()
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let starts = (0..self.n_queries).step_by(BLOCK);
        starts
            .map(|start| {
                let queries = start..(start + BLOCK).min(self.n_queries);
                let rows = self.keys.chunks(self.n_queries.max(1));
                let seen = || rows.clone().flat_map(|row| &row[queries.clone()]);
                let first = seen().map(|keys| keys.start).min().unwrap_or(0);
                let end = seen().map(|keys| keys.end).max().unwrap_or(0);
                Block {
                    keys: first..end,
                    queries,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_leave_out_what_none_of_their_queries_sees() {
        let blocks = VisibleKeys::causal(130).ranges.blocks();
        let bounds: Vec<_> = blocks.into_iter().map(|b| (b.queries, b.keys)).collect();
        assert_eq!(
            bounds,
            [(0..64, 0..64), (64..128, 0..128), (128..130, 0..130)]
        );
        // Two rows of two queries: 1 to 5 are seen by some.
        let visible = VisibleKeys::new(2, vec![2..3, 2..4, 1..2, 3..6]);
        let expected = Block {
            queries: 0..2,
            keys: 1..6,
        };
        assert_eq!(visible.ranges.blocks(), [expected]);
        let device = Device::flex();
        let blocks = visible.ranges.blocks();
        let bias = visible.biases(&blocks, (&device, DType::F32))[0].clone();
        let (x, o) = (MASKED, 0.0);
        let rows = [
            [x, o, x, x, x],
            [x, o, o, x, x],
            [o, x, x, x, x],
            [x, x, o, o, o],
        ];
        let expected = TensorData::new(rows.concat(), [2, 1, 2, 5]);
        assert_eq!(bias.into_data(), expected);
    }
}
