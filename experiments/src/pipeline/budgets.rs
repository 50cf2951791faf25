//! Teacher budgets: K samples per problem and level.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use extracot_core::budget::{LevelOutcome, teacher_budget, within_quota};
use extracot_core::{ControlToken, KeepLevel, Problem, Response, ThinkState, Tokenizer};
use extracot_train::policy_trainer::PolicyProblem;

use super::Pipeline;
use crate::run::StageFolder;

/// What is known of a problem after sampling.
#[derive(Default)]
struct Measured {
    outcomes: Vec<LevelOutcome>,
    reference: Option<Reference>,
}

/// A reference length and where it comes from.
struct Reference {
    source: &'static str,
    think_tokens: usize,
}

/// Measures the teacher budget of every problem with samples of the model in `teacher`, and its
/// reference length: the mean think tokens of its correct answers at 100 %, else those of the base
/// model's answer, right or wrong, if its think text is closed, else (problem files) those of the
/// worked solution.
///
/// A sample passes a level if it is right and well formed and states that level.
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
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut count = |reason: String| *counts.entry(reason).or_default() += 1;
        for level in KeepLevel::ALL {
            let control = ControlToken::Level(level);
            let prompts: Vec<_> = problems
                .iter()
                .map(|p| context.prompt(p, Some(control)))
                .collect::<Result<_, _>>()?;
            let seed = pipeline.seed.derive(name, u64::from(level.percent()));
            let groups = pipeline.rollout(&policy, &prompts, &params, seed, &progress)?;
            for ((problem, group), measured) in problems.iter().zip(&groups).zip(&mut measured) {
                let mut correct = Vec::new();
                for rollout in &group.rollouts {
                    let judged = context.judge(problem, rollout);
                    if judged.response.control != Some(control) {
                        count(format!("samples at level {level} that state another"));
                    } else if judged.verdict.is_correct() && has_thought(&judged.response) {
                        correct.push(judged.response.think_tokens);
                    }
                }
                let n_correct = correct.len();
                measured.outcomes.push(LevelOutcome {
                    level,
                    n_correct,
                    n: group.rollouts.len(),
                });
                if level == KeepLevel::FULL && n_correct > 0 {
                    measured.reference = Some(Reference {
                        source: "level 100",
                        think_tokens: correct.iter().sum::<usize>() / n_correct,
                    });
                }
            }
        }
        drop(progress);
        add_other_references(pipeline, base, problems, &mut measured)?;

        let mut rows = Vec::new();
        for (problem, measured) in problems.iter().zip(&measured) {
            let budget = teacher_budget(&measured.outcomes, config.rule);
            let name = budget.map_or_else(|| "none".to_owned(), |level| level.to_string());
            let Some(reference) = &measured.reference else {
                count("dropped: no reference length".to_owned());
                continue;
            };
            count(format!("budget {name}"));
            count(format!("reference length of {}", reference.source));
            rows.push(PolicyProblem {
                problem: problem.clone(),
                budget,
                reference_tokens: reference.think_tokens,
            });
        }
        if rows.is_empty() {
            bail!("no problem has a reference length: {counts:?}");
        }
        stage.write("counts.jsonl", &[counts])?;
        stage.write("budgets.jsonl", &rows)
    })
}

/// Takes the problems that reinforcement learning learns on: at most a quota of every budget.
///
/// # Errors
///
/// If reading or writing fails.
pub fn fill_quotas(pipeline: &Pipeline, budgets: &StageFolder) -> Result<StageFolder> {
    let quota = pipeline.config.problems.reinforce_quota;
    pipeline
        .run
        .stage("reinforce", &(&budgets.key, quota), |stage| {
            let rows: Vec<PolicyProblem> = budgets.read("budgets.jsonl")?;
            let levels: Vec<_> = rows.iter().map(|row| row.budget).collect();
            let taken: Vec<&PolicyProblem> = within_quota(&levels, quota)
                .into_iter()
                .map(|idx| &rows[idx])
                .collect();
            let n_step = pipeline.config.chrpo.policy.prompts_per_step;
            let counts = BTreeMap::from([
                ("taken".to_owned(), taken.len()),
                (
                    format!("lacking for a step of {n_step}"),
                    n_step.saturating_sub(taken.len()),
                ),
                (
                    format!("left out: over the quota of {quota} for each budget"),
                    rows.len() - taken.len(),
                ),
            ]);
            stage.write("counts.jsonl", &[counts])?;
            stage.write("problems.jsonl", &taken)
        })
}

/// Whether there is one think text that was closed and is not empty.
pub(crate) fn has_thought(response: &Response) -> bool {
    response.think_state == ThinkState::Closed && response.think_tokens > 0
}

/// Reference lengths where the teacher has no correct full answer: of the base model's answer, or
/// of the worked solution.
fn add_other_references(
    pipeline: &Pipeline,
    base: &StageFolder,
    problems: &[Problem],
    measured: &mut [Measured],
) -> Result<()> {
    let policy = pipeline.policy(base)?;
    let context = policy.context();
    let missing: Vec<usize> = (0..problems.len())
        .filter(|idx| measured[*idx].reference.is_none())
        .collect();
    let prompts: Vec<_> = missing
        .iter()
        .map(|idx| context.prompt(&problems[*idx], None))
        .collect::<Result<_, _>>()?;
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
        let problem = &problems[idx];
        let judged = context.judge(problem, &group.rollouts[0]);
        let base = has_thought(&judged.response).then_some(Reference {
            source: "the base model",
            think_tokens: judged.response.think_tokens,
        });
        // The generator's solution is a bare list of equations, no full chain of thought.
        let solution = problem
            .solution
            .as_ref()
            .filter(|_| pipeline.problems.from_file);
        let worked = solution.map(|text| Reference {
            source: "the worked solution",
            think_tokens: policy.checkpoint.tokenizer.n_tokens(text.trim()),
        });
        measured[idx].reference = base.or(worked).filter(|found| found.think_tokens > 0);
    }
    Ok(())
}
