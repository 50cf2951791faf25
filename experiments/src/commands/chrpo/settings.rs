//! Settings of the command: the defaults, a file over them, `--set` on top.

use anyhow::{Context, Result, bail};
use extracot_models::TrainingRows;
use extracot_models::lora::LoraConfig;
use extracot_train::Updater;
use extracot_train::policy_trainer::PolicyConfig;
use serde::{Deserialize, Serialize};

use crate::commands::training::TrainingArguments;
use crate::config::{AblationConfig, ChrpoConfig, RewardConfig};
use crate::pipeline::{Arm, arm_names, named_arm};

const DEFAULTS: &str = include_str!("../../../configs/chrpo.toml");

/// All settings. `reward` and `chrpo` are those of the ablations, so that `extracot audit` reads them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) arm: String,
    pub(super) validation_share: f64,
    pub(super) validation_every: usize,
    pub(super) checkpoint_every: usize,
    pub(super) keep_last: usize,
    /// Recompute cheap activations in the backward pass.
    pub(super) gradient_checkpointing: bool,
    /// System turn of the prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) system: Option<String>,
    pub(super) reward: RewardConfig,
    pub(super) chrpo: ChrpoConfig,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lora: Option<LoraConfig>,
}

impl Settings {
    pub(super) fn resolve(arguments: &TrainingArguments) -> Result<Self> {
        let settings: Self = arguments.settings(DEFAULTS)?;
        settings.check()?;
        Ok(settings)
    }

    /// The arm that is trained.
    pub(super) fn arm(&self) -> Result<Arm> {
        let config = AblationConfig {
            reward: self.reward,
            chrpo: self.chrpo,
            ..AblationConfig::preset("default", &[])?
        };
        let plain = |name: &str| -> String {
            let letters = name.chars().filter(char::is_ascii_alphanumeric);
            letters.map(|c| c.to_ascii_lowercase()).collect()
        };
        let names = arm_names(&config)?;
        let name = names.iter().find(|name| plain(name) == plain(&self.arm));
        let arm = name.map(|name| named_arm(&config, name)).transpose()?;
        arm.flatten().with_context(|| {
            format!(
                "arm = \"{}\" is not known; known are {}",
                self.arm,
                names.join("; ")
            )
        })
    }

    /// The loop, with what an arm changes of it.
    pub(super) fn policy(&self, arm: &Arm) -> PolicyConfig {
        PolicyConfig {
            extra_rounds: arm.extra_rounds.unwrap_or(self.chrpo.policy.extra_rounds),
            ..self.chrpo.policy
        }
    }

    /// What a step computes on, for the estimate of its memory.
    pub(super) fn training_rows(&self, longest_prompt: usize) -> TrainingRows {
        let policy = &self.chrpo.policy;
        let rows = policy.prompts_per_step * policy.group_size;
        TrainingRows {
            rows,
            positions: longest_prompt + policy.max_new_tokens,
            n_tokens: policy.prompts_per_step * longest_prompt + rows * policy.max_new_tokens,
            n_shards: policy.n_shards,
            logits_chunk: policy.logits_chunk,
            lora: self.lora,
            n_copies: usize::from(self.validation_share > 0.0),
        }
    }

    /// What can be told before the problems are read.
    fn check(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.validation_share) {
            let share = self.validation_share;
            bail!("validation_share = {share} is not allowed: at least 0 and below 1");
        }
        let policy = &self.chrpo.policy;
        for (key, value, least) in [
            ("validation_every", self.validation_every, 1),
            ("checkpoint_every", self.checkpoint_every, 1),
            ("keep_last", self.keep_last, 1),
            ("chrpo.policy.n_steps", policy.n_steps, 1),
            ("chrpo.policy.prompts_per_step", policy.prompts_per_step, 1),
            ("chrpo.policy.group_size", policy.group_size, 2),
            ("chrpo.policy.updates_per_step", policy.updates_per_step, 1),
            ("chrpo.policy.max_new_tokens", policy.max_new_tokens, 1),
            ("chrpo.policy.batch_rows", policy.batch_rows, 1),
            ("chrpo.policy.n_shards", policy.n_shards, 1),
        ] {
            if value < least {
                bail!("{key} = {value} is not allowed: at least {least}");
            }
        }
        for (key, value) in [
            ("chrpo.alpha", self.chrpo.alpha),
            ("chrpo.beta", self.chrpo.beta),
        ] {
            if !value.is_finite() || value < 0.0 {
                bail!("{key} = {value} is not allowed: at least 0");
            }
        }
        let n_updates = policy.n_steps * policy.updates_per_step;
        Updater::try_new(&policy.update, n_updates).context("chrpo.policy.update")?;
        if let Some(lora) = &self.lora {
            lora.check().context("lora")?;
        }
        self.arm()?;
        Ok(())
    }
}
