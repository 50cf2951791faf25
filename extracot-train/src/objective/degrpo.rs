//! DeGRPO: the control token and the rest of the rollout are normalized apart.

use burn::tensor::Tensor;

use super::PolicyObjective;
use crate::batch::{PolicyBatch, PolicyTensors};
use crate::loss::{ClipRange, clipped_policy_loss, kl_k3};

/// With `T_i + 1` tokens in rollout `i`, the first of them the control token:
///
/// ```text
/// loss = mean_i( alpha clip_pg(A_main) at t = 0 + 1/T_i sum_{t >= 1} clip_pg(A_main)
///                + beta 1/(T_i + 1) sum_t k3 )
/// ```
///
/// A rollout of one token has a control part only. Goes with
/// [`GroupCentered`](extracot_core::advantage::GroupCentered) advantages.
///
/// # Source
///
/// Thinkless (arXiv 2505.13379), section 3.2. The released code has an `alpha` and a `beta` of 0.001 and
/// averages the response over the tokens of a micro-batch instead of within a rollout. The average of the
/// divergence is our choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeGrpo {
    /// Bounds of the importance weights.
    pub clip: ClipRange,
    /// Weight of the control token.
    pub alpha: f64,
    /// Weight of the divergence from the reference policy; 0 needs none.
    pub beta: f64,
}

impl PolicyObjective for DeGrpo {
    fn needs_reference(&self) -> bool {
        self.beta > 0.0
    }

    fn clip(&self) -> Option<ClipRange> {
        Some(self.clip)
    }

    fn loss(&self, batch: &PolicyBatch, inputs: PolicyTensors, logprobs: Tensor<1>) -> Tensor<1> {
        let device = logprobs.device();
        let policy = clipped_policy_loss(
            logprobs.clone(),
            inputs.old_logprobs,
            inputs.advantages_main,
            self.clip,
        );
        let weights = batch.per_token(&device, |n_tokens, t| match t {
            0 => self.alpha,
            _ => 1.0 / (n_tokens - 1) as f64,
        });
        let mut total = policy * weights;
        if let Some(reference) = inputs.ref_logprobs {
            let weights = batch.per_token(&device, |n_tokens, _| self.beta / n_tokens as f64);
            total = total + kl_k3(logprobs, reference) * weights;
        }
        total.sum() / batch.n_rollouts_total as f64
    }
}
