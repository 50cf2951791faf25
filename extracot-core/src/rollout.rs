//! What a rollout engine takes and gives. Token ids are the result; text is derived from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CoreError, Seed};

/// A prompt ready for a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Names the prompt; its random streams are derived from it.
    pub id: String,
    /// Token ids, chat template included.
    pub token_ids: Vec<u32>,
}

/// How to sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SamplingParams {
    /// 0 is greedy; otherwise logits are divided by it.
    pub temperature: f64,
    /// Only so many of the most likely tokens may be drawn; `None` for all.
    pub top_k: Option<usize>,
    /// Of those, only the most likely ones whose probabilities sum up to this; 1 for all.
    pub top_p: f64,
    /// Samples per prompt.
    pub group_size: usize,
    /// Tokens after which a sample is cut ([`FinishReason::MaxTokens`]).
    pub max_new_tokens: usize,
}

impl SamplingParams {
    /// One greedy sample per prompt.
    pub fn greedy(max_new_tokens: usize) -> Self {
        Self::at(0.0, 1, max_new_tokens)
    }

    /// Samples at a temperature, from the whole vocabulary.
    pub fn at(temperature: f64, group_size: usize, max_new_tokens: usize) -> Self {
        Self {
            temperature,
            top_k: None,
            top_p: 1.0,
            group_size,
            max_new_tokens,
        }
    }
}

/// Why a sample ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its turn.
    EndToken,
    /// A stop string came up.
    StopString,
    /// The limit was reached.
    MaxTokens,
}

/// One sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Position in its group.
    pub sample_idx: usize,
    /// Sampled ids, the end token included.
    pub token_ids: Vec<u32>,
    /// Log-probability of each sampled id under the sampling distribution, in nats.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub finish: FinishReason,
}

/// All samples of one prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutGroup {
    /// The prompt.
    pub prompt: Prompt,
    /// Its samples, in order of `sample_idx`.
    pub rollouts: Vec<Rollout>,
}

/// Samples completions.
///
/// An implementor returns one group per prompt, in order, each of `group_size` rollouts, and the
/// same rollouts for the same prompts, parameters, seed and weights, however they are batched.
pub trait RolloutEngine {
    /// Why sampling failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Samples `params.group_size` completions of every prompt.
    ///
    /// # Errors
    ///
    /// If the engine cannot sample; model text is never an error.
    fn rollout(
        &self,
        prompts: &[Prompt],
        params: &SamplingParams,
        seed: Seed,
    ) -> Result<Vec<RolloutGroup>, Self::Error>;
}

/// Gives recorded rollouts back: for tests, and to replay the rewards of a run.
#[derive(Debug, Clone, Default)]
pub struct ReplayEngine {
    groups: BTreeMap<String, Vec<Rollout>>,
}

impl ReplayEngine {
    /// An engine that knows these groups.
    pub fn new(groups: impl IntoIterator<Item = RolloutGroup>) -> Self {
        Self {
            groups: groups
                .into_iter()
                .map(|g| (g.prompt.id, g.rollouts))
                .collect(),
        }
    }
}

impl RolloutEngine for ReplayEngine {
    type Error = CoreError;

    fn rollout(
        &self,
        prompts: &[Prompt],
        params: &SamplingParams,
        _seed: Seed,
    ) -> Result<Vec<RolloutGroup>, CoreError> {
        prompts
            .iter()
            .map(|prompt| {
                let known = self.groups.get(&prompt.id).map_or(&[][..], Vec::as_slice);
                let rollouts = known
                    .get(..params.group_size)
                    .ok_or_else(|| CoreError::Replay {
                        prompt_id: prompt.id.clone(),
                        wanted: params.group_size,
                        found: known.len(),
                    })?;
                Ok(RolloutGroup {
                    prompt: prompt.clone(),
                    rollouts: rollouts.to_vec(),
                })
            })
            .collect()
    }
}
