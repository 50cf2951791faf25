//! The same operations as compositions of tensor operations: what other devices compute, and what the
//! fused code is tested against.

use burn::tensor::activation::{log_softmax, silu, softmax};
use burn::tensor::{DType, Int, Tensor, TensorData};

use crate::AdamWStep;
use crate::visible::VisibleKeys;

/// See [`crate::silu_gate`].
pub fn silu_gate<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    silu(gate) * up
}

/// See [`crate::rms_norm`].
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let dtype = x.dtype();
    let rms = (x.clone().cast(DType::F32).square().mean_dim(D - 1) + epsilon).sqrt();
    (x / rms.cast(dtype)) * gamma.unsqueeze()
}

/// See [`crate::linear`].
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>) -> Tensor<D> {
    burn::tensor::module::linear(x, weight, None)
}

/// See [`crate::attention`].
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, visible: &VisibleKeys) -> Tensor<3> {
    let [batch, n_heads, n_queries, head_dim] = q.dims();
    let [_, n_kv_heads, n_keys, _] = k.dims();
    let n_groups = n_heads / n_kv_heads;
    let k_transposed = k.swap_dims(2, 3);
    let mut blocks = visible.ranges.blocks();
    if let Some(last) = blocks.last_mut() {
        // All of a cache: a slice of it would be copied at every step of decoding, each time of another
        // shape.
        last.keys = 0..n_keys;
    }
    let biases = visible.biases(&blocks, (&q.device().inner(), q.dtype()));
    let mixed = blocks.iter().zip(biases).map(|(block, bias)| {
        // The heads that share a key head become rows of one product: no copy of keys or values.
        let rows = n_groups * block.queries.len();
        let q = q.clone().slice_dim(2, block.queries.clone());
        let q = q.reshape([batch, n_kv_heads, rows, head_dim]);
        let (mut k_transposed, mut v) = (k_transposed.clone(), v.clone());
        if block.keys != (0..n_keys) {
            k_transposed = k_transposed.slice_dim(3, block.keys.clone());
            v = v.slice_dim(2, block.keys.clone());
        }
        let bias = bias.clone().repeat_dim(2, n_groups);
        let mixed = softmax(q.matmul(k_transposed) + bias, 3).matmul(v);
        mixed.reshape([batch, n_heads, block.queries.len(), head_dim])
    });
    Tensor::cat(mixed.collect(), 2) // [batch, n_heads, n_queries, head_dim]
        .swap_dims(1, 2)
        .reshape([batch, n_queries, n_heads * head_dim])
}

/// See [`crate::rotate_heads`].
pub fn rotate_heads(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>, scale: f64) -> Tensor<4> {
    let x = x.swap_dims(1, 2);
    let x = match scale == 1.0 {
        true => x,
        false => x * scale,
    };
    let [_, _, _, head_dim] = x.dims();
    let half = head_dim / 2;
    let first = x.clone().narrow(3, 0, half);
    let second = x.clone().narrow(3, half, half);
    let turned = Tensor::cat(vec![second.neg(), first], 3); // [batch, n_heads, seq, head_dim]
    x * cos + turned * sin
}

/// See [`crate::target_logprobs`].
pub fn target_logprobs(logits: Tensor<2>, targets: &[i32]) -> Tensor<1> {
    let n_targets = targets.len();
    let data = TensorData::new(targets.to_vec(), [n_targets, 1]);
    let targets = Tensor::<2, Int>::from_data(data, (&logits.device(), DType::I32));
    log_softmax(logits, 1)
        .gather(1, targets)
        .reshape([n_targets])
}

/// See [`crate::adamw`].
pub fn adamw<const D: usize>(
    weights: Tensor<D>,
    grad: Tensor<D>,
    [first, second]: [Tensor<D>; 2],
    step: AdamWStep,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let first = first * step.beta_1 + grad.clone() * (1.0 - step.beta_1);
    let second = second * step.beta_2 + grad.square() * (1.0 - step.beta_2);
    let root = (second.clone() / step.correction_2).sqrt() + step.epsilon;
    let change = first.clone() / step.correction_1 / root * step.rate;
    (weights * step.kept - change, [first, second])
}

/// See [`crate::write_to_cache`].
pub fn write_to_cache(
    [keys_cache, values_cache]: [Tensor<4>; 2],
    [keys, values]: [Tensor<4>; 2],
    start: usize,
) -> [Tensor<4>; 2] {
    let [batch, n_kv_heads, n_new, head_dim] = keys.dims();
    let slots = start..start + n_new;
    let columns = [0..batch, 0..n_kv_heads, 0..head_dim, slots.clone()];
    let rows = [0..batch, 0..n_kv_heads, slots, 0..head_dim];
    [
        keys_cache.slice_assign(columns, keys.swap_dims(2, 3)),
        values_cache.slice_assign(rows, values),
    ]
}
