//! What the commands that train share: arguments, settings, the run folder with its states, progress.

mod folder;
mod inputs;
mod progress;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, Result};
use burn::tensor::{DType, Device};
use clap::Args;
use extracot_core::CoreError;
use extracot_models::memory::gib;
use extracot_models::{DecoderConfig, Workload};
use serde::de::DeserializeOwned;

use super::estimate::check_fits;
use crate::config::parse_over;
pub(super) use folder::{METRICS, RunFolder, hint_to_resume};
pub(super) use inputs::{explain_rows, model_inputs, share_of};
pub(super) use progress::StepProgress;

/// Arguments of every command that trains.
#[derive(Debug, Args)]
pub struct TrainingArguments {
    /// Folder to write: the model with the run's files beside it
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Settings in TOML, in place of the defaults they name; --dry-run prints them
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Change one setting, as in --set train.n_steps=500 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) overrides: Vec<String>,
    /// Root of all random streams: the same seed gives the same bytes on CPU
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Go on with the run in the folder
    #[arg(long)]
    pub(super) resume: bool,
    /// Print the resolved settings and stop
    #[arg(long)]
    pub(super) dry_run: bool,
    /// flex (CPU), vulkan, wgpu or cuda; :N for a GPU of that number, :cpu for a software device
    #[arg(long, default_value = "flex")]
    pub(super) device: String,
    /// Threads, all cores by default; no result depends on their number
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<NonZeroUsize>,
    /// Print no progress
    #[arg(long)]
    pub(super) quiet: bool,
}

impl TrainingArguments {
    /// The defaults, the file over them, `--set` on top.
    pub(super) fn settings<T: DeserializeOwned>(&self, defaults: &str) -> Result<T> {
        let sources = || {
            let file = self.config.as_ref();
            let file = file.map_or("defaults".to_owned(), |path| path.display().to_string());
            format!("settings of {file} with {:?}", self.overrides)
        };
        parse_over(defaults, &self.file()?, &self.overrides).with_context(sources)
    }

    /// The text of `--config`; empty without one.
    pub(super) fn file(&self) -> Result<String> {
        match &self.config {
            Some(path) => {
                Ok(std::fs::read_to_string(path).map_err(CoreError::io("read", path.as_path()))?)
            }
            None => Ok(String::new()),
        }
    }

    /// Sets the number of threads and finds the device.
    pub(super) fn device(&self) -> Result<Device> {
        crate::device::set_threads(self.threads)?;
        crate::device::device(&self.device)
    }
}

/// Refuses a run that may not fit the memory of the host, and says what it will take; only where tensors are
/// there.
///
/// # Errors
///
/// As [`check_fits`].
pub(super) fn check_memory(
    arguments: &TrainingArguments,
    name: &str,
    config: &DecoderConfig,
    workload: Workload,
) -> Result<()> {
    if !arguments.device.starts_with("flex") {
        return Ok(());
    }
    let estimate = check_fits(config, DType::F32, workload)?;
    if !arguments.quiet {
        let gibibytes = gib(estimate.total());
        eprintln!("[{name}] memory: up to about {gibibytes:.1} GiB");
    }
    Ok(())
}

/// The autodiff side of a device.
pub(super) fn autodiff(device: &Device, gradient_checkpointing: bool) -> Device {
    let device = device.clone().autodiff();
    match gradient_checkpointing {
        true => device.gradient_checkpointing(),
        false => device,
    }
}
