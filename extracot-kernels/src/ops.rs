//! The operations, on any device.

use burn::tensor::Tensor;

use crate::plain;
use crate::visible::VisibleKeys;

/// Runs the fused code where it applies to all of the tensors, else falls through.
macro_rules! fused {
    ($name:ident($first:ident $(, $tensor:ident)*; $($argument:expr),*)) => {
        #[cfg(feature = "flex")]
        if crate::flex::applies(&$first) $(&& crate::flex::applies(&$tensor))* {
            let fused = <burn::backend::Dispatch as crate::flex::Kernels>::$name(
                $first.into_dispatch() $(, $tensor.into_dispatch())* $(, $argument)*
            );
            return Tensor::from_dispatch(fused);
        }
    };
}

/// `silu(gate) * up`, the inside of a gated feed-forward, where `silu(x) = x * sigmoid(x)`.
///
/// # Shapes
///
/// - `gate`, `up` and output: the same
///
/// # Gradients
///
/// Through both.
///
/// # Panics
///
/// If the shapes differ.
pub fn silu_gate<const D: usize>(gate: Tensor<D>, up: Tensor<D>) -> Tensor<D> {
    assert_eq!(gate.dims(), up.dims(), "gate and up have one shape");
    fused!(silu_gate(gate, up;));
    plain::silu_gate(gate, up)
}

/// `x / sqrt(mean(x^2) + epsilon) * gamma` over the last dimension.
///
/// # Shapes
///
/// - `x` and output: `[.., d_model]`; `gamma`: `[d_model]`
///
/// # Gradients
///
/// Through both.
///
/// # Panics
///
/// If the last dimension of `x` is not that of `gamma`.
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, epsilon: f64) -> Tensor<D> {
    assert_eq!(
        x.dims()[D - 1],
        gamma.dims()[0],
        "gamma has one value per channel"
    );
    fused!(rms_norm(x, gamma; epsilon as f32));
    plain::rms_norm(x, gamma, epsilon)
}

/// `x w`: rows times a matrix of weights.
///
/// # Shapes
///
/// - `x`: `[.., d_input]`; `weight`: `[d_input, d_output]`; output: `[.., d_output]`
///
/// # Gradients
///
/// Through both.
///
/// # Panics
///
/// If the last dimension of `x` is not the first of `weight`.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>) -> Tensor<D> {
    assert_eq!(
        x.dims()[D - 1],
        weight.dims()[0],
        "weights fit the channels"
    );
    fused!(linear(x, weight;));
    plain::linear(x, weight)
}

/// Attention of grouped heads: `n_heads / n_kv_heads` neighboring query heads share a key head. A query
/// mixes the values of the keys it may look at by `softmax(q k)`; the scale is that of `q`.
///
/// # Shapes
///
/// - `q`: `[batch, n_heads, n_queries, head_dim]`; `k`, `v`: `[batch, n_kv_heads, n_keys, head_dim]`
/// - output: `[batch, n_queries, n_heads * head_dim]`
///
/// # Gradients
///
/// Through all three.
///
/// # Panics
///
/// If the shapes do not fit, or a query may look at a key that is not there.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, visible: &VisibleKeys) -> Tensor<3> {
    let [batch, n_heads, n_queries, head_dim] = q.dims();
    let [_, n_kv_heads, n_keys, _] = k.dims();
    let ranges = &visible.ranges;
    assert_eq!(
        k.dims(),
        [batch, n_kv_heads, n_keys, head_dim],
        "keys fit the queries"
    );
    assert_eq!(k.dims(), v.dims(), "keys and values have one shape");
    assert!(
        n_heads.is_multiple_of(n_kv_heads),
        "{n_heads} heads over {n_kv_heads}"
    );
    assert!(
        ranges.n_rows == 1 || ranges.n_rows == batch,
        "rows of visible keys"
    );
    assert_eq!(
        ranges.n_queries, n_queries,
        "every query has its visible keys"
    );
    assert!(
        ranges.keys.iter().all(|keys| keys.end <= n_keys),
        "more than {n_keys} keys"
    );
    fused!(attention(q, k, v; visible.ranges.clone()));
    plain::attention(q, k, v, visible)
}

/// Splits heads off, turns them by rotary positions and scales them. With `h` half of a head's channels,
/// channel `i < h` turns together with channel `i + h`:
///
/// ```text
/// y_i       = (x_i cos_i - x_{i+h} sin_i) scale
/// y_{i + h} = (x_{i+h} cos_i + x_i sin_i) scale
/// ```
///
/// # Shapes
///
/// - `x`: `[batch, seq, n_heads, head_dim]`; output: `[batch, n_heads, seq, head_dim]`
/// - `cos`, `sin`: `[1 or batch, 1, seq, head_dim]`, both halves of the last dimension equal
///
/// # Gradients
///
/// Through `x`. Cosines and sines are constants.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn rotate_heads(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>, scale: f64) -> Tensor<4> {
    let [batch, seq, _, head_dim] = x.dims();
    let rows = cos.dims()[0];
    assert!(
        rows == 1 || rows == batch,
        "{rows} rows of angles for {batch}"
    );
    assert!(
        head_dim.is_multiple_of(2),
        "{head_dim} channels have no halves"
    );
    assert_eq!(cos.dims(), [rows, 1, seq, head_dim], "angles fit the heads");
    assert_eq!(cos.dims(), sin.dims(), "cosines and sines have one shape");
    fused!(rotate_heads(x, cos, sin; scale as f32));
    plain::rotate_heads(x, cos, sin, scale)
}

/// `log softmax(logits)` at one column of each row, in nats.
///
/// # Shapes
///
/// - `logits`: `[n_targets, vocab]`; output: `[n_targets]`
///
/// # Gradients
///
/// Through `logits`.
///
/// # Panics
///
/// If there is not one target per row, or one is not a column.
pub fn target_logprobs(logits: Tensor<2>, targets: &[i32]) -> Tensor<1> {
    let [n_rows, vocab] = logits.dims();
    assert_eq!(n_rows, targets.len(), "one target per row");
    let is_column = |target: &i32| usize::try_from(*target).is_ok_and(|target| target < vocab);
    assert!(
        targets.iter().all(is_column),
        "a target is beyond {vocab} columns"
    );
    fused!(target_logprobs(logits; targets.to_vec()));
    plain::target_logprobs(logits, targets)
}
