//! Rewards of a group -> advantages; the rewards themselves are never overwritten.

use serde::{Deserialize, Serialize};

use crate::reward::RewardBreakdown;

/// A spread below this is no spread: rewards are sums of a few numbers of order one.
const CONSTANT_BELOW: f64 = 1e-9;

/// Advantages of one rollout, in units of the estimator.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct SegmentAdvantages {
    /// For every token.
    pub main: f64,
    /// For the control token only.
    pub control: f64,
}

/// Advantages of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupAdvantages {
    /// One per rollout, in order; `None` for a rollout that could not be judged.
    pub rollouts: Vec<Option<SegmentAdvantages>>,
    /// All main rewards are equal: the group teaches nothing about the answer.
    pub main_is_constant: bool,
    /// All control rewards are equal.
    pub control_is_constant: bool,
}

/// Turns the rewards of one group into advantages.
///
/// An implementor is pure, ignores a constant added to all rewards, gives advantages that sum to
/// zero over the judged rollouts, and zeros for a constant group.
pub trait AdvantageEstimator: Send + Sync {
    /// Advantages of the rollouts of one problem.
    fn advantages(&self, rewards: &[Option<&RewardBreakdown>]) -> GroupAdvantages;
}

/// `(r - mean) / std` within the group (population standard deviation).
///
/// # Source
///
/// DeepSeekMath (arXiv 2402.03300), section 4.1.
#[derive(Debug, Clone, Copy, Default)]
pub struct GroupNormalized;

/// `r - mean` within the group.
///
/// # Source
///
/// Dr. GRPO (arXiv 2503.20783).
#[derive(Debug, Clone, Copy, Default)]
pub struct GroupCentered;

impl AdvantageEstimator for GroupNormalized {
    fn advantages(&self, rewards: &[Option<&RewardBreakdown>]) -> GroupAdvantages {
        segments(rewards, |spread| 1.0 / spread)
    }
}

impl AdvantageEstimator for GroupCentered {
    fn advantages(&self, rewards: &[Option<&RewardBreakdown>]) -> GroupAdvantages {
        segments(rewards, |_| 1.0)
    }
}

fn segments(rewards: &[Option<&RewardBreakdown>], scale: impl Fn(f64) -> f64) -> GroupAdvantages {
    let judged: Vec<&RewardBreakdown> = rewards.iter().flatten().copied().collect();
    let segment = |pick: fn(&RewardBreakdown) -> f64| {
        let values: Vec<f64> = judged.iter().map(|reward| pick(reward)).collect();
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let spread = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let is_constant = spread < CONSTANT_BELOW;
        let factor = if is_constant { 0.0 } else { scale(spread) };
        (
            values
                .into_iter()
                .map(|v| (v - mean) * factor)
                .collect::<Vec<f64>>(),
            is_constant,
        )
    };
    let (main, main_is_constant) = segment(|reward| reward.main);
    let (control, control_is_constant) = segment(|reward| reward.control);
    let mut pairs = main
        .into_iter()
        .zip(control)
        .map(|(main, control)| SegmentAdvantages { main, control });
    GroupAdvantages {
        rollouts: rewards
            .iter()
            .map(|reward| reward.and_then(|_| pairs.next()))
            .collect(),
        main_is_constant,
        control_is_constant,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reward::Stratum;

    fn reward(main: f64, control: f64) -> RewardBreakdown {
        RewardBreakdown {
            stratum: Stratum::Right,
            terms: vec![],
            main,
            control,
        }
    }

    #[test]
    fn a_group_is_normalized_by_hand() {
        let rewards = [
            reward(1.0, 0.5),
            reward(0.0, 0.5),
            reward(1.0, 0.5),
            reward(0.0, 0.5),
        ];
        let group = [
            Some(&rewards[0]),
            None,
            Some(&rewards[1]),
            Some(&rewards[2]),
            Some(&rewards[3]),
        ];
        // Mean 0.5, deviation 0.5: +1 and -1; the control rewards are constant.
        let found = GroupNormalized.advantages(&group);
        let main: Vec<_> = found.rollouts.iter().map(|a| a.map(|a| a.main)).collect();
        assert_eq!(main, [Some(1.0), None, Some(-1.0), Some(1.0), Some(-1.0)]);
        assert!(found.control_is_constant && !found.main_is_constant);
        assert!(found.rollouts.iter().flatten().all(|a| a.control == 0.0));
        let centered = GroupCentered.advantages(&group);
        assert_eq!(centered.rollouts[0].map(|a| a.main), Some(0.5));
    }

    #[test]
    fn an_empty_or_unjudged_group_is_constant() {
        assert!(GroupNormalized.advantages(&[None, None]).main_is_constant);
        assert!(GroupNormalized.advantages(&[]).rollouts.is_empty());
    }

    proptest! {
        #[test]
        fn advantages_sum_to_zero_and_ignore_a_shift(
            values in prop::collection::vec(-2.0f64..2.0, 2..9), shift in -3.0f64..3.0
        ) {
            let group = |shift: f64| {
                let rewards: Vec<_> = values.iter().map(|v| reward(v + shift, -v)).collect();
                let references: Vec<_> = rewards.iter().map(Some).collect();
                GroupNormalized.advantages(&references).rollouts
            };
            let (plain, shifted) = (group(0.0), group(shift));
            let sum: f64 = plain.iter().flatten().map(|a| a.main).sum();
            prop_assert!(sum.abs() < 1e-6);
            for (a, b) in plain.iter().flatten().zip(shifted.iter().flatten()) {
                prop_assert!((a.main - b.main).abs() < 1e-5);
            }
        }
    }
}
