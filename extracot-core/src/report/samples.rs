//! Samples by problem, and problems of two evaluations side by side.

use std::collections::BTreeMap;

use super::EvalRecord;
use crate::CoreError;

/// The samples of an evaluation, by problem.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    /// Problems in the order in which they come first, each with its samples by index.
    pub(super) problems: Vec<Vec<&'a EvalRecord>>,
    /// Samples of each problem.
    pub(super) n_each: usize,
}

impl<'a> Samples<'a> {
    /// Groups `records`.
    ///
    /// # Errors
    ///
    /// [`CoreError::EmptySample`] without records, [`CoreError::DoubledSample`] if a problem has two
    /// samples of one index, [`CoreError::UnevenSamples`] if problems have different numbers of them.
    pub(super) fn try_new(records: &'a [EvalRecord]) -> Result<Self, CoreError> {
        let mut place = BTreeMap::new();
        let mut problems: Vec<Vec<&EvalRecord>> = Vec::new();
        for record in records {
            let at = *place.entry(&record.problem_id).or_insert(problems.len());
            if at == problems.len() {
                problems.push(Vec::new());
            }
            problems[at].push(record);
        }
        let n_each = problems.first().map_or(0, Vec::len);
        if n_each == 0 {
            return Err(CoreError::EmptySample { what: "evaluation" });
        }
        for samples in &mut problems {
            samples.sort_by_key(|record| record.sample_idx);
            let mut pairs = samples.windows(2);
            if let Some(pair) = pairs.find(|pair| pair[0].sample_idx == pair[1].sample_idx) {
                return Err(CoreError::DoubledSample {
                    problem_id: pair[0].problem_id.clone(),
                    sample_idx: pair[0].sample_idx,
                });
            }
            if samples.len() != n_each {
                return Err(CoreError::UnevenSamples {
                    problem_id: samples[0].problem_id.clone(),
                    found: samples.len(),
                    expected: n_each,
                });
            }
        }
        Ok(Self { problems, n_each })
    }

    /// `other` with its problems in the order of this.
    ///
    /// # Errors
    ///
    /// [`CoreError::ProblemSets`] if a problem is in one of the two only.
    pub(super) fn align(&self, mut other: Self) -> Result<Self, CoreError> {
        let id = |samples: &[&'a EvalRecord]| -> &'a str { &samples[0].problem_id };
        let alone = |problem_id: &str| CoreError::ProblemSets {
            problem_id: problem_id.to_owned(),
        };
        let mut rest: BTreeMap<&str, Vec<&EvalRecord>> = other
            .problems
            .into_iter()
            .map(|samples| (id(&samples), samples))
            .collect();
        other.problems = self
            .problems
            .iter()
            .map(|samples| rest.remove(id(samples)).ok_or_else(|| alone(id(samples))))
            .collect::<Result<_, _>>()?;
        match rest.keys().next() {
            Some(problem_id) => Err(alone(problem_id)),
            None => Ok(other),
        }
    }

    /// Per problem the mean of `value` over its samples.
    pub(super) fn means(&self, value: impl Fn(&EvalRecord) -> f64) -> Vec<f64> {
        let mean = |samples: &Vec<&EvalRecord>| {
            samples.iter().map(|record| value(record)).sum::<f64>() / samples.len() as f64
        };
        self.problems.iter().map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;
    use crate::Verdict;

    fn message(this: &[EvalRecord], other: &[EvalRecord]) -> String {
        let aligned = Samples::try_new(this)
            .and_then(|this| this.align(Samples::try_new(other)?).map(|_| ()));
        aligned.unwrap_err().to_string()
    }

    #[test]
    fn problems_are_paired_by_id_in_any_order() {
        let record = |id: &str, idx, tokens| sample(id, idx, Verdict::Correct, tokens);
        let this = [record("b", 0, 1), record("a", 0, 2)];
        let other = [
            record("a", 1, 30),
            record("b", 0, 5),
            record("a", 0, 10),
            record("b", 1, 5),
        ];
        let this = Samples::try_new(&this).unwrap();
        let other = this.align(Samples::try_new(&other).unwrap()).unwrap();
        assert_eq!((this.n_each, other.n_each), (1, 2));
        assert_eq!(this.means(EvalRecord::length), [1.0, 2.0]);
        assert_eq!(other.means(EvalRecord::length), [5.0, 20.0]);
        assert_eq!(other.problems[1][0].think_tokens, 10);
    }

    #[test]
    fn evaluations_that_do_not_fit_are_named() {
        let record = |id: &str, idx| sample(id, idx, Verdict::Correct, 1);
        let two = [record("a", 0), record("b", 0)];
        assert!(message(&two, &two[..1]).contains("`b` is in one of the two"));
        assert!(message(&two[1..], &two).contains("`a` is in one of the two"));
        assert!(message(&[record("a", 3), record("a", 3)], &two).contains("`a` has two samples 3"));
        let uneven = [record("a", 0), record("a", 1), record("b", 0)];
        assert!(message(&uneven, &two).contains("`b` has 1 sample(s), others have 2"));
        assert!(message(&[], &two).contains("empty"));
    }
}
