//! Settings of a reinforcement run.

use std::num::NonZeroUsize;

use extracot_core::CoreError;
use serde::{Deserialize, Serialize};

use super::ratios::check_temperature;
use crate::TrainError;
use crate::update::UpdateConfig;

/// Settings of a reinforcement run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Steps: one batch of rollouts and its updates each.
    pub n_steps: usize,
    /// Problems per step.
    pub prompts_per_step: usize,
    /// Rollouts per problem.
    pub group_size: usize,
    /// Updates per batch of rollouts.
    pub updates_per_step: usize,
    /// Temperature of the rollouts, and of the log-probabilities that the update compares with theirs.
    #[serde(default = "one")]
    pub temperature: f64,
    /// Draws of other problems per step that may take the place of constant groups (dynamic sampling of
    /// DAPO, arXiv 2503.14476, section 3.2); 0 trains on the groups of the one draw as they are.
    #[serde(default)]
    pub extra_rounds: usize,
    /// Tokens after which a rollout is cut.
    pub max_new_tokens: usize,
    /// Tokens whose logits exist at a time in an update; all of a shard without it. A large vocabulary
    /// needs it; the head is then computed twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logits_chunk: Option<NonZeroUsize>,
    /// Rows decoded together.
    pub batch_rows: usize,
    /// Pieces of a batch that are computed side by side.
    pub n_shards: usize,
    /// Optimizer and schedule.
    pub update: UpdateConfig,
}

fn one() -> f64 {
    1.0
}

impl PolicyConfig {
    /// Refuses settings without sense.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        if self.updates_per_step == 0 || self.group_size < 2 || self.prompts_per_step == 0 {
            return Err(TrainError::Core(CoreError::Setting {
                key: "updates_per_step, group_size, prompts_per_step",
                found: format!(
                    "{}, {}, {}",
                    self.updates_per_step, self.group_size, self.prompts_per_step
                ),
                allowed: "at least 1 update, 2 rollouts per problem and 1 problem",
            }));
        }
        Ok(check_temperature(self.temperature)?)
    }
}
