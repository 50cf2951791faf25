//! Additive attention biases: 0 where a query may look, [`MASKED`] elsewhere.

use std::ops::Range;

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Added to a score that must not count. Finite in f32 and bf16 (f16 makes it minus infinity): `exp` of
/// it is exactly 0 next to any real score, and every row has one.
pub const MASKED: f32 = -1e9;

/// Queries that attend together, and the keys they can see: those behind the last of them are left
/// out of the product instead of masked.
#[derive(Debug, Clone)]
pub struct QueryBlock {
    /// The queries, as positions among the new tokens.
    pub queries: Range<usize>,
    /// They look at the keys `0..n_keys`.
    pub n_keys: usize,
    /// `[1 or batch, 1 or n_kv_heads, n_groups * queries.len(), n_keys]`: [`MASKED`] where a query
    /// may not look.
    pub bias: Tensor<4>,
}

/// Queries per block of causal attention: half of the score matrix of a long sequence is never
/// computed, and a block is still large enough for the matrix product.
const BLOCK: usize = 64;

/// The queries `0..n_queries`, a block after the other.
pub fn query_blocks(n_queries: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n_queries)
        .step_by(BLOCK)
        .map(move |start| start..(start + BLOCK).min(n_queries))
}

/// Causal attention over `seq` tokens, for `n_groups` query heads per key head.
pub fn causal_blocks(
    seq: usize,
    n_groups: usize,
    (device, dtype): (&Device, DType),
) -> Vec<QueryBlock> {
    query_blocks(seq)
        .map(|queries| {
            let n_keys = queries.end;
            let mut values = Vec::with_capacity(queries.len() * n_keys);
            for query in queries.clone() {
                values.extend((0..n_keys).map(|key| if key <= query { 0.0 } else { MASKED }));
            }
            let data = TensorData::new(values, [1, 1, queries.len(), n_keys]);
            let bias = Tensor::from_data(data, (device, dtype));
            QueryBlock {
                queries,
                n_keys,
                bias: repeat_groups(bias, n_groups),
            }
        })
        .collect()
}

/// Causal attention over rows of several sequences that do not see each other, for `n_groups` query heads
/// per key head. `starts` has the first slot of the sequence that each slot belongs to.
pub(crate) fn packed_blocks(
    starts: &[Vec<usize>],
    n_groups: usize,
    (device, dtype): (&Device, DType),
) -> Vec<QueryBlock> {
    let seq = starts.first().map_or(0, Vec::len);
    query_blocks(seq)
        .map(|queries| {
            let n_keys = queries.end;
            let mut values = Vec::with_capacity(starts.len() * queries.len() * n_keys);
            for starts in starts {
                for query in queries.clone() {
                    let seen = starts[query]..=query;
                    values.extend((0..n_keys).map(|key| match seen.contains(&key) {
                        true => 0.0,
                        false => MASKED,
                    }));
                }
            }
            let data = TensorData::new(values, [starts.len(), 1, queries.len(), n_keys]);
            let bias = Tensor::from_data(data, (device, dtype));
            QueryBlock {
                queries,
                n_keys,
                bias: repeat_groups(bias, n_groups),
            }
        })
        .collect()
}

/// Repeats a bias for the query heads that share a key head.
///
/// # Shapes
///
/// - `bias`: `[batch, 1, seq, n_keys]`; output: `[batch, 1, n_groups * seq, n_keys]`
pub fn repeat_groups(bias: Tensor<4>, n_groups: usize) -> Tensor<4> {
    bias.repeat_dim(2, n_groups)
}
