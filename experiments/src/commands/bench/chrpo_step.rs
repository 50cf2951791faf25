//! One step of CHRPO: the policy's run itself, cut into its parts.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use extracot_core::{KeepLevel, Seed, Tokenizer};
use extracot_models::PolicyCheckpoint;
use extracot_train::policy_trainer::{
    PolicyAlgorithm, PolicyConfig, PolicyProblem, PolicyTask, StepTimes, train_policy,
};

use super::measurement::{Measurement, Timings, repeat};
use crate::config::AblationConfig;
use crate::pipeline::{Policy, full_chrpo, write_shipped_base};
use crate::word_problems::{Split, problem_set};

/// What a step took, and how much it did.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    times: StepTimes,
    n_rollouts: usize,
    n_tokens: usize,
}

/// Repeats the first step of a run, from the same weights: the same work every time.
pub(super) fn measure(
    config: &AblationConfig,
    policy: Option<&Path>,
    (repeats, device): (NonZeroUsize, &Device),
    report: &mut dyn FnMut(Measurement) -> Result<()>,
) -> Result<()> {
    let policy = Policy::new(match policy {
        Some(folder) => PolicyCheckpoint::load(folder, device)?,
        None => shipped(device)?,
    })?;
    let problems = problems(&config.chrpo.policy, &policy)?;
    let arm = full_chrpo(config)?;
    let algorithm = PolicyAlgorithm {
        reward: arm.reward.as_ref(),
        estimator: arm.estimator.as_ref(),
        objective: arm.objective.as_ref(),
    };
    let task = PolicyTask {
        problems: &problems,
        context: &policy.context(),
    };
    let one_step = PolicyConfig {
        n_steps: 1,
        ..config.chrpo.policy
    };
    let autodiff = device.clone().autodiff();
    let mut steps = Vec::new();
    let timings = repeat(repeats, || {
        let model = policy.checkpoint.model.clone().train();
        train_policy(
            model,
            task,
            &algorithm,
            &one_step,
            &autodiff,
            Seed(1),
            |step| {
                let n_tokens = step.rollouts.iter().map(|row| row.response.total_tokens);
                steps.push(Step {
                    times: step.times,
                    n_rollouts: step.rollouts.len(),
                    n_tokens: n_tokens.sum(),
                });
                Ok(())
            },
        )?;
        Ok(())
    })?;
    let Step {
        n_rollouts,
        n_tokens,
        ..
    } = steps.last().copied().unwrap_or_default();
    let of = |part: fn(&StepTimes) -> Duration| Timings {
        // The first time does not count.
        seconds: steps[1..]
            .iter()
            .map(|step| part(&step.times).as_secs_f64())
            .collect(),
        cpu_seconds: None,
    };
    let judged = (n_rollouts, 1.0, "rollouts/s");
    for measurement in [
        Measurement::of_tokens("chrpo_rollout", n_tokens, &of(|times| times.rollout)),
        Measurement::new("chrpo_verdict", judged, &of(|times| times.verdict)),
        Measurement::of_tokens("chrpo_logprobs", n_tokens, &of(|times| times.logprobs)),
        Measurement::of_tokens("chrpo_update", n_tokens, &of(|times| times.update)),
        Measurement::of_tokens("chrpo_step", n_tokens, &timings),
    ] {
        report(measurement?)?;
    }
    Ok(())
}

/// The shipped base model. It was never asked for a level, so its control tokens are untrained.
fn shipped(device: &Device) -> Result<PolicyCheckpoint> {
    let folder = tempfile::tempdir()?;
    write_shipped_base(folder.path())?;
    let base = PolicyCheckpoint::load(folder.path(), device)?;
    Ok(base.with_control_tokens(Seed(1))?)
}

/// Problems of one step: all levels as budgets in turn.
fn problems(config: &PolicyConfig, policy: &Policy) -> Result<Vec<PolicyProblem>> {
    let worked = problem_set(Split::Reinforce, config.prompts_per_step, Seed(1))?;
    let budgets = KeepLevel::ALL.into_iter().cycle();
    let problems = worked.into_iter().zip(budgets).map(|(worked, budget)| {
        let reference_tokens = policy.checkpoint.tokenizer.n_tokens(&worked.think);
        PolicyProblem {
            problem: worked.problem,
            budget: Some(budget),
            reference_tokens,
        }
    });
    Ok(problems.collect())
}
