//! The rollouts of a step: prompts, samples, verdicts, rewards, advantages, and what is left out.

use burn::tensor::Device;
use extracot_core::reward::RewardBreakdown;
use extracot_core::{ControlToken, RolloutEngine, RolloutGroup, SamplingParams, Seed};
use extracot_models::{CausalLm, LocalEngine, StopRule};
use rand::seq::SliceRandom;

use super::{
    LeftOut, PolicyProblem, PolicyRun, PolicyTask, RolloutRow, RolloutSource, SampledTokens,
    StepTimes, timed,
};
use crate::TrainError;
use crate::batch::PolicyRow;
use crate::evaluate::JudgedRollout;

/// Draws of problems, one after the other, with the seeds of their rollouts.
#[derive(Debug, Clone, Copy)]
pub(super) struct PromptStream<'a> {
    pub(super) task: PolicyTask<'a>,
    pub(super) per_draw: usize,
    pub(super) seed: Seed,
    pub(super) n_draws: usize,
}

impl<'a> PromptStream<'a> {
    /// The problems of the next draw: a new random order for every pass over the data. A draw takes its
    /// problems from one pass, so none stands in it twice; what is left of a pass that does not fill a
    /// draw is skipped.
    fn next(&mut self) -> (Vec<&'a PolicyProblem>, Seed) {
        let problems = self.task.problems;
        let (n, draw) = (self.per_draw, self.n_draws);
        self.n_draws += 1;
        let draws_per_pass = (problems.len() / n).max(1);
        let pass = draw / draws_per_pass;
        let mut order: Vec<&PolicyProblem> = problems.iter().collect();
        order.shuffle(&mut self.seed.derive("pass", pass as u64).rng());
        let start = draw % draws_per_pass * n;
        let drawn = order.into_iter().skip(start).take(n).collect();
        (drawn, self.seed.derive("rollout", draw as u64))
    }
}

/// What the rounds of a step sampled.
#[derive(Debug, Default)]
pub(super) struct StepRollouts {
    /// What the update sees.
    pub(super) rows: Vec<PolicyRow>,
    /// Every rollout, those that are left out too.
    pub(super) rollouts: Vec<RolloutRow>,
    /// Draws of prompts.
    pub(super) n_rounds: usize,
    /// Groups sampled.
    pub(super) n_groups: usize,
    /// Groups whose main rewards are all equal.
    pub(super) n_main_constant: usize,
    /// Groups whose control rewards are all equal.
    pub(super) n_control_constant: usize,
    /// Groups in the update.
    pub(super) n_used: usize,
    /// Groups left out as they teach nothing.
    pub(super) n_left_constant: usize,
    /// Groups left out as the step was full.
    pub(super) n_left_surplus: usize,
    /// Of sampling and judging.
    pub(super) times: StepTimes,
}

/// Samples until the step has `prompts_per_step` groups that teach something or the rounds are used up.
/// Without extra rounds every group of the one draw is used.
pub(super) fn sample_step<M: CausalLm + Sync>(
    behavior: &M,
    stream: &mut PromptStream<'_>,
    run: &PolicyRun<'_>,
    (step, device): (usize, &Device),
) -> Result<StepRollouts, TrainError> {
    let config = run.config;
    let context = stream.task.context;
    // From the whole vocabulary: the recorded log-probabilities are the policy's own.
    let params = SamplingParams::at(config.temperature, config.group_size, config.max_new_tokens);
    let engine = LocalEngine {
        model: behavior,
        device,
        stop: StopRule::at(context.parser.turn_close()),
        batch_rows: config.batch_rows,
        n_workers: config.n_shards,
        progress: &|_, _| {},
    };
    let (mut sampled, mut times) = (StepRollouts::default(), StepTimes::default());
    while sampled.n_rounds <= config.extra_rounds && sampled.n_used < config.prompts_per_step {
        sampled.n_rounds += 1;
        let (problems, seed) = stream.next();
        let prompts: Vec<_> = problems
            .iter()
            .map(|p| context.prompt(&p.problem, Some(ControlToken::Policy)))
            .collect::<Result<_, _>>()?;
        let groups = timed(&mut times.rollout, || match run.source {
            RolloutSource::Sampled { .. } => {
                let groups = engine.rollout(&prompts, &params, seed);
                groups.map_err(TrainError::from)
            }
            RolloutSource::Replayed(replay) => Ok(replay.rollout(&prompts, &params, seed)?),
        })?;
        timed(&mut times.verdict, || {
            for (problem, group) in problems.iter().zip(&groups) {
                sampled.add(problem, group, run, (step, seed));
            }
        });
    }
    sampled.times = times;
    Ok(sampled)
}

impl StepRollouts {
    fn add(
        &mut self,
        problem: &PolicyProblem,
        group: &RolloutGroup,
        run: &PolicyRun<'_>,
        (step, seed): (usize, Seed),
    ) {
        let (context, algorithm, config) = (run.task.context, run.algorithm, run.config);
        let keeps_tokens = match run.source {
            RolloutSource::Sampled { keeps_tokens } => keeps_tokens,
            RolloutSource::Replayed(_) => true,
        };
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
        let is_constant = advantages.main_is_constant && advantages.control_is_constant;
        let left_out = if config.extra_rounds == 0 {
            None
        } else if is_constant {
            Some(LeftOut::Constant)
        } else if self.n_used == config.prompts_per_step {
            Some(LeftOut::Surplus)
        } else {
            None
        };
        self.n_groups += 1;
        self.n_main_constant += usize::from(advantages.main_is_constant);
        self.n_control_constant += usize::from(advantages.control_is_constant);
        match left_out {
            None => self.n_used += 1,
            Some(LeftOut::Constant) => self.n_left_constant += 1,
            Some(LeftOut::Surplus) => self.n_left_surplus += 1,
        }
        for (sample_idx, (rollout, judged)) in group.rollouts.iter().zip(&judged).enumerate() {
            if let (None, Some(advantage)) = (left_out, advantages.rollouts[sample_idx]) {
                self.rows.push(PolicyRow {
                    prompt_ids: group.prompt.token_ids.clone(),
                    completion_ids: rollout.token_ids.clone(),
                    old_logprobs: rollout.logprobs.clone(),
                    advantage_main: advantage.main,
                    advantage_control: advantage.control,
                });
            }
            self.rollouts.push(RolloutRow {
                step,
                prompt_id: problem.problem.id.clone(),
                sample_idx,
                seed: seed.0,
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
                left_out,
                sampled: keeps_tokens.then(|| SampledTokens {
                    token_ids: rollout.token_ids.clone(),
                    logprobs: rollout.logprobs.clone(),
                    finish: rollout.finish,
                }),
            });
        }
    }
}
