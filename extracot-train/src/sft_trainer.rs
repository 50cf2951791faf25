//! Stage 2: supervised fine-tuning on sequences drawn by a curriculum.

mod held_out;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;

use burn::tensor::Device;
use extracot_core::sft::SftExample;
use extracot_core::{CoreError, Seed};
use extracot_models::CausalLm;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::batch::{Sequence, TokenBatch, check_batch_size, completion_loss, length_shards};
use crate::best_look::{BEST, Best, BestLook, is_due};
use crate::checkpoints::{Checkpoints, RunControl, module_bytes};
use crate::update::{StepStats, UpdateConfig, Updater};
use crate::weight_average::WeightAverage;
pub use held_out::HeldOutExamples;

const MODEL: &str = "model.bpk";
const AVERAGE: &str = "average.bpk";
const OPTIMIZER: &str = "optimizer.bpk";

/// Settings of a supervised run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftConfig {
    /// Optimizer steps.
    pub n_steps: usize,
    /// Sequences per step.
    pub batch_size: usize,
    /// Pieces of similar lengths that a batch is cut into; they are computed side by side.
    pub n_shards: usize,
    /// Decay of the average of weights over steps that is returned ([`WeightAverage`]); 0 returns
    /// the last weights.
    pub ema_decay: f64,
    /// Completion tokens whose logits exist at a time; all of a shard without it. A large vocabulary
    /// needs it: 64 tokens of 151936 logits are 39 MB, several times over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logits_chunk: Option<NonZeroUsize>,
    /// Sequences stand one behind the other in rows of so many tokens ([`TokenBatch::pack`]); one per row
    /// without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_tokens: Option<NonZeroUsize>,
    /// Optimizer and schedule.
    pub update: UpdateConfig,
}

/// An example to draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExampleDraw {
    /// Its place among all examples of the run, from 0.
    pub index: usize,
    /// Share of the steps that are done, in `[0, 1)`.
    pub progress: f64,
    /// Its random stream.
    pub seed: Seed,
}

impl ExampleDraw {
    /// The draw at a place of a run.
    ///
    /// # Panics
    ///
    /// If the batches of the run are empty.
    pub fn of_run(index: usize, config: &SftConfig, seed: Seed) -> Self {
        let step = index / config.batch_size;
        Self {
            index,
            progress: step as f64 / config.n_steps as f64,
            seed: seed.derive("sft-example", index as u64),
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SftStepReport {
    /// The step, from 0.
    pub step: usize,
    /// Of the optimizer.
    pub stats: StepStats,
    /// Mean `-log p` per completion token of the held-out examples, in nats, if they were looked at.
    pub held_out_loss: Option<f64>,
}

/// Supervised fine-tuning from its first step, or from the last state in its folder, to its end.
///
/// The loss is the mean negative log-probability of the completion tokens of a batch; 0, and no
/// gradient, for a batch without any. A run that was killed and goes on gives the same bytes as one that
/// was not.
#[derive(Debug, Clone, Copy)]
pub struct SftRun<'a> {
    /// Steps, batches and optimizer.
    pub config: &'a SftConfig,
    /// The device, with autodiff.
    pub device: &'a Device,
    /// Root of the random streams of the examples.
    pub seed: Seed,
    /// What is looked at on the way: the weights that come out are those with the lowest loss on them, the
    /// earlier of equal ones. The last weights come out without it.
    pub held_out: Option<HeldOutExamples<'a>>,
    /// Makes the run one that can be gone on with.
    pub control: Option<RunControl<'a>>,
}

/// What a run leaves.
#[derive(Debug, Clone)]
pub struct TrainedSft<M> {
    /// The model.
    pub model: M,
    /// Steps after which it was what it is.
    pub n_steps: usize,
    /// Its loss on the held-out examples, if there are any.
    pub held_out_loss: Option<f64>,
}

/// Where a run stands, beside weights and optimizer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RunState {
    n_steps: usize,
    /// Its score is the loss with its sign turned.
    best: Option<BestLook>,
}

/// [`SftRun::train`] without held-out examples and states: trains on sequences from `draw` and tells
/// `report` the statistics of every step.
///
/// # Errors
///
/// As [`SftRun::train`].
pub fn train_sft<M: CausalLm + Sync>(
    model: M,
    config: &SftConfig,
    device: &Device,
    seed: Seed,
    draw: impl FnMut(ExampleDraw) -> Result<SftExample, TrainError>,
    mut report: impl FnMut(usize, &StepStats) -> Result<(), TrainError>,
) -> Result<M, TrainError> {
    let run = SftRun {
        config,
        device,
        seed,
        held_out: None,
        control: None,
    };
    let trained = run.train(model, draw, |step| report(step.step, &step.stats))?;
    Ok(trained.model)
}

impl SftRun<'_> {
    /// Trains `model`, which is on the device with autodiff, on the examples that `draw` gives, and tells
    /// `report` every step.
    ///
    /// # Errors
    ///
    /// What `draw` and `report` fail with; settings without sense; non-finite losses or gradients; states
    /// that cannot be written or read; [`TrainError::Stopped`].
    pub fn train<M: CausalLm + Sync>(
        &self,
        mut model: M,
        mut draw: impl FnMut(ExampleDraw) -> Result<SftExample, TrainError>,
        mut report: impl FnMut(&SftStepReport) -> Result<(), TrainError>,
    ) -> Result<TrainedSft<M>, TrainError> {
        let Self { config, device, .. } = *self;
        check(config)?;
        let mut state = RunState::default();
        let mut updater = Updater::try_new(&config.update, config.n_steps)?;
        let decay = config.ema_decay;
        let mut average = (decay > 0.0).then(|| WeightAverage::new(&model, decay));
        let mut best = Best::none();
        if let Some(control) = &self.control {
            control.checkpoints.check()?;
            if let Some(saved) = control.checkpoints.find()?.newest {
                state = saved.state()?;
                updater = updater.after(state.n_steps, saved.bytes(OPTIMIZER)?)?;
                if average.is_some() {
                    let averages = saved.module(AVERAGE, model.clone())?;
                    average = Some(WeightAverage::after(&averages, decay, state.n_steps));
                }
                best = Best::load(state.best, &saved, &model)?;
                model = saved.module(MODEL, model)?;
            }
        }
        while state.n_steps < config.n_steps {
            let step = state.n_steps;
            let (next, stats) = self.step(model, &mut updater, step, &mut draw)?;
            model = next;
            state.n_steps += 1;
            if let Some(average) = &mut average {
                average.update(&model);
            }
            let held_out_loss = match &self.held_out {
                Some(held_out) if is_due(held_out.every, state.n_steps, config.n_steps) => {
                    let current = averaged(average.as_ref(), model.clone());
                    let loss = held_out.loss(&current.valid(), config, device)?;
                    best.hear((state.n_steps, -loss), "held_out/loss_nats", current)?;
                    state.best = best.look;
                    Some(loss)
                }
                _ => None,
            };
            report(&SftStepReport {
                step,
                stats,
                held_out_loss,
            })?;
            if let Some(control) = &self.control {
                control.after_step(state.n_steps, |checkpoints| {
                    let average = average.as_ref().map(|a| a.apply(model.clone()));
                    save(
                        checkpoints,
                        &state,
                        (&model, average.as_ref(), &best),
                        &updater,
                    )
                })?;
            }
        }
        Ok(TrainedSft {
            n_steps: state.best.map_or(state.n_steps, |best| best.n_steps),
            held_out_loss: state.best.map(|best| -best.score()),
            model: best.into_model_or(|| averaged(average.as_ref(), model)),
        })
    }

    fn step<M: CausalLm + Sync>(
        &self,
        model: M,
        updater: &mut Updater,
        step: usize,
        draw: &mut impl FnMut(ExampleDraw) -> Result<SftExample, TrainError>,
    ) -> Result<(M, StepStats), TrainError> {
        let Self { config, device, .. } = *self;
        let first = step * config.batch_size;
        let examples = (first..first + config.batch_size)
            .map(|index| draw(ExampleDraw::of_run(index, config, self.seed)))
            .collect::<Result<Vec<_>, _>>()?;
        let shards = shards(&examples, config);
        let n_targets: usize = shards.iter().map(TokenBatch::n_targets).sum();
        updater.step_with(model, &shards, device, |model, shard| {
            completion_loss(model, shard, n_targets.max(1), config.logits_chunk, device)
        })
    }
}

fn check(config: &SftConfig) -> Result<(), TrainError> {
    check_batch_size(config.batch_size)?;
    if !(0.0..1.0).contains(&config.ema_decay) {
        return Err(CoreError::Setting {
            key: "ema_decay",
            found: config.ema_decay.to_string(),
            allowed: "at least 0 and below 1",
        }
        .into());
    }
    Ok(())
}

/// The model with its averaged weights, if there are any.
fn averaged<M: CausalLm>(average: Option<&WeightAverage>, model: M) -> M {
    match average {
        Some(average) => average.apply(model),
        None => model,
    }
}

fn save<M: CausalLm>(
    checkpoints: &Checkpoints,
    state: &RunState,
    (model, average, best): (&M, Option<&M>, &Best<M>),
    updater: &Updater,
) -> Result<(), TrainError> {
    let (weights, moments) = (module_bytes(model)?, updater.state()?);
    let average = average.map(module_bytes).transpose()?;
    let best = best.bytes()?;
    let mut parts: Vec<(&str, &[u8])> = vec![(MODEL, &weights), (OPTIMIZER, &moments)];
    parts.extend(average.as_ref().map(|bytes| (AVERAGE, &bytes[..])));
    parts.extend(best.as_ref().map(|bytes| (BEST, &bytes[..])));
    checkpoints.save(state.n_steps, state, &parts)
}

/// A batch in pieces of similar lengths: little padding.
fn shards(examples: &[SftExample], config: &SftConfig) -> Vec<TokenBatch> {
    let lengths: Vec<usize> = examples
        .iter()
        .map(|e| e.prompt_ids.len() + e.completion_ids.len())
        .collect();
    length_shards(&lengths, config.n_shards)
        .iter()
        .map(|shard| {
            let rows: Vec<Sequence<'_>> = shard
                .iter()
                .map(|&idx| Sequence {
                    prompt_ids: &examples[idx].prompt_ids,
                    completion_ids: &examples[idx].completion_ids,
                })
                .collect();
            match config.row_tokens {
                Some(row_tokens) => TokenBatch::pack(&rows, row_tokens),
                None => TokenBatch::collate(&rows),
            }
        })
        .collect()
}
