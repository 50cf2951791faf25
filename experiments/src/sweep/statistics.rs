//! Rows of a sweep from its samples.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use extracot_core::report::{Comparison, ControlFidelity, EvalRecord, EvalSummary};
use extracot_core::stats::holm;
use extracot_core::{KeepLevel, Seed};
use serde::{Deserialize, Serialize};

use super::{SweepRow, accuracy_p};

/// The samples of one level.
#[derive(Debug, Clone)]
pub struct SweptLevel {
    /// Its name.
    pub name: String,
    /// The level, where a fixed one was asked for.
    pub level: Option<KeepLevel>,
    /// Hash of its prompts.
    pub prompts_hash: String,
    /// Its samples.
    pub records: Vec<EvalRecord>,
    /// Samples without a completion, by reason.
    pub open: BTreeMap<String, usize>,
    /// Tokens as the tokenizer counts them / as the endpoint reports them.
    pub counted_over_reported: Option<f64>,
}

/// A level against the baseline, or one run against another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Versus {
    /// The differences.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// p-value of the accuracies, adjusted for the number of comparisons in the table (Holm).
    pub p_accuracy_holm: f64,
    /// p-value of the think tokens, adjusted likewise.
    pub p_tokens_holm: f64,
    /// The smallest difference of accuracies that McNemar's test would have found in four of five
    /// cases; none with several samples a problem, without discordant problems or with too few.
    pub minimum_detectable_effect: Option<f64>,
}

/// Adjusts the comparisons of one table.
pub fn versus(comparisons: &[Comparison], n_problems: usize) -> Vec<Versus> {
    let accuracy: Vec<f64> = comparisons.iter().map(accuracy_p).collect();
    let tokens = comparisons.iter().map(|c| c.think_tokens.p_two_sided);
    let tokens: Vec<f64> = tokens.collect();
    let adjusted = holm(&accuracy).into_iter().zip(holm(&tokens));
    comparisons
        .iter()
        .zip(adjusted)
        .map(|(comparison, (p_accuracy_holm, p_tokens_holm))| Versus {
            comparison: *comparison,
            p_accuracy_holm,
            p_tokens_holm,
            minimum_detectable_effect: comparison
                .mcnemar
                .and_then(|test| test.minimum_detectable_effect(n_problems as u64)),
        })
        .collect()
}

/// The rows of a table. `own_baseline` is the index of the level that is the baseline, if it is one of
/// them: it is not compared with itself.
///
/// # Errors
///
/// If the levels are not of the same problems, or the baseline never thinks.
pub fn sweep_rows(
    levels: &[SweptLevel],
    baseline: &[EvalRecord],
    own_baseline: Option<usize>,
    seed: Seed,
) -> Result<Vec<SweepRow>> {
    let others: Vec<usize> = (0..levels.len())
        .filter(|idx| Some(*idx) != own_baseline)
        .collect();
    let compare = |idx: &usize| {
        let level = &levels[*idx];
        let seed = seed.derive(&level.name, 1);
        Ok(Comparison::try_new(&level.records, baseline, seed)?)
    };
    let comparisons = others.iter().map(compare).collect::<Result<Vec<_>>>()?;
    let n_each = baseline
        .iter()
        .filter(|r| r.problem_id == baseline[0].problem_id);
    let n_problems = baseline.len() / n_each.count().max(1);
    let mut adjusted: Vec<Option<Versus>> = vec![None; levels.len()];
    for (idx, found) in others.iter().zip(versus(&comparisons, n_problems)) {
        adjusted[*idx] = Some(found);
    }
    levels
        .iter()
        .zip(adjusted)
        .map(|(level, versus_baseline)| {
            let seed = seed.derive(&level.name, 0);
            let summary = EvalSummary::try_new(&level.records, baseline, seed);
            Ok(SweepRow {
                level: level.name.clone(),
                prompts_hash: level.prompts_hash.clone(),
                summary: summary.with_context(|| {
                    format!(
                        "level {}: the samples are kept; --baseline can name another one",
                        level.name
                    )
                })?,
                open: level.open.clone(),
                counted_over_reported: level.counted_over_reported,
                versus_baseline,
            })
        })
        .collect()
}

/// How think lengths follow levels; none with fewer than two fixed ones.
///
/// # Errors
///
/// As [`sweep_rows`].
pub fn fidelity(
    levels: &[SweptLevel],
    baseline: &[EvalRecord],
    seed: Seed,
) -> Result<Option<ControlFidelity>> {
    let fixed = levels
        .iter()
        .filter_map(|l| Some((l.level?, &l.records[..])));
    let fixed: Vec<(KeepLevel, &[EvalRecord])> = fixed.collect();
    match fixed.len() {
        0 | 1 => Ok(None),
        _ => Ok(Some(ControlFidelity::try_new(&fixed, baseline, seed)?)),
    }
}
