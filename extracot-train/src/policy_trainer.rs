//! Stage 3: rollouts, verdicts, rewards, advantages, update - in that order, in one function.

mod metrics;
mod ratios;
mod rounds;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use burn::tensor::Device;
use extracot_core::advantage::{AdvantageEstimator, SegmentAdvantages};
use extracot_core::reward::{Reward, RewardBreakdown, RewardContext};
use extracot_core::{CoreError, KeepLevel, Problem, Response, Seed};
use extracot_models::CausalLm;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::batch::PolicyBatch;
use crate::evaluate::{JudgedRollout, TaskContext};
use crate::objective::PolicyObjective;
use crate::update::{StepStats, UpdateConfig, Updater};
use metrics::step_metrics;
use ratios::{UpdateRatios, check_temperature};
use rounds::{PromptStream, sample_step};

/// Settings of a reinforcement run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Steps: one batch of rollouts and its updates each.
    pub n_steps: usize,
    /// Problems per step.
    pub prompts_per_step: usize,
    /// Rollouts per problem.
    pub group_size: usize,
    /// Updates per batch of rollouts.
    pub updates_per_step: usize,
    /// Temperature of the rollouts, and of the log-probabilities that the update compares with theirs.
    #[serde(default = "one")]
    pub temperature: f64,
    /// Draws of other problems per step that may take the place of constant groups (dynamic sampling of
    /// DAPO, arXiv 2503.14476, section 3.2); 0 trains on the groups of the one draw as they are.
    #[serde(default)]
    pub extra_rounds: usize,
    /// Tokens after which a rollout is cut.
    pub max_new_tokens: usize,
    /// Rows decoded together.
    pub batch_rows: usize,
    /// Pieces of a batch that are computed side by side.
    pub n_shards: usize,
    /// Optimizer and schedule.
    pub update: UpdateConfig,
}

fn one() -> f64 {
    1.0
}

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

/// One row of `rollouts.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutRow {
    /// The step, from 0.
    pub step: usize,
    /// The problem.
    pub prompt_id: String,
    /// Position in its group.
    pub sample_idx: usize,
    /// The seed of the step's rollouts.
    pub seed: u64,
    /// The level the model chose, if it stated one.
    pub chosen: Option<KeepLevel>,
    /// The teacher budget.
    pub budget: Option<KeepLevel>,
    /// Verdict with its reason.
    pub verdict: extracot_core::Verdict,
    /// Think tokens.
    pub think_tokens: usize,
    /// Think tokens / reference think tokens.
    pub realized_ratio: f64,
    /// The decoded completion.
    pub text: String,
    /// The gold answer.
    pub answer: String,
    /// Think tokens of the reference answer.
    pub reference_tokens: usize,
    /// The completion, taken apart.
    pub response: Response,
    /// The reward with all its parts; `None` if the answer could not be judged.
    pub reward: Option<RewardBreakdown>,
    /// The advantages; `None` as above.
    pub advantages: Option<SegmentAdvantages>,
    /// Why the update did not see its group; only with [`PolicyConfig::extra_rounds`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
}

/// Why dynamic sampling left a group out of the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// All of its main rewards are equal, and all of its control rewards: it teaches nothing.
    Constant,
    /// The step had its groups already.
    Surplus,
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
}

/// Trains `model` by reinforcement under `<COMP_POLICY>` and tells `report` of every step.
///
/// # Errors
///
/// Non-finite losses or gradients, what the engine fails with, and an empty problem list.
pub fn train_policy<M: CausalLm + Sync>(
    mut model: M,
    task: PolicyTask<'_>,
    algorithm: &PolicyAlgorithm<'_>,
    config: &PolicyConfig,
    device: &Device,
    seed: Seed,
    mut report: impl FnMut(PolicyStepReport) -> Result<(), TrainError>,
) -> Result<M, TrainError> {
    if task.problems.is_empty() {
        return Err(TrainError::NoData {
            what: "reinforcement learning",
        });
    }
    if config.updates_per_step == 0 || config.group_size < 2 || config.prompts_per_step == 0 {
        return Err(TrainError::Core(CoreError::Setting {
            key: "updates_per_step, group_size, prompts_per_step",
            found: format!(
                "{}, {}, {}",
                config.updates_per_step, config.group_size, config.prompts_per_step
            ),
            allowed: "at least 1 update, 2 rollouts per problem and 1 problem",
        }));
    }
    check_temperature(config.temperature)?;
    let inner_device = device.clone().inner();
    let reference = algorithm.objective.needs_reference().then(|| model.valid());
    let mut updater = Updater::try_new(&config.update, config.n_steps * config.updates_per_step)?;
    let mut stream = PromptStream {
        task,
        per_draw: config.prompts_per_step,
        seed,
        n_draws: 0,
    };
    for step in 0..config.n_steps {
        let behavior = model.valid();
        let place = (step, &inner_device);
        let sampled = sample_step(&behavior, &mut stream, algorithm, config, place)?;
        let mut shards = PolicyBatch::collate(&sampled.rows, config.n_shards);
        if let Some(reference) = &reference {
            set_reference(&mut shards, reference, config.temperature, &inner_device);
        }
        let mut updates = Vec::new();
        if !shards.is_empty() {
            for _ in 0..config.updates_per_step {
                let (next, update) =
                    update(model, &mut updater, &shards, algorithm, config, device)?;
                model = next;
                updates.push(update);
            }
        }
        report(PolicyStepReport {
            step,
            metrics: step_metrics(&sampled, &shards, &updates, config),
            rollouts: sampled.rollouts,
        })?;
    }
    Ok(model)
}

/// One update: the optimizer step, and where its importance weights stood before it.
fn update<M: CausalLm + Sync>(
    model: M,
    updater: &mut Updater,
    shards: &[PolicyBatch],
    algorithm: &PolicyAlgorithm<'_>,
    config: &PolicyConfig,
    device: &Device,
) -> Result<(M, (StepStats, UpdateRatios)), TrainError> {
    let objective = algorithm.objective;
    let computed = Mutex::new(vec![Vec::new(); shards.len()]);
    let indexed: Vec<(usize, &PolicyBatch)> = shards.iter().enumerate().collect();
    let (model, stats) = updater.step(model, &indexed, device, |model, (idx, shard)| {
        let logprobs = shard.tokens.logprobs(model, config.temperature, device);
        let values = logprobs.clone().inner().into_data().iter::<f32>().collect();
        computed.lock().unwrap_or_else(PoisonError::into_inner)[*idx] = values;
        objective.loss(shard, shard.tensors(device), logprobs)
    })?;
    let computed = computed
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let ratios = UpdateRatios::of(shards, &computed, objective.clip());
    Ok((model, (stats, ratios)))
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
    temperature: f64,
    device: &Device,
) {
    thread::scope(|scope| {
        for shard in shards {
            scope.spawn(|| {
                let logprobs = shard
                    .tokens
                    .logprobs(reference, temperature, device)
                    .into_data();
                shard.set_ref_logprobs(logprobs.iter::<f32>().collect());
            });
        }
    });
}
