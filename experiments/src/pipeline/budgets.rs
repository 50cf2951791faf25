//! Teacher budgets: K samples per problem and level.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use extracot_core::budget::{LevelOutcome, teacher_budget};
use extracot_core::{ControlToken, KeepLevel, Problem, ThinkState, Tokenizer};
use extracot_train::policy_trainer::PolicyProblem;

use super::Pipeline;
use crate::run::StageFolder;

/// What is known of a problem after sampling.
#[derive(Default)]
struct Measured {
    outcomes: Vec<LevelOutcome>,
    reference_tokens: Option<usize>,
}

/// Measures the teacher budget of every problem with samples of the model in `teacher`, and its
/// reference length: the mean think tokens of its correct answers at 100 %, else those of the base
/// model's answer, else (problem files) those of the worked solution.
///
/// # Errors
///
/// If sampling or writing fails, or no problem has a reference length.
pub fn measure_budgets(
    pipeline: &Pipeline,
    name: &str,
    teacher: &StageFolder,
    base: &StageFolder,
    problems: &[Problem],
) -> Result<StageFolder> {
    let config = pipeline.config.budgets;
    let inputs = (
        &teacher.key,
        &base.key,
        config,
        problems,
        pipeline.config.decode,
        pipeline.seed,
    );
    pipeline.run.stage(name, &inputs, |stage| {
        let policy = pipeline.policy(teacher)?;
        let context = policy.context();
        let params = pipeline.sampling(config.temperature, config.n_samples);
        let progress = pipeline.progress(name, problems.len() * KeepLevel::ALL.len(), "prompts");
        let mut measured: Vec<Measured> = problems.iter().map(|_| Measured::default()).collect();
        for level in KeepLevel::ALL {
            let control = Some(ControlToken::Level(level));
            let prompts: Vec<_> = problems
                .iter()
                .map(|p| context.prompt(p, control))
                .collect();
            let seed = pipeline.seed.derive(name, u64::from(level.percent()));
            let groups = pipeline.rollout(&policy, &prompts, &params, seed, &progress)?;
            for ((problem, group), measured) in problems.iter().zip(&groups).zip(&mut measured) {
                let judged: Vec<_> = group
                    .rollouts
                    .iter()
                    .map(|r| context.judge(problem, r))
                    .collect();
                let correct: Vec<usize> = judged
                    .iter()
                    .filter(|j| {
                        j.verdict.is_correct()
                            && j.response.control.is_some()
                            && j.response.think_state == ThinkState::Closed
                            && j.response.think_tokens > 0
                    })
                    .map(|j| j.response.think_tokens)
                    .collect();
                let (n_correct, n) = (correct.len(), judged.len());
                measured.outcomes.push(LevelOutcome {
                    level,
                    n_correct,
                    n,
                });
                if level == KeepLevel::FULL && n_correct > 0 {
                    measured.reference_tokens = Some(correct.iter().sum::<usize>() / n_correct);
                }
            }
        }
        drop(progress);
        add_base_lengths(pipeline, base, problems, &mut measured)?;

        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut rows = Vec::new();
        for (problem, measured) in problems.iter().zip(&measured) {
            let budget = teacher_budget(&measured.outcomes, config.rule);
            let name = budget.map_or_else(|| "none".to_owned(), |level| level.to_string());
            let Some(reference_tokens) = measured.reference_tokens.filter(|tokens| *tokens > 0)
            else {
                *counts
                    .entry("dropped: no reference length".to_owned())
                    .or_default() += 1;
                continue;
            };
            *counts.entry(format!("budget {name}")).or_default() += 1;
            rows.push(PolicyProblem {
                problem: problem.clone(),
                budget,
                reference_tokens,
            });
        }
        if rows.is_empty() {
            bail!("no problem has a reference length: {counts:?}");
        }
        stage.write("counts.jsonl", &[counts])?;
        stage.write("budgets.jsonl", &rows)
    })
}

/// Reference lengths from the base model where the teacher has no correct full answer.
fn add_base_lengths(
    pipeline: &Pipeline,
    base: &StageFolder,
    problems: &[Problem],
    measured: &mut [Measured],
) -> Result<()> {
    let policy = pipeline.policy(base)?;
    let context = policy.context();
    let missing: Vec<usize> = (0..problems.len())
        .filter(|idx| measured[*idx].reference_tokens.is_none())
        .collect();
    let prompts: Vec<_> = missing
        .iter()
        .map(|idx| context.prompt(&problems[*idx], None))
        .collect();
    let progress = pipeline.progress("reference lengths", prompts.len(), "problems");
    let seed = pipeline.seed.derive("reference lengths", 0);
    let groups = pipeline.rollout(
        &policy,
        &prompts,
        &pipeline.sampling(0.0, 1),
        seed,
        &progress,
    )?;
    for (idx, group) in missing.into_iter().zip(&groups) {
        let response = context.judge(&problems[idx], &group.rollouts[0]).response;
        // A base model that wrote nothing leaves the worked solution of a problem file.
        let solution = problems[idx]
            .solution
            .as_ref()
            .filter(|_| pipeline.problems.from_file);
        let worked = solution.map(|text| policy.checkpoint.tokenizer.n_tokens(text));
        let base = Some(response.think_tokens).filter(|tokens| *tokens > 0);
        measured[idx].reference_tokens = base.or(worked);
    }
    Ok(())
}
