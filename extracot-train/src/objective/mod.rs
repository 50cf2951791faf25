//! Policy objectives: one algorithm per file.

mod chrpo;
mod grpo;

use burn::tensor::Tensor;

pub use chrpo::Chrpo;
pub use grpo::Grpo;

use crate::batch::{PolicyBatch, PolicyTensors};

/// The loss of a policy update.
///
/// An implementor divides by the totals of the batch, so that the losses of shards add up to the
/// loss of the whole, and lets gradients through `logprobs` only.
pub trait PolicyObjective: Send + Sync {
    /// Whether the objective compares with a reference policy.
    fn needs_reference(&self) -> bool;

    /// The loss of one shard.
    ///
    /// # Shapes
    ///
    /// - `logprobs`: `[n_tokens]` of `batch`, in nats at temperature 1; output: `[1]`
    fn loss(&self, batch: &PolicyBatch, inputs: PolicyTensors, logprobs: Tensor<1>) -> Tensor<1>;
}
