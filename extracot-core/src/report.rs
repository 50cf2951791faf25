//! What an evaluation records of every sample, and what a table says of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::{
    Interval, PairedDifference, mcnemar_exact, mean, paired_bootstrap, ratio_of_means_bootstrap,
    wilson_interval,
};
use crate::{ControlToken, CoreError, FinishReason, KeepLevel, Seed, ThinkState, Verdict};

/// Resamples of every bootstrap in a report.
const N_RESAMPLES: usize = 2000;
/// Two-sided 95 % quantile of the normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// One evaluated sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalRecord {
    /// The problem.
    pub problem_id: String,
    /// Its graded difficulty, where known.
    pub difficulty: Option<u32>,
    /// What the prompt asked; `None` for a model without control tokens.
    pub asked: Option<ControlToken>,
    /// The level the completion states first.
    pub chosen: Option<KeepLevel>,
    /// Verdict on the visible answer.
    pub verdict: Verdict,
    /// Whether the think text was closed.
    pub think_state: ThinkState,
    /// Why generation ended.
    pub finish: FinishReason,
    /// Think tokens; every generated token if the think text was never closed.
    pub think_tokens: usize,
    /// All generated tokens.
    pub total_tokens: usize,
    /// The decoded completion.
    pub text: String,
}

/// What a table says of one difficulty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DifficultyRow {
    /// The difficulty.
    pub difficulty: u32,
    /// Samples.
    pub n: usize,
    /// Share of right answers, with its 95 % Wilson interval.
    pub accuracy: Interval,
    /// Mean think tokens.
    pub think_tokens: f64,
    /// Samples per level that the completion states, in percent of the grid.
    pub chosen: BTreeMap<KeepLevel, usize>,
}

/// What a table says of one model under one control token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalSummary {
    /// Samples.
    pub n: usize,
    /// Samples answered right.
    pub n_correct: usize,
    /// Acc@all: right / all, with its 95 % Wilson interval.
    pub accuracy: Interval,
    /// Tokens: mean think tokens over all samples.
    pub think_tokens: f64,
    /// Mean generated tokens.
    pub total_tokens: f64,
    /// ActRatio: mean think tokens / the base model's on the same problems, with its 95 % interval
    /// from a paired bootstrap over problems.
    pub act_ratio: Interval,
    /// Share of samples cut at the limit.
    pub truncation_rate: f64,
    /// Share of samples without an answer.
    pub no_answer_rate: f64,
    /// Share of samples that could not be judged.
    pub undecided_rate: f64,
    /// Share of samples whose completion states no level where one was asked for.
    pub no_level_rate: f64,
    /// Samples per level that the completion states.
    pub chosen: BTreeMap<KeepLevel, usize>,
    /// The same by difficulty, where known.
    pub by_difficulty: Vec<DifficultyRow>,
}

/// Right answers and tokens of two evaluations of the same problems.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Difference of accuracies (this minus other).
    pub accuracy: PairedDifference,
    /// Problems only this one solves.
    pub n_only_this: u64,
    /// Problems only the other solves.
    pub n_only_other: u64,
    /// Exact two-sided McNemar test of the two counts.
    pub mcnemar_p: f64,
    /// Difference of think tokens (this minus other), paired bootstrap over problems.
    pub think_tokens: PairedDifference,
}

impl EvalSummary {
    /// Summarizes `records` against the base model's records of the same problems, in order.
    ///
    /// # Errors
    ///
    /// [`CoreError::EmptySample`] if there are no records, [`CoreError::SampleLengths`] if the two
    /// differ in number.
    pub fn try_new(
        records: &[EvalRecord],
        base: &[EvalRecord],
        seed: Seed,
    ) -> Result<Self, CoreError> {
        let share = |flag: fn(&EvalRecord) -> bool| {
            records.iter().filter(|record| flag(record)).count() as f64
                / records.len().max(1) as f64
        };
        let mut groups: BTreeMap<u32, Vec<&EvalRecord>> = BTreeMap::new();
        for record in records {
            if let Some(difficulty) = record.difficulty {
                groups.entry(difficulty).or_default().push(record);
            }
        }
        let total: Vec<f64> = records
            .iter()
            .map(|record| record.total_tokens as f64)
            .collect();
        Ok(Self {
            n: records.len(),
            n_correct: n_correct(records.iter()),
            accuracy: accuracy(records.iter(), records.len())?,
            think_tokens: mean(&think_tokens(records))?,
            total_tokens: mean(&total)?,
            act_ratio: ratio_of_means_bootstrap(
                &think_tokens(records),
                &think_tokens(base),
                N_RESAMPLES,
                seed.derive("act-ratio", 0),
            )?,
            truncation_rate: share(|record| record.finish == FinishReason::MaxTokens),
            no_answer_rate: share(|record| record.verdict == Verdict::NoAnswer),
            undecided_rate: share(|record| matches!(record.verdict, Verdict::Undecided(_))),
            no_level_rate: share(|record| record.asked.is_some() && record.chosen.is_none()),
            chosen: chosen(records.iter()),
            by_difficulty: groups
                .into_iter()
                .map(|(difficulty, group)| difficulty_row(difficulty, &group))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Comparison {
    /// Compares two evaluations of the same problems, in the same order.
    ///
    /// # Errors
    ///
    /// [`CoreError::EmptySample`] or [`CoreError::SampleLengths`].
    pub fn try_new(
        this: &[EvalRecord],
        other: &[EvalRecord],
        seed: Seed,
    ) -> Result<Self, CoreError> {
        let think_tokens = paired_bootstrap(
            &think_tokens(this),
            &think_tokens(other),
            N_RESAMPLES,
            seed.derive("think-tokens", 0),
        )?;
        let only = |a: &[EvalRecord], b: &[EvalRecord]| {
            let pairs = a.iter().zip(b);
            pairs
                .filter(|(a, b)| a.verdict.is_correct() && !b.verdict.is_correct())
                .count() as u64
        };
        let (n_only_this, n_only_other) = (only(this, other), only(other, this));
        Ok(Self {
            accuracy: paired_bootstrap(
                &correctness(this),
                &correctness(other),
                N_RESAMPLES,
                seed.derive("accuracy", 0),
            )?,
            n_only_this,
            n_only_other,
            mcnemar_p: mcnemar_exact(n_only_this, n_only_other),
            think_tokens,
        })
    }
}

fn think_tokens(records: &[EvalRecord]) -> Vec<f64> {
    records
        .iter()
        .map(|record| record.think_tokens as f64)
        .collect()
}

fn correctness(records: &[EvalRecord]) -> Vec<f64> {
    records
        .iter()
        .map(|record| f64::from(u8::from(record.verdict.is_correct())))
        .collect()
}

fn n_correct<'a>(records: impl Iterator<Item = &'a EvalRecord>) -> usize {
    records.filter(|record| record.verdict.is_correct()).count()
}

fn accuracy<'a>(
    records: impl Iterator<Item = &'a EvalRecord>,
    n: usize,
) -> Result<Interval, CoreError> {
    wilson_interval(n_correct(records) as u64, n as u64, Z_95)
}

fn chosen<'a>(records: impl Iterator<Item = &'a EvalRecord>) -> BTreeMap<KeepLevel, usize> {
    let mut chosen = BTreeMap::new();
    for level in records.filter_map(|record| record.chosen) {
        *chosen.entry(level).or_insert(0) += 1;
    }
    chosen
}

fn difficulty_row(difficulty: u32, group: &[&EvalRecord]) -> Result<DifficultyRow, CoreError> {
    let tokens: Vec<f64> = group
        .iter()
        .map(|record| record.think_tokens as f64)
        .collect();
    Ok(DifficultyRow {
        difficulty,
        n: group.len(),
        accuracy: accuracy(group.iter().copied(), group.len())?,
        think_tokens: mean(&tokens)?,
        chosen: chosen(group.iter().copied()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(verdict: Verdict, think_tokens: usize, difficulty: u32) -> EvalRecord {
        EvalRecord {
            problem_id: "p".into(),
            difficulty: Some(difficulty),
            asked: Some(ControlToken::Policy),
            chosen: Some(KeepLevel::ALL[0]),
            verdict,
            think_state: ThinkState::Closed,
            finish: FinishReason::EndToken,
            think_tokens,
            total_tokens: think_tokens + 10,
            text: String::new(),
        }
    }

    #[test]
    fn act_ratio_is_a_ratio_of_means_and_undecided_counts_as_not_correct() {
        let base = [
            record(Verdict::Correct, 100, 1),
            record(Verdict::Correct, 300, 2),
        ];
        let ours = [
            record(Verdict::Correct, 50, 1),
            record(Verdict::Undecided("?".into()), 50, 2),
        ];
        let summary = EvalSummary::try_new(&ours, &base, Seed(1)).unwrap();
        // 100 / 400, not the mean of 1/2 and 1/6.
        assert!((summary.act_ratio.estimate - 0.25).abs() < 1e-12);
        assert_eq!((summary.n_correct, summary.undecided_rate), (1, 0.5));
        assert_eq!(summary.by_difficulty[1].accuracy.estimate, 0.0);
        assert_eq!(summary.total_tokens, 60.0);
    }

    #[test]
    fn a_comparison_counts_discordant_problems() {
        let right = record(Verdict::Correct, 10, 1);
        let wrong = record(Verdict::Incorrect, 30, 1);
        let this = [right.clone(), right.clone(), wrong.clone()];
        let other = [wrong.clone(), right, wrong];
        let comparison = Comparison::try_new(&this, &other, Seed(1)).unwrap();
        assert_eq!((comparison.n_only_this, comparison.n_only_other), (1, 0));
        assert!((comparison.accuracy.mean - 1.0 / 3.0).abs() < 1e-12);
        assert!((comparison.think_tokens.mean + 20.0 / 3.0).abs() < 1e-9);
        assert_eq!(comparison.mcnemar_p, 1.0);
    }
}
