//! Arguments that every ablation binary takes.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use extracot_core::Seed;
use extracot_train::TrainError;

use crate::config::{AblationConfig, BaseSource};
use crate::device::{device, set_threads};
use crate::interrupt;
use crate::pipeline::Pipeline;
use crate::problem_source::ProblemSets;
use crate::run::Run;

/// An ablation over the three stages of Extra-CoT on a tiny model; see docs/write_an_ablation.md.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    /// Settings to start from: default (minutes) or smoke (seconds)
    #[arg(long, default_value = "default")]
    preset: String,
    /// Change one setting, as in --set reward.tau=0.2 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Root of all random streams: the same seed gives the same bytes on CPU
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Problems as JSON lines with question, solution and answer, instead of the generator's
    #[arg(long, value_name = "FILE")]
    problems: Option<PathBuf>,
    /// Run folder; without it a folder under `runs` named by experiment, preset and seed
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in the folder; finished stages are reused
    #[arg(long)]
    resume: bool,
    /// Print the resolved settings and stop
    #[arg(long)]
    dry_run: bool,
    /// flex (CPU), vulkan, wgpu or cuda; :N for a GPU of that number, :cpu for a software device
    #[arg(long, default_value = "flex")]
    device: String,
    /// Threads, all cores by default; no result depends on their number
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print no progress
    #[arg(long)]
    quiet: bool,
}

impl Arguments {
    /// Resolves the settings and opens the run; `None` after `--dry-run`.
    ///
    /// # Errors
    ///
    /// If a setting, the problem file, the device or the run folder cannot be used.
    #[allow(
        clippy::print_stdout,
        reason = "--dry-run prints the settings for other programs"
    )]
    pub fn open(self, experiment: &str) -> Result<Option<Pipeline>> {
        let mut overrides = self.overrides;
        if self.problems.is_some() && !overrides.iter().any(|o| o.starts_with("base.source")) {
            // The shipped base knows the generator's problems only.
            overrides.push("base.source=\"trained\"".to_owned());
        }
        let config = AblationConfig::preset(&self.preset, &overrides)?;
        let is_base = |o: &&String| o.starts_with("base.") && !o.starts_with("base.source");
        if let Some(setting) = overrides.iter().find(is_base)
            && config.base.source == BaseSource::Shipped
        {
            bail!(
                "--set {setting} has no effect on the shipped base model; \
                 add --set base.source=\"trained\" to train one in the run"
            );
        }
        let resolved = format!(
            "# experiment = \"{experiment}\", preset = \"{}\", seed = {}, problems = {:?}, device = \"{}\"\n{}",
            self.preset,
            self.seed,
            self.problems
                .as_ref()
                .map_or("generator".into(), |path| path.to_string_lossy()),
            self.device,
            config.to_toml()?
        );
        if self.dry_run {
            print!("{resolved}");
            return Ok(None);
        }
        set_threads(self.threads)?;
        let seed = Seed(self.seed);
        let device = device(&self.device)?;
        let problems = match &self.problems {
            Some(path) => ProblemSets::read(path, &config.problems)?,
            None => ProblemSets::generate(&config.problems, seed.derive("problems", 0))?,
        };
        let out = self.out.unwrap_or_else(|| {
            PathBuf::from(format!(
                "runs/{experiment}-{}-seed{}",
                self.preset, self.seed
            ))
        });
        Ok(Some(Pipeline {
            run: Run::open(&out, &resolved, self.resume, self.quiet)?,
            experiment: experiment.to_owned(),
            config,
            preset: self.preset,
            seed,
            device,
            n_workers: rayon::current_num_threads(),
            quiet: self.quiet,
            problems,
        }))
    }
}

/// The `main` of an ablation: parses the arguments, runs `work`, and reports an error in one line
/// with its causes, exit code 1.
pub fn main_of(experiment: &str, work: impl FnOnce(&mut Pipeline) -> Result<()>) -> ExitCode {
    let opened = Arguments::parse().open(experiment);
    exit_code(opened.and_then(|pipeline| {
        let Some(mut pipeline) = pipeline else {
            return Ok(());
        };
        interrupt::listen();
        work(&mut pipeline).map_err(|error| {
            let is_stop = |cause| matches!(cause, &TrainError::Stopped { .. });
            match error
                .chain()
                .filter_map(<dyn Error>::downcast_ref)
                .any(is_stop)
            {
                true => error.context("go on with the same command and --resume"),
                false => error,
            }
        })
    }))
}

/// Success, or the error on stderr and exit code 1.
pub fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
