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

/// One sample of a replay file. The rows of `rollouts.jsonl` have these fields where a run keeps tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedRollout {
    /// The prompt.
    pub prompt_id: String,
    /// The seed that its group was sampled with; a group without one answers to every seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The sample.
    #[serde(flatten)]
    pub rollout: Rollout,
}

/// Gives recorded rollouts back: those of another engine, or of a run that is replayed.
#[derive(Debug, Clone, Default)]
pub struct ReplayEngine {
    groups: BTreeMap<(Option<u64>, String), Vec<Rollout>>,
}

impl ReplayEngine {
    /// An engine that knows these samples; those of a group stand in order of `sample_idx`, from 0.
    ///
    /// # Errors
    ///
    /// [`CoreError::Replay`] for a sample that is out of order, that has no tokens, or that has not one
    /// log-probability, finite and at most 0, for each of them.
    pub fn try_new(rows: impl IntoIterator<Item = RecordedRollout>) -> Result<Self, CoreError> {
        let mut groups: BTreeMap<_, Vec<Rollout>> = BTreeMap::new();
        for row in rows {
            let RecordedRollout {
                prompt_id,
                seed,
                rollout,
            } = row;
            let group = groups.entry((seed, prompt_id.clone())).or_default();
            // A sum that rounds may end a little above 0.
            let is_logprob = |value: &f32| value.is_finite() && *value <= 1e-4;
            let message = if rollout.sample_idx != group.len() {
                format!(
                    "`sample_idx` is {}, and {} is next in its group",
                    rollout.sample_idx,
                    group.len()
                )
            } else if rollout.token_ids.is_empty() {
                "a sample has no tokens".to_owned()
            } else if rollout.logprobs.len() != rollout.token_ids.len() {
                format!(
                    "{} tokens with {} log-probabilities",
                    rollout.token_ids.len(),
                    rollout.logprobs.len()
                )
            } else if !rollout.logprobs.iter().all(is_logprob) {
                "a log-probability is above 0 or not finite".to_owned()
            } else {
                group.push(rollout);
                continue;
            };
            return Err(CoreError::Replay { prompt_id, message });
        }
        Ok(Self { groups })
    }
}

impl RolloutEngine for ReplayEngine {
    type Error = CoreError;

    fn rollout(
        &self,
        prompts: &[Prompt],
        params: &SamplingParams,
        seed: Seed,
    ) -> Result<Vec<RolloutGroup>, CoreError> {
        prompts
            .iter()
            .map(|prompt| {
                let group = |seed| self.groups.get(&(seed, prompt.id.clone()));
                let known = group(Some(seed.0)).or_else(|| group(None));
                let known = known.map_or(&[][..], Vec::as_slice);
                let rollouts = known
                    .get(..params.group_size)
                    .ok_or_else(|| CoreError::Replay {
                        prompt_id: prompt.id.clone(),
                        message: format!(
                            "{} samples are wanted for the seed {}, {} are recorded",
                            params.group_size,
                            seed.0,
                            known.len()
                        ),
                    })?;
                Ok(RolloutGroup {
                    prompt: prompt.clone(),
                    rollouts: rollouts.to_vec(),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(prompt_id: &str, seed: Option<u64>, sample_idx: usize, id: u32) -> RecordedRollout {
        RecordedRollout {
            prompt_id: prompt_id.to_owned(),
            seed,
            rollout: Rollout {
                sample_idx,
                token_ids: vec![id],
                logprobs: vec![-0.5],
                finish: FinishReason::EndToken,
            },
        }
    }

    fn first_ids(engine: &ReplayEngine, prompt_id: &str, seed: u64) -> Result<Vec<u32>, CoreError> {
        let prompt = Prompt {
            id: prompt_id.to_owned(),
            token_ids: vec![1],
        };
        let params = SamplingParams::at(1.0, 2, 8);
        let groups = engine.rollout(&[prompt], &params, Seed(seed))?;
        Ok(groups[0].rollouts.iter().map(|r| r.token_ids[0]).collect())
    }

    #[test]
    fn a_group_of_the_seed_comes_before_one_of_no_seed() {
        let rows = [
            row("a", None, 0, 1),
            row("a", None, 1, 2),
            row("a", Some(7), 0, 3),
            row("b", Some(7), 0, 5),
            row("a", Some(7), 1, 4),
        ];
        // As in a file.
        let rows =
            rows.map(|row| serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap());
        let engine = ReplayEngine::try_new(rows).unwrap();
        assert_eq!(first_ids(&engine, "a", 7).unwrap(), [3, 4]);
        assert_eq!(first_ids(&engine, "a", 8).unwrap(), [1, 2]);
        let error = first_ids(&engine, "b", 7).unwrap_err().to_string();
        assert!(
            error.contains("`b`: 2 samples are wanted for the seed 7, 1 are recorded"),
            "{error}"
        );
        assert!(first_ids(&engine, "c", 7).is_err());
    }

    #[test]
    fn samples_that_cannot_be_learned_from_are_refused() {
        let changed = |change: fn(&mut RecordedRollout)| {
            let mut row = row("a", None, 0, 1);
            change(&mut row);
            ReplayEngine::try_new([row]).unwrap_err().to_string()
        };
        assert!(changed(|r| r.rollout.sample_idx = 1).contains("0 is next"));
        assert!(changed(|r| r.rollout.token_ids.clear()).contains("no tokens"));
        assert!(changed(|r| r.rollout.logprobs.push(-1.0)).contains("1 tokens with 2"));
        assert!(changed(|r| r.rollout.logprobs[0] = 0.1).contains("above 0"));
        assert!(changed(|r| r.rollout.logprobs[0] = f32::NAN).contains("not finite"));
    }
}
