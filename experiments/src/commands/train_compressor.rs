//! `extracot train-compressor`: a token classifier from traces and their keep labels.

mod data;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
use extracot_train::compressor_trainer::{CompressorRun, HeldOut};
use serde::Serialize;

use super::training::{METRICS, RunFolder, StepProgress, TrainingArguments, hint_to_resume};
use settings::Settings;

const NAME: &str = "train-compressor";
const TOKENIZER: &str = "tokenizer.json";
const SHOWN: [(&str, &str); 2] = [("optim/loss", "loss"), ("held_out/macro_f1", "macro-F1")];

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
    #[command(flatten)]
    run: TrainingArguments,
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
    if arguments.run.dry_run {
        print!("{}", toml::to_string(&settings)?);
        return Ok(());
    }
    let device = arguments.run.device()?;
    let say = |line: &str| {
        if !arguments.run.quiet {
            eprintln!("[{NAME}] {line}");
        }
    };
    let (pairs, counts) = data::read(&arguments.traces, &arguments.labels)?;
    for (reason, n) in &counts {
        say(&format!("{n} {reason}"));
    }
    let seed = Seed(arguments.run.seed);
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

    let every = (settings.checkpoint_every, settings.keep_last);
    let inputs = inputs(arguments);
    let Some(folder) = RunFolder::open(&arguments.run, NAME, &settings, &inputs, every)? else {
        return Ok(());
    };
    // The summary stands behind the training: where it is, only the end is missing.
    if !folder.file(METRICS).is_file() {
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
            control: Some(folder.control()),
        };
        let quiet = arguments.run.quiet;
        let mut sink = StepProgress::open(&folder, settings.train.n_steps, &SHOWN, quiet)?;
        let trained = run.train(start.model, &mut sink).map_err(hint_to_resume)?;
        let summary = Summary {
            counts,
            n_train_traces: train.len(),
            n_held_out_traces: held_out.len(),
            n_steps: trained.n_steps,
            n_best_steps: trained.n_best_steps,
            held_out: trained.quality.map(|quality| quality.metrics()),
        };
        say(&told(&summary));
        write(
            &folder.path,
            &arguments.tokenizer,
            start.config,
            trained.model,
        )?;
        save_json(&summary, &folder.file(METRICS))?;
    }
    folder.finish()
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

/// The files that the result depends on, by their names in config.toml.
fn inputs(arguments: &TrainCompressor) -> Vec<(String, PathBuf)> {
    let mut inputs = vec![
        ("in", arguments.traces.clone()),
        ("labels", arguments.labels.clone()),
        ("tokenizer", arguments.tokenizer.join(TOKENIZER)),
    ];
    if let Some(folder) = &arguments.init {
        inputs.push(("init", folder.join("config.json")));
    }
    let named = inputs.into_iter();
    named.map(|(name, path)| (name.to_owned(), path)).collect()
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
