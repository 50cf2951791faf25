//! The clipped importance-weighted policy loss, token by token.

use burn::tensor::Tensor;
use extracot_core::CoreError;
use serde::{Deserialize, Serialize};

/// How far an importance weight may move before its gain is cut.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 2]", into = "[f64; 2]")]
pub struct ClipRange {
    low: f64,
    high: f64,
}

impl ClipRange {
    /// Weights between 0.8 and 1.28.
    ///
    /// # Source
    ///
    /// DAPO, arXiv 2503.14476, section 4.1.
    pub const DAPO: Self = Self {
        low: 0.2,
        high: 0.28,
    };

    /// Weights between `1 - low` and `1 + high`.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] unless `0 < low < 1` and `high > 0`.
    pub fn try_new(low: f64, high: f64) -> Result<Self, CoreError> {
        if low > 0.0 && low < 1.0 && high > 0.0 && high.is_finite() {
            return Ok(Self { low, high });
        }
        Err(CoreError::Setting {
            key: "clip",
            found: format!("[{low}, {high}]"),
            allowed: "[low, high] with 0 < low < 1 and 0 < high",
        })
    }

    /// Whether the loss of a token is cut at the lower bound: its probability fell as its advantage asks,
    /// and further than counts.
    pub fn cuts_low(self, weight: f64, advantage: f64) -> bool {
        advantage < 0.0 && weight < 1.0 - self.low
    }

    /// Whether the loss of a token is cut at the upper bound.
    pub fn cuts_high(self, weight: f64, advantage: f64) -> bool {
        advantage > 0.0 && weight > 1.0 + self.high
    }
}

impl TryFrom<[f64; 2]> for ClipRange {
    type Error = CoreError;
    fn try_from([low, high]: [f64; 2]) -> Result<Self, CoreError> {
        Self::try_new(low, high)
    }
}

impl From<ClipRange> for [f64; 2] {
    fn from(clip: ClipRange) -> Self {
        [clip.low, clip.high]
    }
}

/// Per-token policy loss; the caller averages.
///
/// ```text
/// w_t = exp(logp_t - old_logp_t)
/// l_t = -min(w_t A_t, clamp(w_t, 1 - low, 1 + high) A_t)
/// ```
///
/// # Shapes
///
/// - all tensors and output: `[n_tokens]`
///
/// # Gradients
///
/// Only through `logprobs`; exactly zero where the clamp is active.
///
/// # Source
///
/// PPO, arXiv 1707.06347, eq. 7; separate bounds: DAPO, arXiv 2503.14476, section 3.1.
pub fn clipped_policy_loss(
    logprobs: Tensor<1>,
    old_logprobs: Tensor<1>,
    advantages: Tensor<1>,
    clip: ClipRange,
) -> Tensor<1> {
    let weight = (logprobs - old_logprobs).exp();
    let clipped = weight.clone().clamp(1.0 - clip.low, 1.0 + clip.high);
    // The minimum is pessimistic: it cuts gains, never losses.
    (weight * advantages.clone())
        .min_pair(clipped * advantages)
        .neg()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData, Tolerance};

    use super::*;

    fn loss(logprobs: Tensor<1>, advantages: [f32; 4]) -> Tensor<1> {
        let device = logprobs.device();
        let old = Tensor::<1>::zeros([4], &device);
        let advantages = Tensor::<1>::from_data(advantages, &device);
        clipped_policy_loss(
            logprobs,
            old,
            advantages,
            ClipRange::try_new(0.2, 0.2).unwrap(),
        )
    }

    #[test]
    fn gains_are_cut_and_losses_are_not() {
        let weights = [1.5f32, 1.5, 0.5, 0.5].map(f32::ln);
        let device = Device::flex();
        let found = loss(Tensor::from_data(weights, &device), [1.0, -1.0, 1.0, -1.0]);
        // -1.2 (cut), +1.5, -0.5, +0.8 (cut).
        let want = TensorData::from([-1.2f32, 1.5, -0.5, 0.8]);
        found
            .into_data()
            .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-6));
    }

    #[test]
    fn the_gradient_is_zero_where_the_clamp_is_active_and_else_that_of_the_weight() {
        let device = Device::flex().autodiff();
        let leaf =
            Tensor::<1>::from_data([1.5f32, 1.5, 0.5, 1.1].map(f32::ln), &device).require_grad();
        let grads = loss(leaf.clone(), [1.0, -1.0, -1.0, 2.0]).sum().backward();
        // d(-w A)/dlogp = -w A where the clamp is not active.
        let want = TensorData::from([0.0f32, 1.5, 0.0, -2.2]);
        let found = leaf.grad(&grads).unwrap();
        found
            .into_data()
            .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-5));
    }

    #[test]
    fn swapped_or_empty_ranges_are_refused() {
        assert!(ClipRange::try_new(1.2, 0.2).is_err());
        assert!(ClipRange::try_new(0.0, 0.2).is_err());
        assert!(ClipRange::try_new(0.2, 0.0).is_err());
    }
}
