//! Correctness plus weighted terms, without gates: the form of most published length rewards.

use super::{Reward, RewardBreakdown, RewardContext, RewardTerm, Stratum, TermScore, WeightedTerm};
use crate::{CoreError, Verdict};

/// ```text
/// R = (right if well formed and right, else wrong) + sum_k w_k term_k
/// ```
///
/// Unlike in [`super::HierarchicalReward`] the terms see malformed rollouts too, as a cut one has to be
/// charged for its length, and nothing keeps a wrong rollout below a right one but the sizes of the
/// terms. A right box behind a missing or empty think text, or without a level, counts as wrong.
pub struct AdditiveReward {
    right: f64,
    wrong: f64,
    terms: Vec<WeightedTerm>,
}

impl std::fmt::Debug for AdditiveReward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdditiveReward")
            .field("right", &self.right)
            .field("wrong", &self.wrong)
            .field("terms", &self.terms)
            .finish()
    }
}

impl AdditiveReward {
    /// A reward of correctness alone; add terms with [`Self::with_term`].
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] unless both are finite and `right` is the larger one.
    pub fn try_new(right: f64, wrong: f64) -> Result<Self, CoreError> {
        if right.is_finite() && wrong.is_finite() && right > wrong {
            return Ok(Self {
                right,
                wrong,
                terms: Vec::new(),
            });
        }
        Err(CoreError::Setting {
            key: "reward.right, reward.wrong",
            found: format!("{right}, {wrong}"),
            allowed: "two numbers, the first one larger",
        })
    }

    /// Adds a term.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if `weight` is negative or not finite.
    pub fn with_term(
        mut self,
        weight: f64,
        term: impl RewardTerm + 'static,
    ) -> Result<Self, CoreError> {
        self.terms.push(WeightedTerm::try_new(weight, term)?);
        Ok(self)
    }
}

impl Reward for AdditiveReward {
    fn evaluate(&self, context: &RewardContext<'_>) -> Option<RewardBreakdown> {
        if matches!(context.verdict, Verdict::Undecided(_)) {
            return None;
        }
        let stratum = context.stratum();
        let (raw, weighted) = match stratum {
            Stratum::Right => (1.0, self.right),
            Stratum::Wrong | Stratum::Malformed => (0.0, self.wrong),
        };
        let name = "acc".to_owned();
        let mut terms = vec![TermScore {
            name,
            raw,
            weighted,
        }];
        terms.extend(self.terms.iter().map(|term| term.score(context)));
        Some(RewardBreakdown {
            stratum,
            main: terms.iter().map(|term| term.weighted).sum(),
            control: 0.0,
            terms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, evaluate};
    use super::super::{Calibration, Integrity};
    use super::*;

    #[test]
    fn the_parts_add_up_and_are_told() {
        let reward = AdditiveReward::try_new(1.0, -0.5)
            .and_then(|r| r.with_term(0.2, Calibration::try_new(0.1)?))
            .and_then(|r| r.with_term(0.3, Integrity))
            .unwrap();
        // Level 40 of 100 tokens, 45 written: C = 1 - 0.25.
        let right = evaluate(&reward, &Case::right(40, 45)).unwrap();
        assert!((right.main - (1.0 + 0.2 * 0.75)).abs() < 1e-9);
        // Cut: wrong whatever the verdict says, and the terms still count.
        let cut = Case {
            is_closed: false,
            ..Case::right(40, 45)
        };
        let cut = evaluate(&reward, &cut).unwrap();
        assert!((cut.main - (-0.5 + 0.2 * 0.75)).abs() < 1e-9);
        assert_eq!(cut.stratum, Stratum::Malformed);
        for found in [right, cut] {
            let sum: f64 = found.terms.iter().map(|term| term.weighted).sum();
            assert_eq!(found.main, sum);
            assert_eq!(found.terms.len(), 3);
        }
    }

    #[test]
    fn undecided_answers_have_no_reward_and_senseless_settings_are_refused() {
        let reward = AdditiveReward::try_new(1.0, 0.0).unwrap();
        let undecided = Case {
            verdict: Verdict::Undecided("?".into()),
            ..Case::right(40, 45)
        };
        assert!(evaluate(&reward, &undecided).is_none());
        assert!(AdditiveReward::try_new(0.0, 0.0).is_err());
        assert!(AdditiveReward::try_new(f64::NAN, 0.0).is_err());
        assert!(reward.with_term(-1.0, Integrity).is_err());
    }
}
