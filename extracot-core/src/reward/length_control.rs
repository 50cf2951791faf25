//! The rewards of L1 (length-controlled policy optimization): a completion is held to a number of
//! tokens that it was asked for.

use super::{
    AdditiveReward, Reward, RewardBreakdown, RewardContext, RewardTerm, Stratum, TermScore,
};
use crate::{CoreError, Verdict};

/// Cost of a token off the target in L1's runs, for targets of 100 to 4000 tokens.
///
/// # Source
///
/// L1 (arXiv 2503.04697), section 4, training details.
pub const L1_ALPHA: f64 = 0.0003;
/// What a right completion that meets its limit exactly keeps of its reward.
///
/// # Source
///
/// L1 (arXiv 2503.04697), section 3, eq. 2.
pub const L1_DELTA: f64 = 0.5;

/// Think tokens that the stated level stands for: level x reference tokens. `None` without a level.
///
/// L1 asks for a number of tokens in words; here the control token asks for it, relative to the
/// problem's reference answer.
fn target_tokens(context: &RewardContext<'_>) -> Option<f64> {
    let level = context.chosen()?;
    Some(level.ratio().value() * context.reference_tokens as f64)
}

/// Minus the distance of the think tokens from the target, in tokens.
///
/// Without a level there is no target: the distance is then at least that of any level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TargetDistance;

impl RewardTerm for TargetDistance {
    fn name(&self) -> &'static str {
        "off_target"
    }

    fn range(&self) -> (f64, f64) {
        (f64::NEG_INFINITY, 0.0)
    }

    fn score(&self, context: &RewardContext<'_>) -> f64 {
        let n_tokens = context.response.think_tokens as f64;
        match target_tokens(context) {
            Some(target) => -(target - n_tokens).abs(),
            None => -n_tokens.max(context.reference_tokens as f64),
        }
    }
}

impl AdditiveReward {
    /// LCPO-Exact: `[right] - alpha |target - n|`.
    ///
    /// A wrong completion on target outscores a right one that is more than `1 / alpha` tokens off: use
    /// [`super::HierarchicalReward`] with [`super::Calibration`] where that must not be.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if `alpha`, in 1/tokens ([`L1_ALPHA`]), is negative or not finite.
    ///
    /// # Source
    ///
    /// L1 (arXiv 2503.04697), section 3, eq. 1.
    pub fn lcpo_exact(alpha: f64) -> Result<Self, CoreError> {
        Self::try_new(1.0, 0.0)?.with_term(alpha, TargetDistance)
    }
}

/// LCPO-Max: `[right] clip(alpha (target - n) + delta, 0, 1)`: the target is a limit.
///
/// # Source
///
/// L1 (arXiv 2503.04697), section 3, eq. 2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LcpoMax {
    alpha: f64,
    delta: f64,
}

impl LcpoMax {
    /// `alpha` in 1/tokens ([`L1_ALPHA`]); `delta` is what a right completion at its limit gets
    /// ([`L1_DELTA`]).
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if `alpha` is negative or not finite, or `delta` not between 0 and 1:
    /// a right completion at its limit would be worth no more than a wrong one.
    pub fn try_new(alpha: f64, delta: f64) -> Result<Self, CoreError> {
        if alpha >= 0.0 && alpha.is_finite() && delta > 0.0 && delta <= 1.0 {
            return Ok(Self { alpha, delta });
        }
        Err(CoreError::Setting {
            key: "reward.alpha, reward.delta",
            found: format!("{alpha}, {delta}"),
            allowed: "at least 0; above 0 and at most 1",
        })
    }
}

impl Reward for LcpoMax {
    fn evaluate(&self, context: &RewardContext<'_>) -> Option<RewardBreakdown> {
        if matches!(context.verdict, Verdict::Undecided(_)) {
            return None;
        }
        let stratum = context.stratum();
        let acc = f64::from(u8::from(stratum == Stratum::Right));
        let within = target_tokens(context).map_or(0.0, |target| {
            let saved = target - context.response.think_tokens as f64;
            (self.alpha * saved + self.delta).clamp(0.0, 1.0)
        });
        let term = |name: &str, raw, weighted| TermScore {
            name: name.to_owned(),
            raw,
            weighted,
        };
        Some(RewardBreakdown {
            stratum,
            // A product: the second part is what the first loses.
            terms: vec![
                term("acc", acc, acc),
                term("within_limit", within, acc * (within - 1.0)),
            ],
            main: acc * within,
            control: 0.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{Case, evaluate};
    use super::*;

    fn main(reward: &dyn Reward, case: &Case) -> f64 {
        let found = evaluate(reward, case).unwrap();
        let sum: f64 = found.terms.iter().map(|term| term.weighted).sum();
        assert!((found.main - sum).abs() < 1e-9, "{found:?}");
        found.main
    }

    #[test]
    fn exact_charges_every_token_off_the_target() {
        let reward = AdditiveReward::lcpo_exact(0.01).unwrap();
        // Level 40 of 100 tokens: the target is 40.
        let wanted = [(40, 1.0), (30, 0.9), (65, 0.75), (240, -1.0)];
        for (n_tokens, want) in wanted {
            assert!((main(&reward, &Case::right(40, n_tokens)) - want).abs() < 1e-9);
            assert!((main(&reward, &Case::wrong(40, n_tokens)) - (want - 1.0)).abs() < 1e-9);
        }
        // Without a level: 100, the reference, or more.
        let silent = |n_tokens| Case {
            level: None,
            ..Case::right(40, n_tokens)
        };
        assert!((main(&reward, &silent(30)) + 1.0).abs() < 1e-9);
        assert!((main(&reward, &silent(150)) + 1.5).abs() < 1e-9);
        assert!(AdditiveReward::lcpo_exact(-0.1).is_err());
    }

    #[test]
    fn max_pays_for_what_is_saved_and_cuts_what_is_over() {
        let reward = LcpoMax::try_new(0.01, L1_DELTA).unwrap();
        // Target 40: 0.5 at the limit, 0.01 for each token saved, 0 from 50 over, 1 never passed.
        let wanted = [(40, 0.5), (20, 0.7), (60, 0.3), (90, 0.0), (200, 0.0)];
        for (n_tokens, want) in wanted {
            assert!((main(&reward, &Case::right(40, n_tokens)) - want).abs() < 1e-9);
            assert_eq!(main(&reward, &Case::wrong(40, n_tokens)), 0.0);
        }
        let steep = LcpoMax::try_new(1.0, L1_DELTA).unwrap();
        assert_eq!(main(&steep, &Case::right(100, 1)), 1.0);
        assert!(LcpoMax::try_new(0.1, 0.0).is_err());
        assert!(LcpoMax::try_new(f64::INFINITY, 0.5).is_err());
    }

    proptest! {
        #[test]
        fn closer_is_never_worse_and_a_missing_level_never_better(
            level in 0usize..5, a in 0usize..300, b in 0usize..300, alpha in 0.0f64..0.1,
        ) {
            let level = 20 * (level as i64 + 1);
            let exact = AdditiveReward::lcpo_exact(alpha).unwrap();
            let off = |n: usize| (level - n as i64).abs();
            let (near, far) = if off(a) <= off(b) { (a, b) } else { (b, a) };
            let score = |n| main(&exact, &Case::wrong(level, n));
            prop_assert!(score(near) >= score(far));
            let silent = Case { level: None, ..Case::right(level, a) };
            prop_assert!(main(&exact, &silent) <= score(a));

            let max = LcpoMax::try_new(alpha, L1_DELTA).unwrap();
            let (short, long) = (a.min(b).max(1), a.max(b).max(1));
            let score = |n| main(&max, &Case::right(level, n));
            prop_assert!(score(short) >= score(long));
            prop_assert!(score(long) >= main(&max, &Case::wrong(level, short)));
        }
    }
}
