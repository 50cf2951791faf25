//! Attention of grouped heads over ranges of keys.

mod backward;

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Shape;

pub(super) use backward::tracked;

use super::chunks::for_each3_of;
use super::gemm::{Matrix, few_rows_into, forwards, matrix_at, matrix_with, product_into};
use super::simd::{LANES, map_sum, max};
use super::tensor;
use crate::exp::exp_f32;
use crate::vectorized::vectorized;
use crate::visible::{Block, Ranges};

/// Queries `[batch, n_heads, n_queries, head_dim]`, keys and values `[batch, n_kv_heads, n_keys, head_dim]`,
/// in any order in memory.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    q: FlexTensor,
    k: FlexTensor,
    v: FlexTensor,
    ranges: Arc<Ranges>,
}

/// Sizes and blocks of one call.
struct Plan {
    batch: usize,
    n_heads: usize,
    n_kv_heads: usize,
    n_queries: usize,
    n_keys: usize,
    head_dim: usize,
    /// Each with the place of its weights among those of a head.
    blocks: Vec<(Block, usize)>,
    /// Weights of a head.
    n_weights: usize,
}

impl Plan {
    /// Weights of the largest block.
    fn largest_block(&self) -> usize {
        let sizes = self
            .blocks
            .iter()
            .map(|(block, _)| block.queries.len() * block.keys.len());
        sizes.max().unwrap_or(0)
    }
}

impl Inputs {
    pub(super) fn new([q, k, v]: [&FlexTensor; 3], ranges: Arc<Ranges>) -> Self {
        Self {
            q: forwards(q),
            k: forwards(k),
            v: forwards(v),
            ranges,
        }
    }

    fn plan(&self) -> Plan {
        let [batch, n_heads, n_queries, head_dim] = self.q.layout().shape().dims::<4>();
        let [_, n_kv_heads, n_keys, _] = self.k.layout().shape().dims::<4>();
        let mut n_weights = 0;
        let blocks = self.ranges.blocks().into_iter().map(|block| {
            let place = n_weights;
            n_weights += block.queries.len() * block.keys.len();
            (block, place)
        });
        Plan {
            batch,
            n_heads,
            n_kv_heads,
            n_queries,
            n_keys,
            head_dim,
            blocks: blocks.collect(),
            n_weights,
        }
    }

    /// One head of one row as a matrix.
    fn head(tensor: &FlexTensor, row: usize, head: usize) -> Matrix<'_> {
        let strides = tensor.layout().strides();
        matrix_at(
            tensor,
            row * strides[0] as usize + head * strides[1] as usize,
        )
    }

    fn softmax(&self, row: usize, block: &Block, scores: &mut [f32]) {
        vectorized(
            #[inline(always)]
            || {
                let rows = scores.chunks_exact_mut(block.keys.len());
                for (query, scores) in block.queries.clone().zip(rows) {
                    let seen = self.ranges.of(row, query);
                    let first = seen.start - block.keys.start;
                    let end = seen.end - block.keys.start;
                    scores[..first].fill(0.0);
                    scores[end..].fill(0.0);
                    softmax(&mut scores[first..end]);
                }
            },
        );
    }

    /// Whether the keys are laid out as those of a cache: the values of a channel next to each other.
    fn has_keys_by_channel(&self) -> bool {
        let (k, v) = (self.k.layout().strides(), self.v.layout().strides());
        k[2] == 1 && v[3] == 1
    }

    /// The mixed values of one row into `out`, `[n_queries, n_heads * head_dim]`; weights are kept one head
    /// behind the other, or overwritten.
    fn mix_blocks(
        &self,
        plan: &Plan,
        row: usize,
        (weights, are_kept): (&mut [f32], bool),
        out: &mut [f32],
    ) {
        let width = plan.n_heads * plan.head_dim;
        for head in 0..plan.n_heads {
            let kv_head = head * plan.n_kv_heads / plan.n_heads;
            let q = Self::head(&self.q, row, head);
            let k = Self::head(&self.k, row, kv_head);
            let v = Self::head(&self.v, row, kv_head);
            for (block, place) in &plan.blocks {
                let (n_queries, n_keys) = (block.queries.len(), block.keys.len());
                let start = match are_kept {
                    true => head * plan.n_weights + place,
                    false => 0,
                };
                let weights = &mut weights[start..start + n_queries * n_keys];
                let k = k.take_rows(&block.keys).transposed();
                product_into((q.take_rows(&block.queries), k), (weights, n_keys), false);
                self.softmax(row, block, weights);
                let out = &mut out[block.queries.start * width + head * plan.head_dim..];
                let weights = Matrix::rows(weights, [n_queries, n_keys]);
                product_into((weights, v.take_rows(&block.keys)), (out, width), false);
            }
        }
    }

    /// The same for one query, as in decoding: the heads that share keys are rows of one product, which reads
    /// the cache where it lies. Products are rounded before they are added, which costs nothing next to reading.
    fn mix_one(&self, plan: &Plan, row: usize, weights: &mut [f32], out: &mut [f32]) {
        let n_shared = plan.n_heads / plan.n_kv_heads;
        let seen = self.ranges.of(row, 0);
        // Whole vectors, where there are keys for them.
        let first = seen.start - seen.start % LANES;
        let read = first..seen.end.next_multiple_of(LANES).min(plan.n_keys);
        for kv_head in 0..plan.n_kv_heads {
            let q = self.heads_of_query(plan, row, kv_head * n_shared);
            let k = Self::head(&self.k, row, kv_head);
            let v = Self::head(&self.v, row, kv_head);
            let scores = &mut weights[..n_shared * read.len()];
            let k = k.take_rows(&read).transposed();
            few_rows_into::<false>((q, k), scores);
            let scores = &mut scores[seen.start - first..];
            vectorized(
                #[inline(always)]
                || {
                    for scores in scores.chunks_mut(read.len()) {
                        softmax(&mut scores[..seen.len()]);
                    }
                },
            );
            let n_out = n_shared * plan.head_dim;
            let out = &mut out[kv_head * n_out..][..n_out];
            let weights = Matrix::new(scores, [n_shared, seen.len()], [read.len(), 1]);
            few_rows_into::<false>((weights, v.take_rows(&seen)), out);
        }
    }

    /// The first query of some heads, `[n_shared, head_dim]`.
    fn heads_of_query(&self, plan: &Plan, row: usize, head: usize) -> Matrix<'_> {
        let strides = self.q.layout().strides();
        let [row_stride, head_stride, _, channel] = [0, 1, 2, 3].map(|dim| strides[dim] as usize);
        let dims = [plan.n_heads / plan.n_kv_heads, plan.head_dim];
        let offset = row * row_stride + head * head_stride;
        matrix_with(&self.q, offset, dims, [head_stride, channel])
    }
}

/// The mixed values `[batch, n_queries, n_heads * head_dim]`, and the weights of every row and head if they
/// are kept.
fn forward_with_weights(inputs: &Inputs, are_kept: bool) -> (FlexTensor, Vec<f32>) {
    let plan = inputs.plan();
    let width = plan.n_heads * plan.head_dim;
    let mut out = vec![0.0; plan.batch * plan.n_queries * width];
    let is_single = plan.n_queries == 1 && !are_kept && inputs.has_keys_by_channel();
    // What is not kept is overwritten by the next block, or by the next heads.
    let per_row = match (are_kept, is_single) {
        (true, _) => plan.n_heads * plan.n_weights,
        (false, true) => plan.n_heads / plan.n_kv_heads * plan.n_keys,
        (false, false) => plan.largest_block(),
    };
    let mut weights = vec![0.0; plan.batch * per_row];
    // A weight of one query stands for the reading of a key and a value.
    let size = plan.batch * plan.n_heads * plan.n_weights;
    let size = if is_single {
        size * plan.head_dim / 8
    } else {
        size
    };
    let sizes = [plan.n_queries * width, per_row, 1];
    for_each3_of(
        [&mut out, &mut weights, &mut []],
        sizes,
        size,
        |row, [out, weights, _]| match is_single {
            true => inputs.mix_one(&plan, row, weights, out),
            false => inputs.mix_blocks(&plan, row, (weights, are_kept), out),
        },
    );
    let out = tensor(out, Shape::new([plan.batch, plan.n_queries, width]));
    (out, weights)
}

/// Softmax in place.
#[inline(always)]
fn softmax(scores: &mut [f32]) {
    let largest = max(scores);
    let total = map_sum(
        scores,
        #[inline(always)]
        |score| exp_f32(score - largest),
    );
    let inverse = 1.0 / total;
    for score in scores {
        *score *= inverse;
    }
}

pub(super) fn forward(inputs: &Inputs) -> FlexTensor {
    forward_with_weights(inputs, false).0
}
