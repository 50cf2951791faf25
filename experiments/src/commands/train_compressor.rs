//! `extracot train-compressor`: a token classifier from traces and their keep labels.

mod data;
mod settings;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::Device;
use clap::Args;
use extracot_core::jsonl::write_atomic;
use extracot_core::{CoreError, Seed};
use extracot_models::checkpoint::save_json;
use extracot_models::init::randomize;
use extracot_models::scorer::{InputLayout, separator_id};
use extracot_models::{
    ClassifierCheckpoint, ClassifierConfig, FolderClassifier, HfTokenizer, LongformerConfig,
    TokenClassifier,
};
use extracot_train::compressor_trainer::{Checkpoints, CompressorRun, HeldOut};
use extracot_train::metrics::{JsonLinesSink, MetricRow, MetricSink};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::config::content_hash;
use crate::progress::Progress;
use crate::run::{claim, is_complete, write_manifest};
use settings::Settings;

const NAME: &str = "train-compressor";
const METRICS: &str = "metrics.json";
const TOKENIZER: &str = "tokenizer.json";

/// Trains a compressor's token classifier.
///
/// Reads traces {"id", "question", "think"} and labels {"id", "ranges"} with "annotator" and "n_atoms"
/// where they are known: 1-based closed ranges over the atoms of the think text. Writes a model folder
/// in Hugging Face layout with config.toml, events.jsonl, metrics.json and, last, manifest.json.
#[derive(Debug, Args)]
pub struct TrainCompressor {
    /// Traces as JSON lines
    #[arg(long = "in", value_name = "FILE")]
    traces: PathBuf,
    /// Keep labels of the traces as JSON lines
    #[arg(long, value_name = "FILE")]
    labels: PathBuf,
    /// Folder of the policy's tokenizer.json, which the classifier shares
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
    /// Classifier folder to start from, instead of a new Longformer
    #[arg(long, value_name = "DIR")]
    init: Option<PathBuf>,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Settings in TOML, in place of the defaults they name
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Change one setting, as in --set train.n_steps=500 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Root of all random streams: the same seed gives the same bytes on CPU
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on with the run in the folder
    #[arg(long)]
    resume: bool,
    /// Print the resolved settings and stop
    #[arg(long)]
    dry_run: bool,
    /// flex (CPU), vulkan, wgpu or cuda, with :N for a device number
    #[arg(long, default_value = "flex")]
    device: String,
    /// Threads, all cores by default; no result depends on their number
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print no progress
    #[arg(long)]
    quiet: bool,
}

/// What a finished run says of itself.
#[derive(Debug, Serialize)]
struct Summary {
    /// What became of the rows, by reason.
    counts: BTreeMap<String, u64>,
    n_train_traces: usize,
    n_held_out_traces: usize,
    n_steps: usize,
    /// Steps after which the classifier was what it is.
    n_best_steps: usize,
    /// Quality on the held-out traces by metric key, if there are any.
    held_out: Option<BTreeMap<String, f64>>,
}

/// Runs the command.
///
/// # Errors
///
/// If a setting, a row, the tokenizer, the model to start from or the folder cannot be used; if
/// training fails.
#[allow(
    clippy::print_stdout,
    reason = "--dry-run prints the settings for other programs"
)]
pub fn run(arguments: &TrainCompressor) -> Result<()> {
    let settings = Settings::resolve(arguments)?;
    if arguments.dry_run {
        print!("{}", toml::to_string(&settings)?);
        return Ok(());
    }
    let started = Instant::now();
    crate::device::set_threads(arguments.threads)?;
    let device = crate::device::device(&arguments.device)?;
    let say = |line: &str| {
        if !arguments.quiet {
            eprintln!("[{NAME}] {line}");
        }
    };
    let (pairs, counts) = data::read(&arguments.traces, &arguments.labels)?;
    for (reason, n) in &counts {
        say(&format!("{n} {reason}"));
    }
    let seed = Seed(arguments.seed);
    let (train, held_out) = data::split(pairs, settings.held_out_share, seed)?;
    let tokenizer = HfTokenizer::load(&arguments.tokenizer)?;
    let seed = seed.derive("compressor", 0);
    let start = start(arguments, &settings, &tokenizer, &device, seed)?;
    let layout = InputLayout {
        tokenizer: &tokenizer,
        separator_id: separator_id(&tokenizer)?,
        max_positions: start.model.max_positions(),
    };
    let examples = data::examples(&train, &layout)?;
    let texts = data::held_out_texts(&held_out, &layout)?;

    let out = &arguments.out;
    let resolved = resolved(arguments, &settings)?;
    if arguments.resume && is_complete(out, &resolved) {
        say("already complete");
        return Ok(());
    }
    claim(out, &resolved, arguments.resume)?;
    let checkpoints = Checkpoints {
        folder: out.join("checkpoints"),
        every: settings.checkpoint_every,
    };
    // The summary stands behind the training: where it is, only the end is missing.
    if !out.join(METRICS).is_file() {
        let held_out_texts = HeldOut {
            texts: &texts,
            tokenizer: &tokenizer,
            separator_id: layout.separator_id,
            device: &device,
            config: settings.held_out,
        };
        let run = CompressorRun {
            examples: &examples,
            config: &settings.train,
            device: &device.clone().autodiff(),
            seed,
            held_out: (!texts.is_empty()).then_some(held_out_texts),
            checkpoints: Some(checkpoints.clone()),
        };
        let n_done = checkpoints.n_steps()?;
        let mut sink = ShownSink::open(out, n_done, settings.train.n_steps, arguments.quiet)?;
        let trained = run.train(start.model, &mut sink)?;
        let summary = Summary {
            counts,
            n_train_traces: train.len(),
            n_held_out_traces: held_out.len(),
            n_steps: trained.n_steps,
            n_best_steps: trained.n_best_steps,
            held_out: trained.quality.map(|quality| quality.metrics()),
        };
        say(&told(&summary));
        write(out, &arguments.tokenizer, start.config, trained.model)?;
        save_json(&summary, &out.join(METRICS))?;
    }
    checkpoints.remove()?;
    write_manifest(out, NAME, content_hash(&resolved)?, started)
}

/// The classifier before its first step.
fn start(
    arguments: &TrainCompressor,
    settings: &Settings,
    tokenizer: &HfTokenizer,
    device: &Device,
    seed: Seed,
) -> Result<ClassifierCheckpoint> {
    let vocab_size = tokenizer.vocab_size();
    if let Some(folder) = &arguments.init {
        let mut start = ClassifierCheckpoint::load(folder, device)?;
        let n_known = start.model.vocab_size();
        if n_known < vocab_size {
            bail!(
                "the classifier in {} knows {n_known} tokens, the tokenizer in {} has {vocab_size}; \
                 they have to be of one model",
                folder.display(),
                arguments.tokenizer.display()
            );
        }
        start.model = start.model.train();
        return Ok(start);
    }
    let size = settings.model.context("no sizes under `model`")?;
    let config = LongformerConfig::longformer(size, vocab_size);
    config.check()?;
    let config = ClassifierConfig::Longformer(config);
    let model = config.init(&device.clone().autodiff());
    let model = randomize(model, 1.0, 0.05, seed);
    Ok(ClassifierCheckpoint { model, config })
}

/// Everything that the result depends on, as the run's config.toml.
fn resolved(arguments: &TrainCompressor, settings: &Settings) -> Result<String> {
    let mut text = format!(
        "# command = \"{NAME}\", seed = {}, device = \"{}\"\n",
        arguments.seed, arguments.device
    );
    let tokenizer = arguments.tokenizer.join(TOKENIZER);
    let mut inputs = vec![
        ("in", arguments.traces.clone()),
        ("labels", arguments.labels.clone()),
        ("tokenizer", tokenizer),
    ];
    if let Some(folder) = &arguments.init {
        inputs.push(("init", folder.join("config.json")));
    }
    for (name, path) in inputs {
        let bytes = std::fs::read(&path).map_err(CoreError::io("read", path.as_path()))?;
        let digest = Sha256::digest(bytes);
        let hash: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
        text += &format!(
            "# {name} = {:?}, sha256 = \"{hash}\"\n",
            path.display().to_string()
        );
    }
    Ok(text + &toml::to_string(settings)?)
}

/// Logs every step and shows it.
struct ShownSink {
    log: JsonLinesSink,
    progress: Progress,
    /// Of the last look.
    macro_f1: Option<f64>,
}

impl ShownSink {
    fn open(out: &Path, n_done: usize, n_steps: usize, quiet: bool) -> Result<Self> {
        let path = out.join("events.jsonl");
        let log = match n_done {
            0 => JsonLinesSink::create(&path)?,
            _ => JsonLinesSink::resume(&path, n_done)?,
        };
        let progress = Progress::new(NAME, n_steps.saturating_sub(n_done), "steps", quiet);
        Ok(Self {
            log,
            progress,
            macro_f1: None,
        })
    }
}

impl MetricSink for ShownSink {
    fn record(&mut self, row: &MetricRow) -> Result<(), CoreError> {
        self.log.record(row)?;
        let value = |key: &str| row.metrics.get(key).copied();
        self.macro_f1 = value("held_out/macro_f1").or(self.macro_f1);
        let loss = value("optim/loss").unwrap_or(f64::NAN);
        let quality = self.macro_f1.map(|f1| format!(", macro-F1 {f1:.3}"));
        let message = format!("loss {loss:.3}{}", quality.unwrap_or_default());
        self.progress.advance(1, &message);
        Ok(())
    }
}

fn told(summary: &Summary) -> String {
    let mut line = format!(
        "{} steps, the weights after {}",
        summary.n_steps, summary.n_best_steps
    );
    for (key, value) in summary.held_out.iter().flatten() {
        let key = key.trim_start_matches("held_out/");
        line += &format!(", {key} {value:.3}");
    }
    line
}

fn write(
    out: &Path,
    tokenizer: &Path,
    config: ClassifierConfig,
    model: FolderClassifier,
) -> Result<()> {
    ClassifierCheckpoint { model, config }.save(out)?;
    let path = tokenizer.join(TOKENIZER);
    let bytes = std::fs::read(&path).map_err(CoreError::io("read", path.as_path()))?;
    Ok(write_atomic(&out.join(TOKENIZER), |out| {
        out.write_all(&bytes)
    })?)
}
