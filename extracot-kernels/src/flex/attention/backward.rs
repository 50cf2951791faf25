//! Gradients of attention.

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

use super::{Inputs, Plan, forward, forward_with_weights};
use crate::flex::chunks::for_each3_of;
use crate::flex::gemm::{Matrix, product_into};
use crate::flex::simd::sum2;
use crate::flex::{tensor, values};
use crate::vectorized::vectorized;
use crate::visible::Ranges;

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

pub(in crate::flex) fn tracked<C: CheckpointStrategy>(
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
