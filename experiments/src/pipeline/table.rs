//! From records to `summary.json`.

use std::collections::BTreeMap;

use anyhow::Result;
use extracot_core::report::{Comparison, EvalRecord, EvalSummary};
use extracot_train::metrics::MetricRow;
use extracot_train::policy_trainer::{PolicyProblem, RolloutRow};

use super::{Evaluations, Pipeline, Prepared, TrainedArm};
use crate::config::content_hash;
use crate::report::p_phrase;
use crate::summary::{
    Aim, ArmCurve, PolicyStep, RowKind, SampleRollout, StageCounts, Summary, TableRow,
};

/// Sample rollouts per arm: the first of these problems at the first and last step.
const SAMPLES_PER_STEP: usize = 3;
/// ActRatio to reach.
const AIM_ACT_RATIO: f64 = 0.27;
/// Accuracy to gain over the base model.
const AIM_GAIN: f64 = 0.006;

/// Puts the result of the run together.
///
/// # Errors
///
/// If a stage's file cannot be read.
pub fn summarize(
    pipeline: &Pipeline,
    prepared: &Prepared,
    arms: &[TrainedArm],
    evaluations: &Evaluations,
) -> Result<Summary> {
    let seed = pipeline.seed.derive("statistics", 0);
    let base: &[EvalRecord] = &evaluations.rows[0].3;
    let full = evaluations.rows.iter().find(|row| row.1 == RowKind::Arm);
    let mut rows = Vec::new();
    for (name, kind, level, records) in &evaluations.rows {
        let is_other_arm =
            *kind == RowKind::Arm && full.is_some_and(|(full_name, ..)| full_name != name);
        let versus_full = match full.filter(|_| is_other_arm) {
            Some(full) => Some(Comparison::try_new(
                records,
                &full.3,
                seed.derive("full", 0),
            )?),
            None => None,
        };
        let versus_base = match kind {
            RowKind::Base => None,
            _ => Some(Comparison::try_new(records, base, seed.derive("base", 0))?),
        };
        rows.push(TableRow {
            name: name.clone(),
            kind: *kind,
            target_ratio: level.map(|level| level.ratio().value()),
            summary: EvalSummary::try_new(records, base, seed)?,
            versus_base,
            versus_full,
        });
    }

    let mut counts = vec![StageCounts {
        stage: "problems".to_owned(),
        counts: pipeline.problems.counts.clone(),
    }];
    for stage in prepared.counted() {
        let found = stage.read::<BTreeMap<String, u64>>("counts.jsonl")?;
        counts.extend(found.into_iter().map(|counts| StageCounts {
            stage: stage.name.clone(),
            counts,
        }));
    }
    let (mut curves, mut samples) = (Vec::new(), Vec::new());
    for TrainedArm { name, stage } in arms {
        let events: Vec<MetricRow> = stage.read("events.jsonl")?;
        let steps = events.into_iter().map(|row| PolicyStep {
            step: row.step,
            metrics: row.metrics,
        });
        curves.push(ArmCurve {
            arm: name.clone(),
            steps: steps.collect(),
        });
        samples.extend(sample_rollouts(
            pipeline,
            name,
            &stage.read("rollouts.jsonl")?,
        ));
    }
    Ok(Summary {
        experiment: pipeline.experiment.clone(),
        preset: pipeline.preset.clone(),
        seed: pipeline.seed.0,
        problems: pipeline.problems.source.clone(),
        config_hash: content_hash(&pipeline.config)?,
        aims: Vec::new(),
        rows,
        budgets: budget_table(&prepared.budgets.read("budgets.jsonl")?),
        curves,
        samples,
        counts,
    })
}

fn budget_table(problems: &[PolicyProblem]) -> Vec<(String, BTreeMap<String, u64>)> {
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    let mut by_difficulty: BTreeMap<u32, BTreeMap<String, u64>> = BTreeMap::new();
    for problem in problems {
        let level = problem
            .budget
            .map_or_else(|| "none".to_owned(), |level| level.to_string());
        *all.entry(level.clone()).or_default() += 1;
        if let Some(difficulty) = problem.problem.difficulty {
            *by_difficulty
                .entry(difficulty)
                .or_default()
                .entry(level)
                .or_default() += 1;
        }
    }
    let graded = by_difficulty
        .into_iter()
        .map(|(difficulty, counts)| (difficulty.to_string(), counts));
    std::iter::once(("all".to_owned(), all))
        .chain(graded)
        .collect()
}

fn sample_rollouts(pipeline: &Pipeline, arm: &str, rows: &[RolloutRow]) -> Vec<SampleRollout> {
    let last = rows.last().map_or(0, |row| row.step);
    let question = |id: &str| {
        let problem = pipeline
            .problems
            .reinforce
            .iter()
            .find(|problem| problem.id == id);
        problem.map_or_else(String::new, |problem| problem.question.clone())
    };
    let of_step = |step: usize| {
        rows.iter()
            .filter(move |row| row.step == step && row.sample_idx == 0)
            .take(SAMPLES_PER_STEP)
    };
    let steps = if last == 0 { vec![0] } else { vec![0, last] };
    steps
        .into_iter()
        .flat_map(of_step)
        .map(|row| {
            let reward = row.reward.as_ref();
            let terms = reward.map(|r| r.terms.iter().map(|t| (t.name.clone(), t.raw)).collect());
            SampleRollout {
                arm: arm.to_owned(),
                step: row.step,
                problem_id: row.prompt_id.clone(),
                question: question(&row.prompt_id),
                text: row.text.clone(),
                verdict: match &row.verdict {
                    extracot_core::Verdict::Correct => "correct".to_owned(),
                    extracot_core::Verdict::Incorrect => "incorrect".to_owned(),
                    extracot_core::Verdict::NoAnswer => "no answer".to_owned(),
                    extracot_core::Verdict::Undecided(reason) => format!("undecided: {reason}"),
                },
                think_tokens: row.think_tokens,
                terms: terms.unwrap_or_default(),
                reward_main: reward.map_or(0.0, |r| r.main),
                reward_control: reward.map_or(0.0, |r| r.control),
                advantages: row.advantages.map_or([0.0; 2], |a| [a.main, a.control]),
            }
        })
        .collect()
}

/// The aims of the method in miniature, and what came out: the arms are full CHRPO and then its
/// ablations.
pub fn aims(rows: &[TableRow]) -> Vec<Aim> {
    let mut aims = Vec::new();
    let base = &rows[0].summary;
    let interval = |i: &extracot_core::stats::Interval| {
        format!("{:.3} [{:.3}, {:.3}]", i.estimate, i.low, i.high)
    };
    aims.push(Aim {
        aim: "base accuracy at least 0.85".to_owned(),
        found: interval(&base.accuracy),
        reached: base.accuracy.estimate >= 0.85,
    });
    if let Some(hardest) = base.by_difficulty.last() {
        aims.push(Aim {
            aim: "base accuracy on the hardest problems at least 0.75".to_owned(),
            found: interval(&hardest.accuracy),
            reached: hardest.accuracy.estimate >= 0.75,
        });
    }
    let fixed: Vec<&TableRow> = rows
        .iter()
        .filter(|r| r.kind == RowKind::FixedLevel)
        .collect();
    let ratios = fixed.iter().map(|row| row.summary.act_ratio);
    let ratios: Vec<_> = ratios.collect();
    aims.push(Aim {
        aim: "realized ratios rise with the levels 20 to 100".to_owned(),
        found: ratios.iter().map(interval).collect::<Vec<_>>().join(", "),
        reached: ratios.is_sorted_by(|a, b| a.estimate < b.estimate),
    });
    if let Some(cheapest) = fixed.first() {
        let graded = base
            .by_difficulty
            .iter()
            .zip(&cheapest.summary.by_difficulty);
        let graded: Vec<_> = graded.collect();
        if let [(base_easy, easy), .., (base_hard, hard)] = graded[..] {
            aims.push(Aim {
                aim: format!(
                    "{} on the easiest problems: base less 0.05 or better",
                    cheapest.name
                ),
                found: format!(
                    "{} against {:.3}",
                    interval(&easy.accuracy),
                    base_easy.accuracy.estimate
                ),
                reached: easy.accuracy.estimate >= base_easy.accuracy.estimate - 0.05,
            });
            aims.push(Aim {
                aim: format!(
                    "{} on the hardest problems: interval below that of the base",
                    cheapest.name
                ),
                found: format!(
                    "{} against {}",
                    interval(&hard.accuracy),
                    interval(&base_hard.accuracy)
                ),
                reached: hard.accuracy.high < base_hard.accuracy.low,
            });
        }
    }
    if let Some(full) = rows.iter().find(|row| row.kind == RowKind::Arm) {
        let summary = &full.summary;
        aims.push(Aim {
            aim: format!("{}: ActRatio at most {AIM_ACT_RATIO}", full.name),
            found: interval(&summary.act_ratio),
            reached: summary.act_ratio.estimate <= AIM_ACT_RATIO,
        });
        if let Some(versus) = &full.versus_base {
            let gain = &versus.accuracy;
            aims.push(Aim {
                aim: format!(
                    "{}: accuracy at least that of the base plus {AIM_GAIN}",
                    full.name
                ),
                found: format!(
                    "{:+.3} [{:+.3}, {:+.3}], McNemar {}",
                    gain.mean,
                    gain.low,
                    gain.high,
                    versus.mcnemar.map_or_else(
                        || "not defined".to_owned(),
                        |found| p_phrase(found.p_two_sided)
                    )
                ),
                reached: gain.mean >= AIM_GAIN,
            });
        }
        for other in rows
            .iter()
            .filter(|row| row.kind == RowKind::Arm && row.name != full.name)
        {
            let Some(versus) = &other.versus_full else {
                continue;
            };
            let tokens = &versus.think_tokens;
            aims.push(Aim {
                aim: format!("fewer tokens for {} than for {}", full.name, other.name),
                found: format!(
                    "{:+.1} [{:+.1}, {:+.1}] tokens more without",
                    tokens.mean, tokens.low, tokens.high
                ),
                reached: tokens.low > 0.0,
            });
        }
    }
    aims
}
