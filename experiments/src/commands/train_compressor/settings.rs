//! Settings of the command: the defaults, a file over them, `--set` on top.

use anyhow::{Context, Result, bail};
use extracot_models::{LongformerConfig, LongformerSize};
use extracot_train::compressor_trainer::HeldOutConfig;
use extracot_train::{CompressorConfig, Updater};
use serde::{Deserialize, Serialize};

use super::TrainCompressor;

const DEFAULTS: &str = include_str!("../../../configs/train_compressor.toml");

/// All settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) held_out_share: f64,
    pub(super) checkpoint_every: usize,
    pub(super) keep_last: usize,
    /// Of a new classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<LongformerSize>,
    pub(super) train: CompressorConfig,
    pub(super) held_out: HeldOutConfig,
}

impl Settings {
    pub(super) fn resolve(arguments: &TrainCompressor) -> Result<Self> {
        let mut settings: Self = arguments.run.settings(DEFAULTS)?;
        if arguments.init.is_some() {
            let file: toml::Table = arguments.run.file()?.parse()?;
            let in_file = file.contains_key("model");
            let mut overrides = arguments.run.overrides.iter();
            if in_file || overrides.any(|setting| setting.starts_with("model.")) {
                bail!("the sizes under `model` have no effect with --init; leave them out");
            }
            settings.model = None;
        }
        settings.check()?;
        Ok(settings)
    }

    /// What can be told before the data are read.
    fn check(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.held_out_share) {
            let share = self.held_out_share;
            bail!("held_out_share = {share} is not allowed: at least 0 and below 1");
        }
        for (key, value) in [
            ("checkpoint_every", self.checkpoint_every),
            ("keep_last", self.keep_last),
            ("train.n_steps", self.train.n_steps),
            ("train.batch_size", self.train.batch_size),
            ("train.n_shards", self.train.n_shards),
            ("held_out.every", self.held_out.every),
            ("held_out.batch_size", self.held_out.batch_size),
        ] {
            if value == 0 {
                bail!("{key} = 0 is not allowed: at least 1");
            }
        }
        if !self.train.gamma.is_finite() || self.train.gamma < 0.0 {
            let gamma = self.train.gamma;
            bail!("train.gamma = {gamma} is not allowed: at least 0");
        }
        Updater::try_new(&self.train.update, self.train.n_steps).context("train.update")?;
        if let Some(size) = self.model {
            LongformerConfig::longformer(size, 1).check()?;
        }
        Ok(())
    }
}
