//! What a table says of one evaluation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::samples::Samples;
use super::{EvalRecord, N_RESAMPLES, RepeatedSamples};
use crate::stats::{Interval, Z_95, clustered_wilson_interval, mean, ratio_of_means_bootstrap};
use crate::{CoreError, FinishReason, KeepLevel, Seed, ThinkState, Verdict};

/// What a table says of one difficulty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DifficultyRow {
    /// The difficulty.
    pub difficulty: u32,
    /// Samples.
    pub n: usize,
    /// Share of right answers, with its 95 % interval as in [`EvalSummary::accuracy`].
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
    /// Acc@all: right / all, with its 95 % Wilson interval; of the effective number of samples where
    /// problems have several ([`clustered_wilson_interval`]).
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
    /// Share of samples whose think text is missing, not closed (cut ones included) or repeated. `None`
    /// in a file that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format_error_rate: Option<f64>,
    /// Share of samples without a completion, as their requests failed: not right, and in no other
    /// rate. `None` where every sample is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_rate: Option<f64>,
    /// Samples per level that the completion states.
    pub chosen: BTreeMap<KeepLevel, usize>,
    /// The same by difficulty, where known.
    pub by_difficulty: Vec<DifficultyRow>,
    /// What several samples of a problem say; `None` where each has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<RepeatedSamples>,
}

impl EvalSummary {
    /// Summarizes `records` against the base model's records of the same problems, paired by id.
    ///
    /// The two may have different numbers of samples per problem; ActRatio is then of the means over
    /// problems of the problems' means.
    ///
    /// # Errors
    ///
    /// [`CoreError::EmptySample`] if there are no records, [`CoreError::ProblemSets`] if a problem is
    /// in one of the two only, [`CoreError::DoubledSample`] and [`CoreError::UnevenSamples`] if one of
    /// them is not one evaluation, [`CoreError::Setting`] if the base model never thinks.
    pub fn try_new(
        records: &[EvalRecord],
        base: &[EvalRecord],
        seed: Seed,
    ) -> Result<Self, CoreError> {
        let samples = Samples::try_new(records)?;
        let base = samples.align(Samples::try_new(base)?)?;
        let n_open = records.iter().filter(|record| record.is_open).count();
        let share = |flag: fn(&EvalRecord) -> bool| {
            let there = records.iter().filter(|record| !record.is_open);
            there.filter(|record| flag(record)).count() as f64 / records.len() as f64
        };
        let totals = records.iter().map(|record| record.total_tokens as f64);
        Ok(Self {
            n: records.len(),
            n_correct: records.iter().filter(|r| r.verdict.is_correct()).count(),
            accuracy: accuracy(&samples)?,
            think_tokens: mean(&lengths(records))?,
            total_tokens: mean(&totals.collect::<Vec<_>>())?,
            act_ratio: ratio_of_means_bootstrap(
                &samples.means(EvalRecord::length),
                &base.means(EvalRecord::length),
                N_RESAMPLES,
                seed.derive("act-ratio", 0),
            )?,
            truncation_rate: share(|record| record.finish == FinishReason::MaxTokens),
            no_answer_rate: share(|record| record.verdict == Verdict::NoAnswer),
            undecided_rate: share(|record| matches!(record.verdict, Verdict::Undecided(_))),
            no_level_rate: share(|record| record.asked.is_some() && record.chosen.is_none()),
            format_error_rate: Some(share(|record| record.think_state != ThinkState::Closed)),
            open_rate: (n_open > 0).then(|| n_open as f64 / records.len() as f64),
            chosen: chosen(records),
            by_difficulty: by_difficulty(&samples)?,
            repeated: match samples.n_each {
                1 => None,
                _ => Some(RepeatedSamples::of(&samples)?),
            },
        })
    }
}

fn lengths<'a>(records: impl IntoIterator<Item = &'a EvalRecord>) -> Vec<f64> {
    records.into_iter().map(EvalRecord::length).collect()
}

fn accuracy(samples: &Samples<'_>) -> Result<Interval, CoreError> {
    clustered_wilson_interval(&samples.means(EvalRecord::score), samples.n_each, Z_95)
}

fn chosen<'a>(records: impl IntoIterator<Item = &'a EvalRecord>) -> BTreeMap<KeepLevel, usize> {
    let mut chosen = BTreeMap::new();
    for level in records.into_iter().filter_map(|record| record.chosen) {
        *chosen.entry(level).or_insert(0) += 1;
    }
    chosen
}

fn by_difficulty(samples: &Samples<'_>) -> Result<Vec<DifficultyRow>, CoreError> {
    let mut groups: BTreeMap<u32, Samples<'_>> = BTreeMap::new();
    for records in &samples.problems {
        if let Some(difficulty) = records[0].difficulty {
            let group = groups.entry(difficulty).or_insert_with(|| Samples {
                problems: Vec::new(),
                n_each: samples.n_each,
            });
            group.problems.push(records.clone());
        }
    }
    let row = |(difficulty, group): (u32, Samples<'_>)| {
        let records = || group.problems.iter().flatten().copied();
        Ok(DifficultyRow {
            difficulty,
            n: records().count(),
            accuracy: accuracy(&group)?,
            think_tokens: mean(&lengths(records()))?,
            chosen: chosen(records()),
        })
    };
    groups.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;
    use crate::stats::wilson_interval;

    #[test]
    fn act_ratio_is_a_ratio_of_means_and_undecided_counts_as_not_correct() {
        let of = |id: &str, verdict, tokens, difficulty| EvalRecord {
            difficulty: Some(difficulty),
            ..sample(id, 0, verdict, tokens)
        };
        let base = [
            of("p", Verdict::Correct, 100, 1),
            of("q", Verdict::Correct, 300, 2),
        ];
        let ours = [
            of("p", Verdict::Correct, 50, 1),
            of("q", Verdict::Undecided("?".into()), 50, 2),
        ];
        let summary = EvalSummary::try_new(&ours, &base, Seed(1)).unwrap();
        // 100 / 400, not the mean of 1/2 and 1/6.
        assert!((summary.act_ratio.estimate - 0.25).abs() < 1e-12);
        assert_eq!((summary.n_correct, summary.undecided_rate), (1, 0.5));
        assert_eq!(summary.by_difficulty[1].accuracy.estimate, 0.0);
        assert_eq!(summary.total_tokens, 60.0);
        assert_eq!(summary.accuracy, wilson_interval(1, 2, Z_95).unwrap());
        assert_eq!(summary.repeated, None);
    }

    #[test]
    fn broken_think_texts_are_a_share() {
        let mut records = ["a", "b", "c", "d"].map(|id| sample(id, 0, Verdict::NoAnswer, 10));
        records[0].think_state = ThinkState::Unclosed;
        records[1].think_state = ThinkState::Missing;
        records[2].think_state = ThinkState::Repeated;
        let summary = EvalSummary::try_new(&records, &records, Seed(1)).unwrap();
        assert_eq!(summary.format_error_rate, Some(0.75));
    }

    #[test]
    fn an_open_sample_counts_in_every_denominator_and_in_no_other_rate() {
        let mut records = ["a", "b", "c", "d"].map(|id| sample(id, 0, Verdict::Correct, 10));
        records[3] = EvalRecord {
            verdict: Verdict::NoAnswer,
            chosen: None,
            think_state: ThinkState::Unclosed,
            finish: FinishReason::MaxTokens,
            think_tokens: 50,
            is_open: true,
            ..records[3].clone()
        };
        let summary = EvalSummary::try_new(&records, &records, Seed(1)).unwrap();
        assert_eq!((summary.n, summary.n_correct), (4, 3));
        assert_eq!(summary.accuracy, wilson_interval(3, 4, Z_95).unwrap());
        // (3 * 10 + 50) / 4.
        assert_eq!(summary.think_tokens, 20.0);
        assert_eq!(summary.open_rate, Some(0.25));
        let others = [
            summary.truncation_rate,
            summary.no_answer_rate,
            summary.no_level_rate,
        ];
        assert_eq!((others, summary.format_error_rate), ([0.0; 3], Some(0.0)));
        records[3].is_open = false;
        let summary = EvalSummary::try_new(&records, &records, Seed(1)).unwrap();
        assert_eq!((summary.open_rate, summary.no_answer_rate), (None, 0.25));
    }

    #[test]
    fn summaries_and_records_without_the_later_fields_are_read() {
        let record = sample("p", 0, Verdict::Correct, 10);
        let records = [record.clone()];
        let summary = EvalSummary::try_new(&records, &records, Seed(1)).unwrap();
        let mut value = serde_json::to_value(&summary).unwrap();
        let removed = value.as_object_mut().unwrap().remove("format_error_rate");
        assert!(removed.is_some());
        let without = EvalSummary {
            format_error_rate: None,
            ..summary
        };
        assert_eq!(
            serde_json::from_value::<EvalSummary>(value).unwrap(),
            without
        );
        let mut value = serde_json::to_value(&record).unwrap();
        for field in ["sample_idx", "extracted", "extraction"] {
            value.as_object_mut().unwrap().remove(field).unwrap();
        }
        assert_eq!(serde_json::from_value::<EvalRecord>(value).unwrap(), record);
    }
}
