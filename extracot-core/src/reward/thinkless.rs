//! The reward of Thinkless: a right answer is worth less in the long mode.

use super::{AdditiveReward, RewardContext, RewardTerm, Stratum};
use crate::{CoreError, KeepLevel};

/// Minus the share of the way from the shortest to the longest level that a right rollout chose: 0 at
/// level 20, -1 at level 100. Wrong rollouts pay nothing more.
///
/// With the two modes of Thinkless in place of the five levels this is its rule; a line between them is
/// our choice.
///
/// # Source
///
/// Thinkless (arXiv 2505.13379), section 3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LevelCost;

impl RewardTerm for LevelCost {
    fn name(&self) -> &'static str {
        "level_cost"
    }

    fn range(&self) -> (f64, f64) {
        (-1.0, 0.0)
    }

    fn score(&self, context: &RewardContext<'_>) -> f64 {
        match context.chosen() {
            Some(chosen) if context.stratum() == Stratum::Right => {
                let shortest = KeepLevel::ALL[0].ratio().value();
                -(chosen.ratio().value() - shortest) / (1.0 - shortest)
            }
            _ => 0.0,
        }
    }
}

impl AdditiveReward {
    /// 1 for a right answer at the shortest level, `1 - gamma` at the longest, -1 for a wrong one.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] unless `gamma` lies between 0 and 1, both included.
    ///
    /// # Source
    ///
    /// Thinkless (arXiv 2505.13379), section 3.2; `gamma` is 0.5 in the released code.
    pub fn thinkless(gamma: f64) -> Result<Self, CoreError> {
        if !(0.0..=1.0).contains(&gamma) {
            return Err(CoreError::Setting {
                key: "reward.gamma",
                found: gamma.to_string(),
                allowed: "between 0 and 1",
            });
        }
        Self::try_new(1.0, -1.0)?.with_term(gamma, LevelCost)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, evaluate};
    use super::*;

    #[test]
    fn short_and_right_is_best_and_wrong_is_wrong_at_every_level() {
        let reward = AdditiveReward::thinkless(0.5).unwrap();
        let main = |case: Case| evaluate(&reward, &case).unwrap().main;
        let right = [20, 40, 60, 80, 100].map(|level| main(Case::right(level, 50)));
        for (found, want) in right.iter().zip([1.0, 0.875, 0.75, 0.625, 0.5]) {
            assert!((found - want).abs() < 1e-9, "{right:?}");
        }
        for level in [20, 40, 60, 80, 100] {
            assert_eq!(main(Case::wrong(level, 50)), -1.0);
        }
        let silent = Case {
            level: None,
            ..Case::right(20, 50)
        };
        assert_eq!(main(silent), -1.0);
        assert!(AdditiveReward::thinkless(1.5).is_err());
    }
}
