//! Dr. GRPO: every token counts the same in every batch.

use burn::tensor::Tensor;
use extracot_core::CoreError;

use super::PolicyObjective;
use crate::batch::{PolicyBatch, PolicyTensors};
use crate::loss::{ClipRange, clipped_policy_loss};

/// ```text
/// loss = sum_i sum_t clip_pg(A_main) / (n_rollouts max_tokens)
/// ```
///
/// The denominator does not depend on how long the rollouts are, so neither does the weight of a token.
/// Goes with [`GroupCentered`](extracot_core::advantage::GroupCentered) advantages, which are not divided
/// by the deviation of their group.
///
/// # Source
///
/// Dr. GRPO (arXiv 2503.20783), section 3.2; the constant: listing 1, the limit of new tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrGrpo {
    clip: ClipRange,
    max_tokens: usize,
}

impl DrGrpo {
    /// `max_tokens` is the limit of new tokens of a rollout.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if `max_tokens` is 0.
    pub fn try_new(clip: ClipRange, max_tokens: usize) -> Result<Self, CoreError> {
        if max_tokens == 0 {
            return Err(CoreError::Setting {
                key: "dr_grpo.max_tokens",
                found: "0".to_owned(),
                allowed: "at least 1",
            });
        }
        Ok(Self { clip, max_tokens })
    }
}

impl PolicyObjective for DrGrpo {
    fn needs_reference(&self) -> bool {
        false
    }

    fn clip(&self) -> Option<ClipRange> {
        Some(self.clip)
    }

    fn loss(&self, batch: &PolicyBatch, inputs: PolicyTensors, logprobs: Tensor<1>) -> Tensor<1> {
        let policy = clipped_policy_loss(
            logprobs,
            inputs.old_logprobs,
            inputs.advantages_main,
            self.clip,
        );
        policy.sum() / (batch.n_rollouts_total * self.max_tokens) as f64
    }
}
