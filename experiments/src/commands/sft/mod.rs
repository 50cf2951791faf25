//! `extracot sft`: supervised fine-tuning of a checkpoint; see docs/training.md.

mod data;
mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use clap::Args;
use extracot_core::{ControlToken, Seed, Tokenizer};
use extracot_models::checkpoint::save_json;
use extracot_models::lora::attach_lora;
use extracot_models::{PolicyCheckpoint, Workload};
use extracot_train::TrainError;
use extracot_train::metrics::{MetricRow, MetricSink};
use extracot_train::sft_trainer::{HeldOutExamples, SftRun};
use serde::Serialize;

use super::training::{
    METRICS, RunFolder, StepProgress, TrainingArguments, autodiff, check_memory, hint_to_resume,
    model_inputs,
};
use data::{Examples, Order};
use settings::Settings;

const NAME: &str = "sft";
const SHOWN: [(&str, &str); 2] = [("optim/loss", "loss"), ("held_out/loss_nats", "held out")];

/// Fine-tunes a model on examples that `extracot build-sft` wrote.
///
/// The loss is that of the completion tokens. Writes a model folder in Hugging Face layout with config.toml,
/// events.jsonl, metrics.json and, last, manifest.json; with adapters also DIR/adapter in PEFT's layout. A
/// state is kept every checkpoint_every steps and on Ctrl-C: --resume goes on from the newest that is whole,
/// to the same bytes.
#[derive(Debug, Args)]
pub struct Sft {
    /// Model folder in Hugging Face layout
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Examples: the NAME.jsonl of build-sft, made with the tokenizer of this model
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Run even if the memory may not suffice
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    run: TrainingArguments,
}

/// What a finished run says of itself.
#[derive(Debug, Serialize)]
struct Summary {
    n_train_examples: usize,
    n_held_out_examples: usize,
    /// Examples drawn, by control token.
    drawn: BTreeMap<String, u64>,
    /// Steps after which the weights were what they are.
    n_steps: usize,
    /// Mean `-log p` per completion token of the held-out examples, in nats.
    held_out_loss: Option<f64>,
}

/// Runs the command.
///
/// # Errors
///
/// If a setting, an example, the model or the folder cannot be used; if training fails.
#[allow(
    clippy::print_stdout,
    reason = "--dry-run prints the settings for other programs"
)]
pub fn run(arguments: &Sft) -> Result<()> {
    let settings = Settings::resolve(&arguments.run)?;
    if arguments.run.dry_run {
        print!("{}", toml::to_string(&settings)?);
        return Ok(());
    }
    let device = arguments.run.device()?;
    let seed = Seed(arguments.run.seed);
    let checkpoint = start(arguments, &settings, &device, seed)?;
    let examples = Examples::read(&arguments.data, &checkpoint, &settings, seed)?;
    let seed = seed.derive(NAME, 0);
    let order = examples.order(&settings, seed)?;
    if !arguments.force {
        let workload = Workload::Sft(settings.training_rows(examples.longest));
        check_memory(&arguments.run, NAME, &checkpoint.config, workload)?;
    }
    let mut inputs = model_inputs(&arguments.model)?;
    inputs.push(("data".to_owned(), arguments.data.clone()));
    let states = (settings.checkpoint_every, settings.keep_last);
    let Some(folder) = RunFolder::open(&arguments.run, NAME, &settings, &inputs, states)? else {
        return Ok(());
    };
    // The summary stands behind the training: where it is, only the end is missing.
    if !folder.file(METRICS).is_file() {
        let task = Task {
            settings: &settings,
            examples: &examples,
            order: &order,
            device: autodiff(&device, settings.gradient_checkpointing),
            seed,
            quiet: arguments.run.quiet,
        };
        let summary = task.train(checkpoint, &folder)?;
        save_json(&summary, &folder.file(METRICS))?;
    }
    folder.finish()
}

/// The model before its first step.
fn start(
    arguments: &Sft,
    settings: &Settings,
    device: &Device,
    seed: Seed,
) -> Result<PolicyCheckpoint> {
    let mut checkpoint = PolicyCheckpoint::load(&arguments.model, device)?;
    if settings.fresh_control_tokens {
        let known = &checkpoint.tokenizer;
        let ids: Vec<u32> = ControlToken::ALL
            .iter()
            .filter_map(|token| known.token_id(&token.to_string()))
            .collect();
        let n_trained = known.base_vocab_size();
        let seed = seed.derive("control-tokens", 0);
        checkpoint.model = checkpoint.model.with_new_tokens(&ids, n_trained, seed);
    }
    Ok(checkpoint.with_control_tokens(seed)?)
}

/// All that training needs besides the model.
struct Task<'a> {
    settings: &'a Settings,
    examples: &'a Examples,
    order: &'a Order<'a>,
    device: Device,
    seed: Seed,
    quiet: bool,
}

impl Task<'_> {
    fn train(&self, checkpoint: PolicyCheckpoint, folder: &RunFolder) -> Result<Summary> {
        let Self {
            settings, examples, ..
        } = self;
        let config = &settings.train;
        let mut model = checkpoint.model.clone().train();
        if let Some(lora) = &settings.lora {
            model = attach_lora(model, lora, self.seed)?;
        }
        let held_out = HeldOutExamples {
            examples: &examples.held_out,
            every: settings.held_out_every,
        };
        let run = SftRun {
            config,
            device: &self.device,
            seed: self.seed,
            held_out: (!examples.held_out.is_empty()).then_some(held_out),
            control: Some(folder.control()),
        };
        let mut progress = StepProgress::open(folder, config.n_steps, &SHOWN, self.quiet)?;
        let draw = |draw| -> Result<_, TrainError> { Ok(self.order.example(draw).clone()) };
        let trained = run
            .train(model, draw, |step| {
                let mut row = MetricRow::of_step(NAME, step.step, &step.stats);
                let held_out = step.held_out_loss;
                let held_out = held_out.map(|loss| ("held_out/loss_nats".to_owned(), loss));
                row.metrics.extend(held_out);
                Ok(progress.record(&row)?)
            })
            .map_err(hint_to_resume)?;
        folder.save_policy(trained.model, settings.lora.as_ref(), checkpoint)?;
        Ok(Summary {
            n_train_examples: examples.train.len(),
            n_held_out_examples: examples.held_out.len(),
            drawn: self.order.drawn(config, self.seed),
            n_steps: trained.n_steps,
            held_out_loss: trained.held_out_loss,
        })
    }
}
