//! Additive attention biases: 0 where a query may look, [`MASKED`] elsewhere.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Added to a score that must not count. Finite: a row with nothing to look at stays a number, and
/// `exp` of it is exactly 0 next to any real score.
pub const MASKED: f32 = -1e9;

/// The bias of causal attention.
///
/// # Shapes
///
/// - output: `[1, 1, seq, seq]`
pub fn causal_bias(seq: usize, device: &Device) -> Tensor<4> {
    let mut values = vec![MASKED; seq * seq];
    for query in 0..seq {
        values[query * seq..query * seq + query + 1].fill(0.0);
    }
    Tensor::from_data(
        TensorData::new(values, [1, 1, seq, seq]),
        (device, DType::F32),
    )
}

/// Repeats a bias for the query heads that share a key head.
///
/// # Shapes
///
/// - `bias`: `[batch, 1, seq, n_keys]`; output: `[batch, 1, n_groups * seq, n_keys]`
pub fn repeat_groups(bias: Tensor<4>, n_groups: usize) -> Tensor<4> {
    bias.repeat_dim(2, n_groups)
}
