//! Attention of grouped heads over ranges of keys.

use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

use super::chunks::for_each3_of;
use super::gemm::{Matrix, forwards, matrix_at, product_into};
use super::simd::{exp, map_sum, max, sum2, vectorized};
use super::{tensor, values};
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
}

/// The mixed values `[batch, n_queries, n_heads * head_dim]`, and the weights of every row and head if they
/// are kept.
fn forward_with_weights(inputs: &Inputs, are_kept: bool) -> (FlexTensor, Vec<f32>) {
    let plan = inputs.plan();
    let width = plan.n_heads * plan.head_dim;
    let mut out = vec![0.0; plan.batch * plan.n_queries * width];
    // What is not kept is overwritten by the next block.
    let per_row = match are_kept {
        true => plan.n_heads * plan.n_weights,
        false => plan.largest_block(),
    };
    let mut weights = vec![0.0; plan.batch * per_row];
    let size = plan.batch * plan.n_heads * plan.n_weights;
    let sizes = [plan.n_queries * width, per_row, 1];
    let is_single = plan.n_queries == 1;
    for_each3_of(
        [&mut out, &mut weights, &mut []],
        sizes,
        size,
        |row, [out, weights, _]| {
            for head in 0..plan.n_heads {
                let kv_head = head * plan.n_kv_heads / plan.n_heads;
                let q = Inputs::head(&inputs.q, row, head);
                let k = Inputs::head(&inputs.k, row, kv_head);
                let v = Inputs::head(&inputs.v, row, kv_head);
                for (block, place) in &plan.blocks {
                    let (n_queries, n_keys) = (block.queries.len(), block.keys.len());
                    let start = if are_kept {
                        head * plan.n_weights + place
                    } else {
                        0
                    };
                    let weights = &mut weights[start..start + n_queries * n_keys];
                    if is_single && k.has_slices_as_columns() && v.has_slices_as_rows() {
                        let seen = inputs.ranges.of(row, 0);
                        let out = &mut out[head * plan.head_dim..(head + 1) * plan.head_dim];
                        weights.fill(0.0);
                        let first = seen.start - block.keys.start;
                        let weights = &mut weights[first..first + seen.len()];
                        mix_one(q, [k.take_rows(&seen), v.take_rows(&seen)], weights, out);
                        continue;
                    }
                    let k = k.take_rows(&block.keys).transposed();
                    product_into((q.take_rows(&block.queries), k), (weights, n_keys), false);
                    inputs.softmax(row, block, weights);
                    let out = &mut out[block.queries.start * width + head * plan.head_dim..];
                    let weights = Matrix::rows(weights, [n_queries, n_keys]);
                    product_into((weights, v.take_rows(&block.keys)), (out, width), false);
                }
            }
        },
    );
    let out = tensor(out, Shape::new([plan.batch, plan.n_queries, width]));
    (out, weights)
}

/// One query of decoding: products of a row with a matrix, without what a general product needs around it.
/// `weights` and `out` are zero before.
fn mix_one(q: Matrix<'_>, [k, v]: [Matrix<'_>; 2], weights: &mut [f32], out: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            k.transposed().add_rows(q.row(0), weights);
            softmax(weights);
            v.add_rows(weights.iter().copied(), out);
        },
    );
}

/// Softmax in place.
#[inline(always)]
fn softmax(scores: &mut [f32]) {
    let largest = max(scores);
    let total = map_sum(
        scores,
        #[inline(always)]
        |score| exp(score - largest),
    );
    let inverse = 1.0 / total;
    for score in scores {
        *score *= inverse;
    }
}

pub(super) fn forward(inputs: &Inputs) -> FlexTensor {
    forward_with_weights(inputs, false).0
}

/// Gradients by queries, keys and values; with `p` the weights of a query and `g` its gradient:
///
/// ```text
/// d score = p (g v - sum(p g v))      d q = d score k      d k = d score q      d v = p g
/// ```
fn backward(inputs: &Inputs, weights: &[f32], grad: &FlexTensor) -> [FlexTensor; 3] {
    let plan = inputs.plan();
    let Plan {
        batch,
        n_heads,
        n_kv_heads,
        n_queries,
        n_keys,
        head_dim,
        ..
    } = plan;
    let width = n_heads * head_dim;
    let grad = grad.to_contiguous();
    let grad = values(&grad);
    // In the memory order of the values: heads may be views of the channels of a projection.
    let strides = inputs.v.layout().strides();
    let is_by_key = strides[1] < strides[2];
    let (v_row, v_head) = match is_by_key {
        true => (n_kv_heads * head_dim, head_dim),
        false => (head_dim, n_keys * head_dim),
    };
    let mut by_q = vec![0.0; batch * n_heads * n_queries * head_dim];
    let mut by_k = vec![0.0; batch * n_kv_heads * n_keys * head_dim];
    let mut by_v = vec![0.0; batch * n_kv_heads * n_keys * head_dim];
    let per_row = [
        n_heads * n_queries,
        n_kv_heads * n_keys,
        n_kv_heads * n_keys,
    ];
    let sizes = per_row.map(|rows| rows * head_dim);
    let work = |row: usize, [by_q, by_k, by_v]: [&mut [f32]; 3]| {
        let grad = &grad[row * n_queries * width..(row + 1) * n_queries * width];
        let mut scratch = vec![0.0; plan.largest_block()];
        for head in 0..n_heads {
            let kv_head = head * n_kv_heads / n_heads;
            let q = Inputs::head(&inputs.q, row, head);
            let k = Inputs::head(&inputs.k, row, kv_head);
            let v = Inputs::head(&inputs.v, row, kv_head);
            let weights = &weights[(row * n_heads + head) * plan.n_weights..];
            for (block, place) in &plan.blocks {
                let (first, n_block) = (block.queries.start, block.queries.len());
                let dims = [n_block, block.keys.len()];
                let weights = &weights[*place..place + dims[0] * dims[1]];
                let by_scores = &mut scratch[..dims[0] * dims[1]];
                let grad = &grad[first * width + head * head_dim..];
                let grad = Matrix::new(grad, [n_block, head_dim], [width, 1]);
                let (k, v) = (k.take_rows(&block.keys), v.take_rows(&block.keys));
                product_into((grad, v.transposed()), (by_scores, dims[1]), false);
                softmax_backward(weights, by_scores, dims[1]);
                let by_scores = Matrix::rows(by_scores, dims);
                let out = &mut by_q[(head * n_queries + first) * head_dim..];
                product_into((by_scores, k), (out, head_dim), false);
                let out = &mut by_k[(kv_head * n_keys + block.keys.start) * head_dim..];
                let q = q.take_rows(&block.queries);
                product_into((by_scores.transposed(), q), (out, head_dim), true);
                let out = &mut by_v[kv_head * v_head + block.keys.start * v_row..];
                let weights = Matrix::rows(weights, dims).transposed();
                product_into((weights, grad), (out, v_row), true);
            }
        }
    };
    for_each3_of(
        [&mut by_q, &mut by_k, &mut by_v],
        sizes,
        weights.len(),
        work,
    );
    let by_q = tensor(by_q, Shape::new([batch, n_heads, n_queries, head_dim]));
    let by_k = tensor(by_k, Shape::new([batch, n_kv_heads, n_keys, head_dim]));
    let by_v = match is_by_key {
        true => {
            let shape = Shape::new([batch, n_keys, n_kv_heads, head_dim]);
            tensor(by_v, shape).transpose(1, 2)
        }
        false => tensor(by_v, Shape::new([batch, n_kv_heads, n_keys, head_dim])),
    };
    [by_q, by_k, by_v]
}

/// Turns gradients by weights into gradients by scores.
fn softmax_backward(weights: &[f32], grads: &mut [f32], n_keys: usize) {
    vectorized(
        #[inline(always)]
        || {
            let rows = weights.chunks_exact(n_keys);
            for (weights, grads) in rows.zip(grads.chunks_exact_mut(n_keys)) {
                let mean = sum2(
                    weights,
                    grads,
                    #[inline(always)]
                    |weight, grad| weight * grad,
                );
                for (weight, grad) in weights.iter().zip(grads) {
                    *grad = weight * (*grad - mean);
                }
            }
        },
    );
}

#[derive(Debug)]
struct Attention;

impl Backward<Flex, 3> for Attention {
    type State = (Inputs, Vec<f32>);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<Flex>(&ops.node);
        let (inputs, weights) = ops.state;
        let found = backward(&inputs, &weights, &grad);
        for (node, found) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, found);
            }
        }
    }
}

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

pub(super) fn tracked<C: CheckpointStrategy>(
    [q, k, v]: [Tracked<C>; 3],
    ranges: Arc<Ranges>,
) -> Tracked<C> {
    let nodes = [q.node(), k.node(), v.node()];
    let inputs = Inputs::new([q.primitive(), k.primitive(), v.primitive()], ranges);
    match Attention.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (out, weights) = forward_with_weights(&inputs, true);
            prep.finish((inputs, weights), out)
        }
        OpsKind::UnTracked(prep) => prep.finish(forward(&inputs)),
    }
}
