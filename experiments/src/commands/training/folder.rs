//! The folder of a run: its settings, its states, what makes it complete.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, anyhow};
use burn::module::Module;
use extracot_core::CoreError;
use extracot_core::digest::file_sha256;
use extracot_core::jsonl::read_jsonl;
use extracot_models::{Decoder, LoraConfig, PolicyCheckpoint, merge_lora, save_lora};
use extracot_train::TrainError;
use extracot_train::checkpoints::{Checkpoints, RunControl};
use serde::Serialize;

use super::TrainingArguments;
use crate::commands::command_to_go_on;
use crate::config::content_hash;
use crate::interrupt;
use crate::report::{TrainingReport, render_training_html};
use crate::run::{claim, is_complete, steps_done, write_manifest, write_text};

/// Log of the steps.
pub(super) const EVENTS: &str = "events.jsonl";
/// What came out; written behind the training.
pub(in crate::commands) const METRICS: &str = "metrics.json";

/// The folder of a run that is not complete.
pub(in crate::commands) struct RunFolder {
    pub(super) name: &'static str,
    pub(in crate::commands) path: PathBuf,
    config_hash: String,
    started: Instant,
    pub(in crate::commands) checkpoints: Checkpoints,
    /// Steps that are done.
    pub(in crate::commands) n_done: usize,
}

impl RunFolder {
    /// Takes the folder of the arguments for the command `name`; `None` if its run is complete already.
    /// `inputs` are the files that the result depends on, `every` and `keep_last` those of the states.
    ///
    /// # Errors
    ///
    /// If the folder holds another run, or its states cannot be used.
    pub(in crate::commands) fn open(
        arguments: &TrainingArguments,
        name: &'static str,
        settings: &impl Serialize,
        inputs: &[(String, PathBuf)],
        (every, keep_last): (usize, usize),
    ) -> Result<Option<Self>> {
        let started = Instant::now();
        let resolved = resolved(arguments, name, settings, inputs)?;
        let out = &arguments.out;
        if arguments.resume && is_complete(out, &resolved) {
            if !arguments.quiet {
                eprintln!("[{name}] already complete");
            }
            return Ok(None);
        }
        claim(out, &resolved, arguments.resume)?;
        let checkpoints = Checkpoints {
            folder: out.join("checkpoints"),
            every,
            keep_last,
        };
        let n_done = steps_done(&checkpoints, name)?;
        if n_done > 0 && !arguments.quiet {
            eprintln!("[{name}] goes on behind step {n_done}");
        }
        interrupt::listen();
        Ok(Some(Self {
            name,
            path: out.clone(),
            config_hash: content_hash(&resolved)?,
            started,
            checkpoints,
            n_done,
        }))
    }

    /// States, and the end by Ctrl-C.
    pub(in crate::commands) fn control(&self) -> RunControl<'_> {
        RunControl {
            checkpoints: &self.checkpoints,
            should_stop: &interrupt::is_asked,
        }
    }

    /// Path of a file.
    pub(in crate::commands) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a trained model with the tokenizer and the other files of `checkpoint`; its adapters too, if
    /// it has some, and then merged.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub(in crate::commands) fn save_policy(
        &self,
        model: Decoder,
        lora: Option<&LoraConfig>,
        checkpoint: PolicyCheckpoint,
    ) -> Result<()> {
        let model = match lora {
            Some(lora) => {
                save_lora(&model, lora, &self.file("adapter"))?;
                merge_lora(model)
            }
            None => model.valid(),
        };
        let trained = PolicyCheckpoint {
            model,
            ..checkpoint
        };
        Ok(trained.save(&self.path)?)
    }

    /// Removes the states, writes report and manifest: the run is complete.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub(in crate::commands) fn finish(self) -> Result<()> {
        self.checkpoints.remove()?;
        let read = |name: &str| {
            let path = self.file(name);
            std::fs::read_to_string(&path).map_err(CoreError::io("read", path.as_path()))
        };
        let page = render_training_html(&TrainingReport {
            command: self.name,
            steps: &read_jsonl(&self.file(EVENTS))?,
            results: &read(METRICS)?,
            settings: &read("config.toml")?,
        });
        write_text(&self.file("report.html"), &page)?;
        write_manifest(&self.path, self.name, self.config_hash, self.started)
    }
}

/// Says how a run that was stopped is gone on with.
pub(in crate::commands) fn hint_to_resume(error: TrainError) -> anyhow::Error {
    match error {
        TrainError::Stopped { .. } => anyhow!("{error}; go on with\n  {}", command_to_go_on()),
        error => error.into(),
    }
}

/// Everything that the result depends on, as the run's config.toml.
fn resolved(
    arguments: &TrainingArguments,
    name: &str,
    settings: &impl Serialize,
    inputs: &[(String, PathBuf)],
) -> Result<String> {
    let mut text = format!(
        "# command = \"{name}\", version = \"{}\", seed = {}, device = \"{}\"\n",
        env!("CARGO_PKG_VERSION"),
        arguments.seed,
        arguments.device
    );
    for (name, path) in inputs {
        text += &format!(
            "# {name} = {:?}, sha256 = \"{}\"\n",
            path.display().to_string(),
            &file_sha256(path)?[..16]
        );
    }
    Ok(text + &toml::to_string(settings)?)
}
