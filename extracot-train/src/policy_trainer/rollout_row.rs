//! What `rollouts.jsonl` says of every rollout.

use extracot_core::advantage::SegmentAdvantages;
use extracot_core::reward::RewardBreakdown;
use extracot_core::{FinishReason, KeepLevel, Response, Verdict};
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::{PolicyConfig, RolloutSource};

/// One row of `rollouts.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutRow {
    /// The step, from 0.
    pub step: usize,
    /// The problem.
    pub prompt_id: String,
    /// Position in its group.
    pub sample_idx: usize,
    /// The seed of the step's rollouts.
    pub seed: u64,
    /// The level the model chose, if it stated one.
    pub chosen: Option<KeepLevel>,
    /// The teacher budget.
    pub budget: Option<KeepLevel>,
    /// Verdict with its reason.
    pub verdict: Verdict,
    /// Think tokens.
    pub think_tokens: usize,
    /// Think tokens / reference think tokens.
    pub realized_ratio: f64,
    /// The decoded completion.
    pub text: String,
    /// The gold answer.
    pub answer: String,
    /// Think tokens of the reference answer.
    pub reference_tokens: usize,
    /// The completion, taken apart.
    pub response: Response,
    /// The reward with all its parts; `None` if the answer could not be judged.
    pub reward: Option<RewardBreakdown>,
    /// The advantages; `None` as above.
    pub advantages: Option<SegmentAdvantages>,
    /// Why the update did not see its group; only with [`PolicyConfig::extra_rounds`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// What was sampled, where the run keeps it ([`RolloutSource::Sampled`]).
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<SampledTokens>,
}

/// A rollout as it can be replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampledTokens {
    /// Sampled ids, the end token included.
    pub token_ids: Vec<u32>,
    /// Log-probability of each under the distribution it was sampled from, in nats.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub finish: FinishReason,
}

/// Why dynamic sampling left a group out of the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// All of its main rewards are equal, and all of its control rewards: it teaches nothing.
    Constant,
    /// The step had its groups already.
    Surplus,
}
