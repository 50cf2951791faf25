//! Stage 3: rollouts, verdicts, rewards, advantages, update - in that order, in one function.

mod config;
mod metrics;
mod ratios;
mod rollout_row;
mod rounds;
mod times;
mod validation;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use burn::tensor::Device;
use extracot_core::advantage::AdvantageEstimator;
use extracot_core::reward::{Reward, RewardContext};
use extracot_core::{KeepLevel, Problem, ReplayEngine, Seed};
use extracot_models::CausalLm;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::batch::PolicyBatch;
use crate::best_look::{BEST, Best, BestLook, is_due};
use crate::checkpoints::{Checkpoints, RunControl, module_bytes};
use crate::evaluate::{JudgedRollout, TaskContext};
use crate::objective::PolicyObjective;
use crate::update::{ShardGradients, StepStats, Updater, hand_over};
pub use config::PolicyConfig;
use metrics::step_metrics;
use ratios::UpdateRatios;
pub use rollout_row::{LeftOut, RolloutRow, SampledTokens};
use rounds::{PromptStream, sample_step};
pub use times::StepTimes;
use times::timed;
pub use validation::Validation;

const MODEL: &str = "model.bpk";
const OPTIMIZER: &str = "optimizer.bpk";

/// A problem with what its rewards are measured against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyProblem {
    /// What is asked.
    pub problem: Problem,
    /// The teacher budget, if one was found.
    pub budget: Option<KeepLevel>,
    /// Think tokens of the reference answer.
    pub reference_tokens: usize,
}

/// What a run learns on.
#[derive(Debug, Clone, Copy)]
pub struct PolicyTask<'a> {
    /// The problems with their budgets.
    pub problems: &'a [PolicyProblem],
    /// Prompts and verdicts.
    pub context: &'a TaskContext<'a>,
}

/// The algorithm of a run: what is rewarded, against which baseline, by which loss.
#[derive(Clone, Copy)]
pub struct PolicyAlgorithm<'a> {
    /// Rewards of rollouts.
    pub reward: &'a dyn Reward,
    /// The group baseline.
    pub estimator: &'a dyn AdvantageEstimator,
    /// The loss.
    pub objective: &'a dyn PolicyObjective,
}

impl std::fmt::Debug for PolicyAlgorithm<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicyAlgorithm").finish_non_exhaustive()
    }
}

/// What one step did.
#[derive(Debug, Clone)]
pub struct PolicyStepReport {
    /// The step, from 0.
    pub step: usize,
    /// Means by metric key (`docs/metrics.md`).
    pub metrics: BTreeMap<String, f64>,
    /// Every rollout.
    pub rollouts: Vec<RolloutRow>,
    /// Where the time went, validation and states apart.
    pub times: StepTimes,
}

/// Reinforcement learning under `<COMP_POLICY>` from its first step, or from the last state in its folder,
/// to its end. A run that was killed and goes on gives the same bytes as one that was not.
#[derive(Debug, Clone, Copy)]
pub struct PolicyRun<'a> {
    /// Problems, prompts and verdicts.
    pub task: PolicyTask<'a>,
    /// Rewards, baseline and loss.
    pub algorithm: &'a PolicyAlgorithm<'a>,
    /// Steps, groups and optimizer.
    pub config: &'a PolicyConfig,
    /// The device, with autodiff.
    pub device: &'a Device,
    /// Root of the order of the problems and of the rollouts.
    pub seed: Seed,
    /// Where rollouts come from.
    pub source: RolloutSource<'a>,
    /// What is looked at on the way: the weights that come out are those with the highest mean reward on
    /// it, the earlier of equal ones. The last weights come out without it.
    pub validation: Option<Validation<'a>>,
    /// Makes the run one that can be gone on with.
    pub control: Option<RunControl<'a>>,
}

/// Where the rollouts of a run come from.
#[derive(Debug, Clone, Copy)]
pub enum RolloutSource<'a> {
    /// The policy samples them. With `keeps_tokens` token ids and log-probabilities are in every
    /// [`RolloutRow`], so that the run can be replayed.
    Sampled {
        /// Whether rows have the tokens.
        keeps_tokens: bool,
    },
    /// They were recorded; rows have the tokens again.
    Replayed(&'a ReplayEngine),
}

/// What a run leaves.
#[derive(Debug, Clone)]
pub struct TrainedPolicy<M> {
    /// The model.
    pub model: M,
    /// Steps after which it was what it is.
    pub n_steps: usize,
    /// Its mean main reward on the validation problems, if there are any.
    pub validation_reward: Option<f64>,
}

/// Where a run stands, beside weights and optimizer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RunState {
    n_steps: usize,
    n_draws: usize,
    /// Its score is the mean main reward.
    best: Option<BestLook>,
}

/// [`PolicyRun::train`] without validation and states: trains `model` on its own rollouts and tells
/// `report` of every step.
///
/// # Errors
///
/// As [`PolicyRun::train`].
pub fn train_policy<M: CausalLm + Sync>(
    model: M,
    task: PolicyTask<'_>,
    algorithm: &PolicyAlgorithm<'_>,
    config: &PolicyConfig,
    device: &Device,
    seed: Seed,
    report: impl FnMut(PolicyStepReport) -> Result<(), TrainError>,
) -> Result<M, TrainError> {
    let run = PolicyRun {
        task,
        algorithm,
        config,
        device,
        seed,
        source: RolloutSource::Sampled {
            keeps_tokens: false,
        },
        validation: None,
        control: None,
    };
    Ok(run.train(model, report)?.model)
}

impl PolicyRun<'_> {
    /// Trains `model`, which is on the device with autodiff and is the reference policy too, and tells
    /// `report` of every step.
    ///
    /// # Errors
    ///
    /// Non-finite losses or gradients, what the engine fails with, an empty problem list, settings without
    /// sense, states that cannot be written or read, [`TrainError::Stopped`].
    pub fn train<M: CausalLm + Sync>(
        &self,
        mut model: M,
        mut report: impl FnMut(PolicyStepReport) -> Result<(), TrainError>,
    ) -> Result<TrainedPolicy<M>, TrainError> {
        let Self {
            algorithm, config, ..
        } = *self;
        if self.task.problems.is_empty() {
            return Err(TrainError::NoData {
                what: "reinforcement learning",
            });
        }
        config.check()?;
        let inner_device = self.device.clone().inner();
        let reference = algorithm.objective.needs_reference().then(|| model.valid());
        let n_updates = config.n_steps * config.updates_per_step;
        let mut updater = Updater::try_new(&config.update, n_updates)?;
        let mut state = RunState::default();
        let mut best = Best::none();
        if let Some(control) = &self.control {
            control.checkpoints.check()?;
            if let Some(saved) = control.checkpoints.find()?.newest {
                let RunPosition { run, n_updates } = saved.state()?;
                state = run;
                updater = updater.after(n_updates, saved.bytes(OPTIMIZER)?)?;
                best = Best::load(state.best, &saved, &model)?;
                model = saved.module(MODEL, model)?;
            }
        }
        let mut stream = PromptStream {
            task: self.task,
            per_draw: config.prompts_per_step,
            seed: self.seed,
            n_draws: state.n_draws,
        };
        while state.n_steps < config.n_steps {
            let step = state.n_steps;
            let behavior = model.valid();
            let sampled = sample_step(&behavior, &mut stream, self, (step, &inner_device))?;
            let mut times = sampled.times;
            let shards = timed(&mut times.logprobs, || {
                let mut shards = PolicyBatch::collate(&sampled.rows, config.n_shards);
                if let Some(reference) = &reference {
                    set_reference(&mut shards, reference, config, &inner_device)?;
                }
                Ok::<_, TrainError>(shards)
            })?;
            let mut updates = Vec::new();
            if !shards.is_empty() {
                for _ in 0..config.updates_per_step {
                    let updated = timed(&mut times.update, || {
                        self.update(model, &mut updater, &shards)
                    });
                    let (next, update) = updated?;
                    model = next;
                    updates.push(update);
                }
            }
            state.n_steps += 1;
            state.n_draws = stream.n_draws;
            let mut metrics = step_metrics(&sampled, &shards, &updates, config);
            if let Some(validation) = &self.validation
                && is_due(validation.every, state.n_steps, config.n_steps)
            {
                let looked = validation.look(&model.valid(), self, &inner_device)?;
                metrics.extend(looked.metrics());
                let look = (state.n_steps, looked.reward);
                best.hear(look, "validation/reward_main_mean", model.clone())?;
                state.best = best.look;
            }
            report(PolicyStepReport {
                step,
                metrics,
                rollouts: sampled.rollouts,
                times,
            })?;
            if let Some(control) = &self.control {
                control.after_step(state.n_steps, |checkpoints| {
                    save(checkpoints, &state, (&model, &best), &updater)
                })?;
            }
        }
        Ok(TrainedPolicy {
            n_steps: state.best.map_or(state.n_steps, |best| best.n_steps),
            validation_reward: state.best.map(BestLook::score),
            model: best.into_model_or(|| model),
        })
    }

    /// One update: the optimizer step, and where its importance weights stood before it.
    fn update<M: CausalLm + Sync>(
        &self,
        model: M,
        updater: &mut Updater,
        shards: &[PolicyBatch],
    ) -> Result<(M, (StepStats, UpdateRatios)), TrainError> {
        let (config, device) = (self.config, self.device);
        let objective = self.algorithm.objective;
        let computed = Mutex::new(vec![Vec::new(); shards.len()]);
        let indexed: Vec<(usize, &PolicyBatch)> = shards.iter().enumerate().collect();
        let (model, stats) =
            updater.step_with(model, &indexed, device, |model, (idx, shard)| {
                let loss = |logprobs| objective.loss(shard, shard.tensors(device), logprobs);
                let (gradients, logprobs) = match config.logits_chunk {
                    Some(chunk) => {
                        let tokens = &shard.tokens;
                        tokens.chunked_loss(model, config.temperature, chunk, device, loss)
                    }
                    None => {
                        let logprobs = shard.tokens.logprobs(model, config.temperature, device);
                        let values = logprobs.clone().inner().into_data().iter::<f32>().collect();
                        (ShardGradients::of(&loss(logprobs), model), values)
                    }
                };
                computed.lock().unwrap_or_else(PoisonError::into_inner)[*idx] = logprobs;
                gradients
            })?;
        let computed = computed
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let ratios = UpdateRatios::of(shards, &computed, objective.clip());
        Ok((model, (stats, ratios)))
    }
}

/// What `state.json` of a state holds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct RunPosition {
    run: RunState,
    /// Updates: fewer than steps ask for if a step had no group to learn from.
    n_updates: usize,
}

fn save<M: CausalLm>(
    checkpoints: &Checkpoints,
    state: &RunState,
    (model, best): (&M, &Best<M>),
    updater: &Updater,
) -> Result<(), TrainError> {
    let (weights, moments) = (module_bytes(model)?, updater.state()?);
    let best = best.bytes()?;
    let mut parts: Vec<(&str, &[u8])> = vec![(MODEL, &weights), (OPTIMIZER, &moments)];
    parts.extend(best.as_ref().map(|bytes| (BEST, &bytes[..])));
    let position = RunPosition {
        run: *state,
        n_updates: updater.n_steps(),
    };
    checkpoints.save(state.n_steps, &position, &parts)
}

impl PolicyProblem {
    fn reward_context<'a>(&self, judged: &'a JudgedRollout) -> RewardContext<'a> {
        RewardContext {
            response: &judged.response,
            verdict: &judged.verdict,
            reference_tokens: self.reference_tokens,
            budget: self.budget,
        }
    }
}

/// Log-probabilities under the reference policy, every shard on a thread of its own as in the update.
fn set_reference<M: CausalLm + Sync>(
    shards: &mut [PolicyBatch],
    reference: &M,
    config: &PolicyConfig,
    device: &Device,
) -> Result<(), TrainError> {
    hand_over(device)?;
    let temperature = config.temperature;
    thread::scope(|scope| {
        for shard in shards {
            scope.spawn(|| {
                let tokens = &shard.tokens;
                let logprobs = match config.logits_chunk {
                    Some(chunk) => tokens.chunked_logprobs(reference, temperature, chunk, device),
                    None => {
                        let logprobs = tokens.logprobs(reference, temperature, device);
                        logprobs.into_data().iter::<f32>().collect()
                    }
                };
                shard.set_ref_logprobs(logprobs);
            });
        }
    });
    Ok(())
}
