//! A look at problems that are not trained on.

use burn::tensor::Device;
use extracot_core::{ControlToken, RolloutEngine, SamplingParams};
use extracot_models::{CausalLm, LocalEngine, StopRule};

use super::{PolicyProblem, PolicyRun};
use crate::TrainError;

/// Problems that are not trained on, and how often they are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Validation<'a> {
    /// The problems.
    pub problems: &'a [PolicyProblem],
    /// Steps between two looks; the last step is always looked at.
    pub every: usize,
}

/// What a look showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Looked {
    /// Mean main reward of the answers that can be judged.
    pub(super) reward: f64,
    accuracy: f64,
    think_tokens: f64,
    undecided_share: f64,
}

impl Looked {
    /// By metric key (`docs/metrics.md`).
    pub(super) fn metrics(&self) -> [(String, f64); 4] {
        [
            ("validation/reward_main_mean", self.reward),
            ("validation/accuracy", self.accuracy),
            ("validation/think_tokens_mean", self.think_tokens),
            ("validation/undecided_share", self.undecided_share),
        ]
        .map(|(key, value)| (key.to_owned(), value))
    }
}

impl Validation<'_> {
    /// One greedy answer to every problem under `<COMP_POLICY>`, with the reward of the run.
    pub(super) fn look<M: CausalLm + Sync>(
        &self,
        model: &M,
        run: &PolicyRun<'_>,
        device: &Device,
    ) -> Result<Looked, TrainError> {
        let (context, config) = (run.task.context, run.config);
        let engine = LocalEngine {
            model,
            device,
            stop: StopRule::at(context.parser.turn_close()),
            batch_rows: config.batch_rows,
            n_workers: config.n_shards,
            progress: &|_, _| {},
        };
        let prompts = self
            .problems
            .iter()
            .map(|p| context.prompt(&p.problem, Some(ControlToken::Policy)))
            .collect::<Result<Vec<_>, _>>()?;
        let params = SamplingParams::greedy(config.max_new_tokens);
        let groups = engine.rollout(&prompts, &params, run.seed)?;
        let (mut reward, mut n_judged) = (0.0, 0_usize);
        let (mut n_right, mut n_think) = (0_usize, 0);
        for (problem, group) in self.problems.iter().zip(&groups) {
            for rollout in &group.rollouts {
                let judged = context.judge(&problem.problem, rollout);
                n_right += usize::from(judged.verdict.is_correct());
                n_think += judged.response.think_tokens;
                let rewarded = run
                    .algorithm
                    .reward
                    .evaluate(&problem.reward_context(&judged));
                if let Some(found) = rewarded {
                    reward += found.main;
                    n_judged += 1;
                }
            }
        }
        let n = self.problems.len();
        if n_judged == 0 {
            return Err(TrainError::NoData {
                what: "validation: there is no problem whose answer can be judged",
            });
        }
        Ok(Looked {
            reward: reward / n_judged as f64,
            accuracy: n_right as f64 / n as f64,
            think_tokens: n_think as f64 / n as f64,
            undecided_share: (n - n_judged) as f64 / n as f64,
        })
    }
}
