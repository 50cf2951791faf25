//! Policy objectives: one algorithm per file.

mod chrpo;
mod dapo;
mod degrpo;
mod dr_grpo;
mod grpo;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

pub use chrpo::Chrpo;
pub use degrpo::DeGrpo;
pub use dr_grpo::DrGrpo;
pub use grpo::Grpo;

use crate::batch::{PolicyBatch, PolicyTensors};
use crate::loss::ClipRange;

/// The loss of a policy update.
///
/// An implementor divides by the totals of the batch, so that the losses of shards add up to the
/// loss of the whole, and lets gradients through `logprobs` only.
pub trait PolicyObjective: Send + Sync {
    /// Whether the objective compares with a reference policy.
    fn needs_reference(&self) -> bool;

    /// The bounds of the importance weights of the main part, if it has any: for the shares of clipped
    /// tokens in the metrics.
    fn clip(&self) -> Option<ClipRange> {
        None
    }

    /// The loss of one shard.
    ///
    /// # Shapes
    ///
    /// - `logprobs`: `[n_tokens]` of `batch`, in nats at the temperature of the
    ///   rollouts; output: `[1]`
    fn loss(&self, batch: &PolicyBatch, inputs: PolicyTensors, logprobs: Tensor<1>) -> Tensor<1>;
}
