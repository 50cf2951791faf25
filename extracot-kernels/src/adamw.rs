//! A step of AdamW, on any device.

use burn::tensor::Tensor;

use crate::plain;

/// The numbers of one step of AdamW.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Decay rate of the first moment.
    pub beta_1: f32,
    /// Decay rate of the second moment.
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// `1 - beta_1^t` in step `t`.
    pub correction_1: f32,
    /// `1 - beta_2^t` in step `t`.
    pub correction_2: f32,
    /// What is left of a weight: `1 - rate * weight_decay`.
    pub kept: f64,
    /// Learning rate.
    pub rate: f64,
}

/// Weights and moments after a step of AdamW with decoupled decay:
///
/// ```text
/// m = beta_1 m + (1 - beta_1) g
/// v = beta_2 v + (1 - beta_2) g^2
/// w = kept w - rate (m / correction_1) / (sqrt(v / correction_2) + epsilon)
/// ```
///
/// rounded after every operation, as burn's AdamW is: the same bytes. The fused code overwrites weights and
/// moments that nothing else holds.
///
/// # Shapes
///
/// - `weights`, `grad`, `moments` and output: the same
///
/// # Gradients
///
/// None.
///
/// # Panics
///
/// If the shapes differ, or a tensor is on an autodiff device.
///
/// # Source
///
/// Loshchilov and Hutter, Decoupled Weight Decay Regularization, algorithm 2.
pub fn adamw<const D: usize>(
    weights: Tensor<D>,
    grad: Tensor<D>,
    [first, second]: [Tensor<D>; 2],
    step: AdamWStep,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    for tensor in [&grad, &first, &second] {
        assert_eq!(tensor.dims(), weights.dims(), "all tensors have one shape");
    }
    let tensors = [weights, grad, first, second];
    assert!(
        tensors.iter().all(|tensor| !tensor.device().is_autodiff()),
        "AdamW has no gradient"
    );
    #[cfg(feature = "flex")]
    if tensors.iter().all(crate::flex::applies) {
        let [weights, grad, first, second] = tensors.map(Tensor::into_dispatch);
        let (weights, first, second) = <burn::backend::Dispatch as crate::flex::Steps>::adamw(
            weights, grad, first, second, step,
        );
        let [weights, first, second] = [weights, first, second].map(Tensor::from_dispatch);
        return (weights, [first, second]);
    }
    let [weights, grad, first, second] = tensors;
    plain::adamw(weights, grad, [first, second], step)
}
