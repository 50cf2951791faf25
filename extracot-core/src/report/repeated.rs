//! What several samples of each problem say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::EvalRecord;
use super::samples::Samples;
use crate::stats::{Interval, Z_95, clustered_wilson_interval, maj_at_k, pass_at_k};
use crate::{CoreError, MathVerifier, Verdict};

/// Accuracy with several samples of each problem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepeatedSamples {
    /// Problems.
    pub n_problems: usize,
    /// Samples of each problem.
    pub n_each: usize,
    /// By k (1, 2, 4, .. and `n_each`): the chance that at least one of k samples is right
    /// ([`pass_at_k`]), mean over problems, with its 95 % interval.
    pub pass_at_k: BTreeMap<usize, Interval>,
    /// Share of problems whose most frequent answer is right ([`maj_at_k`] over `n_each` samples),
    /// with its 95 % Wilson interval. Answers are one if the verifier calls them equal. A sample without
    /// an answer, or undecided and without one, is no vote. `None` if a wrong record does not say which
    /// answer it judged.
    pub maj_at_k: Option<Interval>,
}

impl RepeatedSamples {
    pub(super) fn of(samples: &Samples<'_>) -> Result<Self, CoreError> {
        let n_each = samples.n_each;
        let doublings = std::iter::successors(Some(1), |k| Some(2 * k));
        let mut ks: Vec<usize> = doublings.take_while(|k| *k < n_each).collect();
        ks.push(n_each);
        let majorities: Option<Vec<f64>> = samples
            .problems
            .iter()
            .map(|records| majority_is_right(records).map(|right| f64::from(u8::from(right))))
            .collect();
        Ok(Self {
            n_problems: samples.problems.len(),
            n_each,
            pass_at_k: ks
                .into_iter()
                .map(|k| Ok((k, pass(samples, k)?)))
                .collect::<Result<_, CoreError>>()?,
            maj_at_k: majorities
                .map(|right| clustered_wilson_interval(&right, 1, Z_95))
                .transpose()?,
        })
    }
}

fn pass(samples: &Samples<'_>, k: usize) -> Result<Interval, CoreError> {
    let of_problem = |records: &Vec<&EvalRecord>| {
        let n_correct = records.iter().filter(|r| r.verdict.is_correct()).count();
        pass_at_k(samples.n_each, n_correct, k)
    };
    let chances: Vec<f64> = samples
        .problems
        .iter()
        .map(of_problem)
        .collect::<Result<_, _>>()?;
    clustered_wilson_interval(&chances, samples.n_each, Z_95)
}

/// Which answer a sample votes for: all right ones equal the gold answer, a wrong one is known by the
/// first that it equals.
#[derive(PartialEq)]
enum Vote<'a> {
    Right,
    Wrong(&'a str),
}

/// Whether the most frequent answer to one problem is right; `None` if a wrong answer is not recorded.
fn majority_is_right(records: &[&EvalRecord]) -> Option<bool> {
    let mut wrong: Vec<&str> = Vec::new();
    let mut votes = Vec::with_capacity(records.len());
    for record in records {
        let vote = match (&record.verdict, &record.extracted) {
            (Verdict::Correct, _) => Some(Vote::Right),
            (Verdict::NoAnswer, _) | (Verdict::Undecided(_), None) => None,
            (_, None) => return None,
            (_, Some(answer)) => {
                let is_same = |known: &&&str| {
                    **known == answer || MathVerifier.verify_answer(answer, known).is_correct()
                };
                let known = wrong.iter().find(is_same).copied();
                if known.is_none() {
                    wrong.push(answer);
                }
                Some(Vote::Wrong(known.unwrap_or(answer)))
            }
        };
        votes.push((vote, record.verdict.is_correct()));
    }
    Some(maj_at_k(&votes))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answer, sample};
    use super::super::{EvalSummary, RepeatedSamples};
    use super::*;
    use crate::Seed;

    fn repeated(records: &[EvalRecord]) -> RepeatedSamples {
        let summary = EvalSummary::try_new(records, records, Seed(1)).unwrap();
        summary.repeated.unwrap()
    }

    #[test]
    fn several_samples_of_a_problem_are_one_problem() {
        let of = |id: &'static str, gold: &'static str, texts: [&'static str; 4]| {
            let numbered = texts.into_iter().enumerate();
            numbered.map(move |(idx, text)| answer(id, idx, text, gold))
        };
        // Problem p: 3 of 4 right. Problem q: 1 of 4 right, and 1/3 twice in two spellings.
        let p = of("p", "5", ["5", "5.0", "6", r"\frac{10}{2}"]);
        let ours: Vec<_> = p
            .chain(of("q", "7", ["7", "1/3", "", r"\frac{1}{3}"]))
            .collect();
        let base = [
            sample("q", 0, Verdict::Correct, 30),
            sample("p", 0, Verdict::Correct, 10),
        ];
        let summary = EvalSummary::try_new(&ours, &base, Seed(1)).unwrap();
        assert_eq!((summary.n, summary.n_correct), (8, 4));
        assert_eq!(summary.accuracy.estimate, 0.5);
        assert_eq!(summary.act_ratio.estimate, 0.5);
        assert_eq!(summary.no_answer_rate, 0.125);
        assert_eq!(summary.by_difficulty[0].n, 8);
        let repeated = summary.repeated.unwrap();
        assert_eq!((repeated.n_problems, repeated.n_each), (2, 4));
        let ks: Vec<_> = repeated.pass_at_k.keys().copied().collect();
        assert_eq!(ks, [1, 2, 4]);
        // p: no pair is all wrong; q: 1 - C(3,2) / C(4,2) = 1/2.
        let pass = |k| repeated.pass_at_k[&k].estimate;
        assert!((pass(1) - 0.5).abs() < 1e-12 && (pass(2) - 0.75).abs() < 1e-12);
        assert_eq!(pass(4), 1.0);
        // q answers 1/3 twice and 7 once.
        assert_eq!(repeated.maj_at_k.unwrap().estimate, 0.5);
    }

    #[test]
    fn a_majority_needs_the_answers() {
        let wrong = |idx| sample("p", idx, Verdict::Incorrect, 10);
        assert_eq!(repeated(&[wrong(0), wrong(1)]).maj_at_k, None);
    }

    #[test]
    fn an_undecided_sample_without_an_answer_is_no_vote() {
        let undecided = sample("p", 0, Verdict::Undecided("why".to_owned()), 10);
        let records = [undecided, answer("p", 1, "5", "5")];
        assert_eq!(repeated(&records).maj_at_k.unwrap().estimate, 1.0);
    }

    #[test]
    fn votes_are_counted_by_sample_index() {
        // One vote each: the first sample's answer wins, in whatever order the records stand.
        let records = [answer("p", 1, "5", "5"), answer("p", 0, "6", "5")];
        assert_eq!(repeated(&records).maj_at_k.unwrap().estimate, 0.0);
    }
}
