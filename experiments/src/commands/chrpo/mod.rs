//! `extracot chrpo`: reinforcement learning of a fine-tuned checkpoint; see docs/training.md.

mod data;
mod settings;

use std::path::PathBuf;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::Device;
use clap::Args;
use extracot_core::{ReplayEngine, ResponseParser, Seed};
use extracot_models::checkpoint::save_json;
use extracot_models::lora::attach_lora;
use extracot_models::{PolicyCheckpoint, Workload};
use extracot_train::evaluate::TaskContext;
use extracot_train::metrics::{MetricRow, MetricSink, StepLog};
use extracot_train::policy_trainer::{
    PolicyAlgorithm, PolicyRun, PolicyTask, RolloutSource, Validation,
};
use serde::Serialize;

use super::model::chat_template;
use super::training::{
    METRICS, RunFolder, StepProgress, TrainingArguments, autodiff, check_memory, hint_to_resume,
    model_inputs,
};
use crate::pipeline::{Arm, LoggedRollout};
use data::Problems;
use settings::Settings;

const NAME: &str = "chrpo";
const SHOWN: [(&str, &str); 3] = [
    ("rollout/accuracy", "accuracy"),
    ("ratio/realized_mean", "ratio"),
    ("validation/reward_main_mean", "validation reward"),
];

/// Trains a fine-tuned model to choose its level, by CHRPO or a baseline.
///
/// Reads problems with teacher budgets, as `extracot budgets` writes them. Writes a model folder in Hugging
/// Face layout with config.toml, events.jsonl, rollouts.jsonl (a row per rollout: tokens, verdict, all parts of
/// the reward, advantages; `extracot audit DIR` computes them anew), metrics.json and, last, manifest.json;
/// with adapters also DIR/adapter in PEFT's layout. A state is kept every checkpoint_every steps and on
/// Ctrl-C: --resume goes on from the newest that is whole, to the same bytes.
#[derive(Debug, Args)]
pub struct Chrpo {
    /// Model folder in Hugging Face layout, with control tokens: what `extracot sft` wrote
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Problems with teacher budgets as JSON lines
    #[arg(long, value_name = "FILE")]
    problems: PathBuf,
    /// Recorded rollouts instead of sampled ones: {"prompt_id", "sample_idx", "token_ids", "logprobs", "finish"},
    /// and "seed" for those of one draw only; the rollouts.jsonl of a run has them
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Run even if the memory may not suffice
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    run: TrainingArguments,
}

/// What a finished run says of itself.
#[derive(Debug, Serialize)]
struct Summary {
    arm: String,
    n_train_problems: usize,
    n_validation_problems: usize,
    /// Problems whose prompt leaves no room for `max_new_tokens`; they are left out.
    n_prompts_too_long: usize,
    /// Steps after which the weights were what they are.
    n_steps: usize,
    /// Mean main reward on the validation problems.
    validation_reward: Option<f64>,
}

/// Runs the command.
///
/// # Errors
///
/// If a setting, a problem, a recorded rollout, the model or the folder cannot be used; if training fails.
#[allow(
    clippy::print_stdout,
    reason = "--dry-run prints the settings for other programs"
)]
pub fn run(arguments: &Chrpo) -> Result<()> {
    let settings = Settings::resolve(&arguments.run)?;
    if arguments.run.dry_run {
        print!("{}", toml::to_string(&settings)?);
        return Ok(());
    }
    let device = arguments.run.device()?;
    let arm = settings.arm()?;
    let checkpoint = PolicyCheckpoint::load(&arguments.model, &device)?;
    let tokenizer = &checkpoint.tokenizer;
    let chat = chat_template(&arguments.model, Some(tokenizer), settings.system.clone())?;
    let chat = chat.with_context(|| {
        format!(
            "{} has no chat template; put its chat_template.jinja there",
            arguments.model.display()
        )
    })?;
    let context = TaskContext {
        tokenizer,
        chat: &chat,
        parser: &ResponseParser::try_new(tokenizer, chat.turn_close())?,
        verifier: &extracot_core::MathVerifier,
    };
    let room = checkpoint.config.max_position_embeddings;
    let seed = Seed(arguments.run.seed);
    let problems = Problems::read(&arguments.problems, &context, &settings, room, seed)?;
    let (vocab_size, max_new_tokens) = (
        checkpoint.config.vocab_size,
        settings.chrpo.policy.max_new_tokens,
    );
    let replay = arguments
        .replay
        .as_deref()
        .map(|path| data::read_replay(path, vocab_size, max_new_tokens))
        .transpose()?;
    if !arguments.force {
        let workload = Workload::Policy(settings.training_rows(problems.longest_prompt));
        check_memory(&arguments.run, NAME, &checkpoint.config, workload)?;
    }
    let mut inputs = model_inputs(&arguments.model)?;
    inputs.push(("problems".to_owned(), arguments.problems.clone()));
    inputs.extend(
        arguments
            .replay
            .clone()
            .map(|path| ("replay".to_owned(), path)),
    );
    let states = (settings.checkpoint_every, settings.keep_last);
    let Some(folder) = RunFolder::open(&arguments.run, NAME, &settings, &inputs, states)? else {
        return Ok(());
    };
    // The summary stands behind the training: where it is, only the end is missing.
    if !folder.file(METRICS).is_file() {
        let task = Task {
            arguments,
            settings: &settings,
            arm: &arm,
            problems: &problems,
            context: &context,
            replay: replay.as_ref(),
            device: &device,
        };
        let summary = task.train(&checkpoint, &folder)?;
        save_json(&summary, &folder.file(METRICS))?;
    }
    folder.finish()
}

/// All that training needs besides the model.
struct Task<'a> {
    arguments: &'a Chrpo,
    settings: &'a Settings,
    arm: &'a Arm,
    problems: &'a Problems,
    context: &'a TaskContext<'a>,
    replay: Option<&'a ReplayEngine>,
    device: &'a Device,
}

impl Task<'_> {
    fn train(&self, checkpoint: &PolicyCheckpoint, folder: &RunFolder) -> Result<Summary> {
        let Self {
            settings,
            arm,
            problems,
            ..
        } = *self;
        let arguments = &self.arguments.run;
        let config = &settings.policy(arm);
        let seed = Seed(arguments.seed).derive(NAME, 0);
        let device = autodiff(self.device, settings.gradient_checkpointing);
        let mut model = checkpoint.model.clone().train();
        if let Some(lora) = &settings.lora {
            model = attach_lora(model, lora, seed)?;
        }
        let algorithm = PolicyAlgorithm {
            reward: arm.reward.as_ref(),
            estimator: arm.estimator.as_ref(),
            objective: arm.objective.as_ref(),
        };
        let validation = Validation {
            problems: &problems.validation,
            every: settings.validation_every,
        };
        let run = PolicyRun {
            task: PolicyTask {
                problems: &problems.train,
                context: self.context,
            },
            algorithm: &algorithm,
            config,
            device: &device,
            seed,
            source: match self.replay {
                Some(replay) => RolloutSource::Replayed(replay),
                None => RolloutSource::Sampled { keeps_tokens: true },
            },
            validation: (!problems.validation.is_empty()).then_some(validation),
            control: Some(folder.control()),
        };
        let mut progress = StepProgress::open(folder, config.n_steps, &SHOWN, arguments.quiet)?;
        let mut rollouts = StepLog::resume(&folder.file("rollouts.jsonl"), folder.n_done)?;
        let trained = run
            .train(model, |step| {
                rollouts.append(step.rollouts.into_iter().map(|row| LoggedRollout {
                    arm: arm.name.clone(),
                    row,
                }))?;
                rollouts.sync()?;
                Ok(progress.record(&MetricRow {
                    stage: NAME.to_owned(),
                    step: step.step,
                    metrics: step.metrics,
                })?)
            })
            .map_err(hint_to_resume)?;
        folder.save_policy(trained.model, settings.lora.as_ref(), checkpoint.clone())?;
        Ok(Summary {
            arm: arm.name.clone(),
            n_train_problems: problems.train.len(),
            n_validation_problems: problems.validation.len(),
            n_prompts_too_long: problems.n_too_long,
            n_steps: trained.n_steps,
            validation_reward: trained.validation_reward,
        })
    }
}
