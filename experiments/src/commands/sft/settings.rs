//! Settings of the command: the defaults, a file over them, `--set` on top.

use anyhow::{Context, Result, bail};
use extracot_core::KeepLevel;
use extracot_core::sft::{MixedRatio, Stage, StageKeys, StagedMixture};
use extracot_models::TrainingRows;
use extracot_models::lora::LoraConfig;
use extracot_train::{SftConfig, Updater};
use serde::{Deserialize, Serialize};

use crate::commands::training::TrainingArguments;

const DEFAULTS: &str = include_str!("../../../configs/sft.toml");

/// All settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) held_out_share: f64,
    pub(super) held_out_every: usize,
    pub(super) checkpoint_every: usize,
    pub(super) keep_last: usize,
    /// Recompute cheap activations in the backward pass.
    pub(super) gradient_checkpointing: bool,
    pub(super) fresh_control_tokens: bool,
    /// Empty: every example once per pass.
    #[serde(default)]
    pub(super) stages: Vec<StageKeys>,
    pub(super) train: SftConfig,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lora: Option<LoraConfig>,
}

impl Settings {
    pub(super) fn resolve(arguments: &TrainingArguments) -> Result<Self> {
        let settings: Self = arguments.settings(DEFAULTS)?;
        settings.check()?;
        Ok(settings)
    }

    /// The curriculum, if there are stages.
    pub(super) fn curriculum(&self) -> Result<Option<StagedMixture>> {
        if self.stages.is_empty() {
            return Ok(None);
        }
        let stages = self.stages.iter().map(|keys| {
            let levels: Vec<_> = KeepLevel::ALL.into_iter().zip(keys.weights).collect();
            Ok(Stage {
                from: keys.from,
                mixture: MixedRatio::try_new(&levels, keys.policy_share)?,
            })
        });
        Ok(Some(StagedMixture::try_new(
            stages.collect::<Result<Vec<_>>>()?,
        )?))
    }

    /// What a step computes on, for the estimate of its memory.
    pub(super) fn training_rows(&self, positions: usize) -> TrainingRows {
        TrainingRows {
            rows: self.train.batch_size,
            positions,
            n_tokens: self.train.batch_size * positions,
            n_shards: self.train.n_shards,
            logits_chunk: self.train.logits_chunk,
            lora: self.lora,
            n_copies: usize::from(self.held_out_share > 0.0)
                + usize::from(self.train.ema_decay > 0.0),
        }
    }

    /// What can be told before the data are read.
    fn check(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.held_out_share) {
            let share = self.held_out_share;
            bail!("held_out_share = {share} is not allowed: at least 0 and below 1");
        }
        for (key, value) in [
            ("held_out_every", self.held_out_every),
            ("checkpoint_every", self.checkpoint_every),
            ("keep_last", self.keep_last),
            ("train.n_steps", self.train.n_steps),
            ("train.batch_size", self.train.batch_size),
            ("train.n_shards", self.train.n_shards),
        ] {
            if value == 0 {
                bail!("{key} = 0 is not allowed: at least 1");
            }
        }
        let decay = self.train.ema_decay;
        if !(0.0..1.0).contains(&decay) {
            bail!("train.ema_decay = {decay} is not allowed: at least 0 and below 1");
        }
        Updater::try_new(&self.train.update, self.train.n_steps).context("train.update")?;
        if let Some(lora) = &self.lora {
            lora.check().context("lora")?;
        }
        self.curriculum().context("stages")?;
        Ok(())
    }
}
