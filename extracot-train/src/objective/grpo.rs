//! GRPO with a token mean.

use burn::tensor::Tensor;

use super::PolicyObjective;
use crate::batch::{PolicyBatch, PolicyTensors};
use crate::loss::{ClipRange, clipped_policy_loss, kl_k3};

/// ```text
/// loss = tokenmean_t( clip_pg(A_main) + beta k3 )
/// ```
///
/// The mean runs over all action tokens of the update.
///
/// # Source
///
/// DeepSeekMath, arXiv 2402.03300, eq. 3; token mean: DAPO, arXiv 2503.14476, section 3.3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grpo {
    /// Bounds of the importance weights.
    pub clip: ClipRange,
    /// Weight of the divergence from the reference policy; 0 needs none.
    pub beta: f64,
}

impl PolicyObjective for Grpo {
    fn needs_reference(&self) -> bool {
        self.beta > 0.0
    }

    fn clip(&self) -> Option<ClipRange> {
        Some(self.clip)
    }

    fn loss(&self, batch: &PolicyBatch, inputs: PolicyTensors, logprobs: Tensor<1>) -> Tensor<1> {
        let policy = clipped_policy_loss(
            logprobs.clone(),
            inputs.old_logprobs,
            inputs.advantages_main,
            self.clip,
        );
        let total = match inputs.ref_logprobs {
            Some(reference) => policy + kl_k3(logprobs, reference) * self.beta,
            None => policy,
        };
        total.sum() / batch.n_tokens_total as f64
    }
}
