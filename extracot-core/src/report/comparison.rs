//! Two evaluations of the same problems.

use serde::{Deserialize, Serialize};

use super::samples::Samples;
use super::{EvalRecord, N_RESAMPLES};
use crate::stats::{
    PairedDifference, mcnemar_exact, minimum_detectable_effect_paired, paired_bootstrap,
};
use crate::{CoreError, Seed};

/// Right answers and tokens of two evaluations of the same problems.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Difference of accuracies (this minus other), paired bootstrap over problems.
    pub accuracy: PairedDifference,
    /// The test of right and wrong answers, where each evaluation has one sample a problem. Its
    /// fields are written beside the others.
    #[serde(flatten)]
    pub mcnemar: Option<McNemar>,
    /// Difference of think tokens (this minus other), paired bootstrap over problems.
    pub think_tokens: PairedDifference,
}

/// Problems that only one of two evaluations solves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Problems only this one solves.
    pub n_only_this: u64,
    /// Problems only the other solves.
    pub n_only_other: u64,
    /// Exact two-sided McNemar test of the two counts.
    #[serde(rename = "mcnemar_p")]
    pub p_two_sided: f64,
}

impl McNemar {
    /// The smallest difference of accuracies that the test would have found on `n_problems` problems
    /// with as many discordant ones as here ([`minimum_detectable_effect_paired`]). `None` if there
    /// are none, or too few.
    pub fn minimum_detectable_effect(&self, n_problems: u64) -> Option<f64> {
        let discordance = (self.n_only_this + self.n_only_other) as f64 / n_problems as f64;
        let effect = minimum_detectable_effect_paired(n_problems, discordance);
        effect.ok().flatten()
    }
}

impl Comparison {
    /// Compares two evaluations of the same problems, paired by id.
    ///
    /// They may have different numbers of samples per problem: problems count with their means.
    ///
    /// # Errors
    ///
    /// [`CoreError::EmptySample`] if one has no records, [`CoreError::ProblemSets`] if a problem is in
    /// one of the two only, [`CoreError::DoubledSample`] and [`CoreError::UnevenSamples`] if one of
    /// them is not one evaluation.
    pub fn try_new(
        this: &[EvalRecord],
        other: &[EvalRecord],
        seed: Seed,
    ) -> Result<Self, CoreError> {
        let this = Samples::try_new(this)?;
        let other = this.align(Samples::try_new(other)?)?;
        let is_single = this.n_each == 1 && other.n_each == 1;
        Ok(Self {
            accuracy: paired_bootstrap(
                &this.means(EvalRecord::score),
                &other.means(EvalRecord::score),
                N_RESAMPLES,
                seed.derive("accuracy", 0),
            )?,
            mcnemar: is_single.then(|| mcnemar(&this, &other)),
            think_tokens: token_difference(&this, &other, seed.derive("think-tokens", 0))?,
        })
    }
}

/// Difference of think tokens (`this` minus `other`, already aligned).
pub(super) fn token_difference(
    this: &Samples<'_>,
    other: &Samples<'_>,
    seed: Seed,
) -> Result<PairedDifference, CoreError> {
    paired_bootstrap(
        &this.means(EvalRecord::length),
        &other.means(EvalRecord::length),
        N_RESAMPLES,
        seed,
    )
}

fn mcnemar(this: &Samples<'_>, other: &Samples<'_>) -> McNemar {
    let only = |a: &Samples<'_>, b: &Samples<'_>| {
        let pairs = a.problems.iter().zip(&b.problems);
        let alone = pairs.filter(|(a, b)| a[0].verdict.is_correct() && !b[0].verdict.is_correct());
        alone.count() as u64
    };
    let (n_only_this, n_only_other) = (only(this, other), only(other, this));
    McNemar {
        n_only_this,
        n_only_other,
        p_two_sided: mcnemar_exact(n_only_this, n_only_other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;
    use crate::Verdict;

    fn right(id: &str, idx: usize) -> EvalRecord {
        sample(id, idx, Verdict::Correct, 10)
    }

    fn wrong(id: &str, idx: usize) -> EvalRecord {
        sample(id, idx, Verdict::Incorrect, 30)
    }

    #[test]
    fn a_comparison_counts_discordant_problems() {
        let this = [right("a", 0), right("b", 0), wrong("c", 0)];
        // In another order: paired by id.
        let other = [right("b", 0), wrong("a", 0), wrong("c", 0)];
        let comparison = Comparison::try_new(&this, &other, Seed(1)).unwrap();
        let mcnemar = comparison.mcnemar.unwrap();
        assert_eq!((mcnemar.n_only_this, mcnemar.n_only_other), (1, 0));
        assert!((comparison.accuracy.mean - 1.0 / 3.0).abs() < 1e-12);
        assert!((comparison.think_tokens.mean + 20.0 / 3.0).abs() < 1e-9);
        assert_eq!(mcnemar.p_two_sided, 1.0);
        assert_eq!(mcnemar.minimum_detectable_effect(3), None);
    }

    #[test]
    fn problems_with_several_samples_are_compared_by_their_means() {
        // a: 1/2 against 1, b: 0 against 0.
        let this = [right("a", 0), wrong("a", 1), wrong("b", 0), wrong("b", 1)];
        let other = [right("a", 0), wrong("b", 0)];
        let comparison = Comparison::try_new(&this, &other, Seed(1)).unwrap();
        assert_eq!(comparison.accuracy.mean, -0.25);
        // a: 20 - 10, b: 30 - 30.
        assert_eq!(comparison.think_tokens.mean, 5.0);
        assert_eq!(comparison.mcnemar, None);
        let json = serde_json::to_value(comparison).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 2);
        let read: Comparison = serde_json::from_value(json).unwrap();
        assert_eq!(read, comparison);
    }

    #[test]
    fn the_test_is_written_beside_the_differences() {
        let this = [right("a", 0), right("b", 0)];
        let other = [right("a", 0), wrong("b", 0)];
        let comparison = Comparison::try_new(&this, &other, Seed(1)).unwrap();
        let text = serde_json::to_string(&comparison).unwrap();
        let counts = "\"n_only_this\":1,\"n_only_other\":0,\"mcnemar_p\":1.0,\"think_tokens\":";
        assert!(text.contains(counts), "{text}");
        let read: Comparison = serde_json::from_str(&text).unwrap();
        assert_eq!(read, comparison);
    }

    #[test]
    fn a_bigger_difference_than_the_detectable_one_is_needed() {
        // The example of Connor (1987): half of 22 pairs discordant need 0.4.
        let counts = McNemar {
            n_only_this: 10,
            n_only_other: 1,
            p_two_sided: mcnemar_exact(10, 1),
        };
        let effect = counts.minimum_detectable_effect(22).unwrap();
        assert!((effect - 0.4).abs() < 1e-3, "{effect}");
    }
}
