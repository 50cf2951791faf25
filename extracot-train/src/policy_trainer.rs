//! Stage 3: rollouts, verdicts, rewards, advantages, update - in that order, in one function.

use std::collections::BTreeMap;
use std::thread;

use burn::tensor::Device;
use extracot_core::advantage::{AdvantageEstimator, SegmentAdvantages};
use extracot_core::reward::{Reward, RewardBreakdown, RewardContext};
use extracot_core::{
    ControlToken, CoreError, KeepLevel, Problem, Response, RolloutEngine, SamplingParams, Seed,
};
use extracot_models::{CausalLm, LocalEngine, StopRule};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::batch::{PolicyBatch, PolicyRow};
use crate::evaluate::{JudgedRollout, TaskContext};
use crate::objective::PolicyObjective;
use crate::update::{StepStats, UpdateConfig, Updater};

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
    /// Tokens after which a rollout is cut.
    pub max_new_tokens: usize,
    /// Rows decoded together.
    pub batch_rows: usize,
    /// Pieces of a batch that are computed side by side.
    pub n_shards: usize,
    /// Optimizer and schedule.
    pub update: UpdateConfig,
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
    let PolicyTask { problems, context } = task;
    if problems.is_empty() {
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
    let inner_device = device.clone().inner();
    let reference = algorithm.objective.needs_reference().then(|| model.valid());
    let mut updater = Updater::try_new(&config.update, config.n_steps * config.updates_per_step)?;
    // On-policy sampling at temperature 1: the recorded log-probabilities are the policy's own.
    let params = SamplingParams::at(1.0, config.group_size, config.max_new_tokens);
    for step in 0..config.n_steps {
        let chosen = step_problems(problems, config.prompts_per_step, step, seed);
        let prompts: Vec<_> = chosen
            .iter()
            .map(|p| context.prompt(&p.problem, Some(ControlToken::Policy)))
            .collect::<Result<_, _>>()?;
        let rollout_seed = seed.derive("rollout", step as u64);
        let behavior = model.valid();
        let engine = LocalEngine {
            model: &behavior,
            device: &inner_device,
            stop: StopRule::at(context.parser.turn_close()),
            batch_rows: config.batch_rows,
            n_workers: config.n_shards,
            progress: &|_, _| {},
        };
        let groups = engine.rollout(&prompts, &params, rollout_seed)?;

        let mut rollouts = Vec::new();
        let mut rows = Vec::new();
        let (mut n_main_constant, mut n_control_constant) = (0, 0);
        for (problem, group) in chosen.iter().zip(&groups) {
            let judged: Vec<JudgedRollout> = group
                .rollouts
                .iter()
                .map(|r| context.judge(&problem.problem, r))
                .collect();
            let rewards: Vec<Option<RewardBreakdown>> = judged
                .iter()
                .map(|j| algorithm.reward.evaluate(&problem.reward_context(j)))
                .collect();
            let references: Vec<_> = rewards.iter().map(Option::as_ref).collect();
            let advantages = algorithm.estimator.advantages(&references);
            n_main_constant += usize::from(advantages.main_is_constant);
            n_control_constant += usize::from(advantages.control_is_constant);
            for (sample_idx, (rollout, judged)) in group.rollouts.iter().zip(&judged).enumerate() {
                if let Some(advantage) = advantages.rollouts[sample_idx] {
                    rows.push(PolicyRow {
                        prompt_ids: group.prompt.token_ids.clone(),
                        completion_ids: rollout.token_ids.clone(),
                        old_logprobs: rollout.logprobs.clone(),
                        advantage_main: advantage.main,
                        advantage_control: advantage.control,
                    });
                }
                rollouts.push(RolloutRow {
                    step,
                    prompt_id: problem.problem.id.clone(),
                    sample_idx,
                    seed: rollout_seed.0,
                    chosen: judged.response.control.and_then(ControlToken::level),
                    budget: problem.budget,
                    verdict: judged.verdict.clone(),
                    think_tokens: judged.response.think_tokens,
                    realized_ratio: problem.reward_context(judged).realized_ratio(),
                    text: context.tokenizer.decode(&rollout.token_ids),
                    answer: problem.problem.answer.clone(),
                    reference_tokens: problem.reference_tokens,
                    response: judged.response.clone(),
                    reward: rewards[sample_idx].clone(),
                    advantages: advantages.rollouts[sample_idx],
                });
            }
        }

        let mut shards = PolicyBatch::collate(&rows, config.n_shards);
        if let Some(reference) = &reference {
            set_reference(&mut shards, reference, &inner_device);
        }
        let mut stats = Vec::new();
        if !rows.is_empty() {
            for _ in 0..config.updates_per_step {
                let (next, done) = updater.step(model, &shards, device, |model, shard| {
                    let logprobs = shard.tokens.logprobs(model, device);
                    algorithm
                        .objective
                        .loss(shard, shard.tensors(device), logprobs)
                })?;
                model = next;
                stats.push(done);
            }
        }
        let mut metrics = step_metrics(&rollouts, &shards, &stats);
        for (key, n_constant) in [
            ("group/constant_share", n_main_constant),
            ("group/control_constant_share", n_control_constant),
        ] {
            metrics.insert(key.to_owned(), n_constant as f64 / groups.len() as f64);
        }
        report(PolicyStepReport {
            step,
            metrics,
            rollouts,
        })?;
    }
    Ok(model)
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

/// The problems of a step: a new random order for every pass over the data. A step takes its
/// problems from one pass, so none stands in it twice; what is left of a pass that does not fill a
/// step is skipped.
fn step_problems(
    problems: &[PolicyProblem],
    n: usize,
    step: usize,
    seed: Seed,
) -> Vec<&PolicyProblem> {
    let steps_per_pass = (problems.len() / n).max(1);
    let pass = step / steps_per_pass;
    let mut order: Vec<&PolicyProblem> = problems.iter().collect();
    order.shuffle(&mut seed.derive("pass", pass as u64).rng());
    let start = step % steps_per_pass * n;
    order.into_iter().skip(start).take(n).collect()
}

/// Log-probabilities under the reference policy, every shard on a thread of its own as in the update.
fn set_reference<M: CausalLm + Sync>(shards: &mut [PolicyBatch], reference: &M, device: &Device) {
    thread::scope(|scope| {
        for shard in shards {
            scope.spawn(|| {
                let logprobs = shard.tokens.logprobs(reference, device).into_data();
                shard.set_ref_logprobs(logprobs.iter::<f32>().collect());
            });
        }
    });
}

fn step_metrics(
    rollouts: &[RolloutRow],
    shards: &[PolicyBatch],
    stats: &[StepStats],
) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    let n = rollouts.len().max(1) as f64;
    let mut set = |key: &str, value: f64| {
        metrics.insert(key.to_owned(), value);
    };
    let judged: Vec<&RewardBreakdown> = rollouts
        .iter()
        .filter_map(|row| row.reward.as_ref())
        .collect();
    let n_judged = judged.len().max(1) as f64;
    set(
        "reward/main_mean",
        judged.iter().map(|r| r.main).sum::<f64>() / n_judged,
    );
    set(
        "reward/control_mean",
        judged.iter().map(|r| r.control).sum::<f64>() / n_judged,
    );
    let mut terms: BTreeMap<&str, f64> = BTreeMap::new();
    for term in judged.iter().flat_map(|reward| &reward.terms) {
        *terms.entry(&term.name).or_default() += term.raw;
    }
    for (name, sum) in terms {
        set(&format!("reward/{name}_mean"), sum / n_judged);
    }
    for level in KeepLevel::ALL {
        let n_level = rollouts
            .iter()
            .filter(|row| row.chosen == Some(level))
            .count();
        set(&format!("level/{level}_share"), n_level as f64 / n);
    }
    let mean = |value: &dyn Fn(&RolloutRow) -> f64| rollouts.iter().map(value).sum::<f64>() / n;
    set(
        "rollout/accuracy",
        mean(&|row| f64::from(u8::from(row.verdict.is_correct()))),
    );
    set(
        "rollout/undecided_share",
        mean(&|row| f64::from(u8::from(row.reward.is_none()))),
    );
    set(
        "length/think_tokens_mean",
        mean(&|row| row.think_tokens as f64),
    );
    set("ratio/realized_mean", mean(&|row| row.realized_ratio));
    let old_logprobs = || shards.iter().flat_map(PolicyBatch::old_logprobs);
    let n_tokens = old_logprobs().count().max(1) as f64;
    let kl: f64 = shards
        .iter()
        .flat_map(|shard| shard.old_logprobs().iter().zip(shard.ref_logprobs()))
        .map(|(old, reference)| {
            let log_weight = f64::from(reference - old);
            log_weight.exp() - log_weight - 1.0
        })
        .sum();
    if shards.iter().any(|shard| !shard.ref_logprobs().is_empty()) {
        set("policy/kl_k3_nats", kl / n_tokens);
    }
    let entropy: f64 = old_logprobs().map(|l| -f64::from(*l)).sum();
    set("policy/entropy_nats", entropy / n_tokens);
    let n_updates = stats.len().max(1) as f64;
    set(
        "optim/loss",
        stats.iter().map(|s| s.loss).sum::<f64>() / n_updates,
    );
    set(
        "optim/learning_rate",
        stats.iter().map(|s| s.learning_rate).sum::<f64>() / n_updates,
    );
    set(
        "optim/grad_norm",
        stats.iter().map(|s| s.grad_norm).sum::<f64>() / n_updates,
    );
    metrics
}
