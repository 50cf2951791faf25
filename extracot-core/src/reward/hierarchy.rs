//! The two rewards: gates with shaped terms, and plain correctness.

use super::{
    ControlHeadReward, Reward, RewardBreakdown, RewardContext, RewardTerm, Stratum, TermScore,
};
use crate::{CoreError, Verdict};

/// The weight of correctness in [`HierarchicalReward`] spans the strata: the shaped part is held
/// inside this share of it on either side, so neighboring strata touch and never cross.
const HALF_STRATUM: f64 = 0.5;

/// Gates first, shaped terms inside the reached stratum:
///
/// ```text
/// malformed:  -w_acc
/// wrong:      clamp(sum_k w_k term_k, -w_acc/2, w_acc/2)
/// right:      w_acc + clamp(sum_k w_k term_k, -w_acc/2, w_acc/2)
/// ```
///
/// A rollout of a lower stratum never outscores one of a higher stratum.
///
/// # Source
///
/// Extra-CoT names the hierarchy; the clamp is inferred (`docs/decisions/0002`).
pub struct HierarchicalReward {
    w_acc: f64,
    terms: Vec<(f64, Box<dyn RewardTerm>)>,
    control: Option<ControlHeadReward>,
}

impl std::fmt::Debug for HierarchicalReward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let terms: Vec<_> = self
            .terms
            .iter()
            .map(|(w, term)| (term.name(), w))
            .collect();
        f.debug_struct("HierarchicalReward")
            .field("w_acc", &self.w_acc)
            .field("terms", &terms)
            .field("control", &self.control)
            .finish()
    }
}

impl HierarchicalReward {
    /// A reward of correctness alone, with the gates; add terms with [`Self::with_term`].
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if `w_acc` is not a positive number.
    pub fn try_new(w_acc: f64) -> Result<Self, CoreError> {
        if w_acc > 0.0 && w_acc.is_finite() {
            Ok(Self {
                w_acc,
                terms: Vec::new(),
                control: None,
            })
        } else {
            let found = w_acc.to_string();
            Err(CoreError::Setting {
                key: "reward.w_acc",
                found,
                allowed: "a positive number",
            })
        }
    }

    /// Adds a shaped term.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if `weight` is negative or not finite.
    pub fn with_term(
        mut self,
        weight: f64,
        term: impl RewardTerm + 'static,
    ) -> Result<Self, CoreError> {
        if !weight.is_finite() || weight < 0.0 {
            let found = format!("{} for `{}`", weight, term.name());
            return Err(CoreError::Setting {
                key: "reward weight",
                found,
                allowed: "at least 0",
            });
        }
        self.terms.push((weight, Box::new(term)));
        Ok(self)
    }

    /// Adds the reward of the control token.
    #[must_use]
    pub fn with_control(mut self, control: ControlHeadReward) -> Self {
        self.control = Some(control);
        self
    }
}

impl Reward for HierarchicalReward {
    fn evaluate(&self, context: &RewardContext<'_>) -> Option<RewardBreakdown> {
        if matches!(context.verdict, Verdict::Undecided(_)) {
            return None;
        }
        let stratum = context.stratum();
        let acc = f64::from(u8::from(stratum == Stratum::Right));
        let mut terms = vec![TermScore {
            name: "acc".to_owned(),
            raw: acc,
            weighted: self.w_acc * acc,
        }];
        terms.extend(self.terms.iter().map(|(weight, term)| {
            // A malformed rollout is judged by its gate alone.
            let raw = if stratum == Stratum::Malformed {
                0.0
            } else {
                term.score(context)
            };
            TermScore {
                name: term.name().to_owned(),
                raw,
                weighted: weight * raw,
            }
        }));
        let shaped: f64 = terms[1..].iter().map(|term| term.weighted).sum();
        let half = HALF_STRATUM * self.w_acc;
        let main = match stratum {
            Stratum::Malformed => -self.w_acc,
            Stratum::Wrong => shaped.clamp(-half, half),
            Stratum::Right => self.w_acc + shaped.clamp(-half, half),
        };
        let control = self.control.map_or(0.0, |control| control.score(context));
        Some(RewardBreakdown {
            stratum,
            terms,
            main,
            control,
        })
    }
}

/// 1 for a right answer, else 0: the reward of plain GRPO.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccuracyReward;

impl Reward for AccuracyReward {
    fn evaluate(&self, context: &RewardContext<'_>) -> Option<RewardBreakdown> {
        if matches!(context.verdict, Verdict::Undecided(_)) {
            return None;
        }
        let acc = f64::from(u8::from(context.verdict.is_correct()));
        Some(RewardBreakdown {
            stratum: context.stratum(),
            terms: vec![TermScore {
                name: "acc".to_owned(),
                raw: acc,
                weighted: acc,
            }],
            main: acc,
            control: 0.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Calibration, Integrity, Mode, ModeConstants};
    use super::*;
    use crate::{ControlToken, KeepLevel, Response, ThinkState};

    fn reward() -> HierarchicalReward {
        let mode = Mode::try_new(ModeConstants::default()).unwrap();
        HierarchicalReward::try_new(1.0)
            .and_then(|r| r.with_term(0.1, Calibration::try_new(0.1)?))
            .and_then(|r| r.with_term(0.3, mode))
            .and_then(|r| r.with_term(0.1, Integrity))
            .and_then(|r| Ok(r.with_control(ControlHeadReward::try_new(mode, 1.0, 0.3)?)))
            .unwrap()
    }

    fn breakdown(
        reward: &HierarchicalReward,
        level: Option<KeepLevel>,
        think_tokens: usize,
        verdict: Verdict,
        budget: Option<KeepLevel>,
        closed: bool,
    ) -> Option<RewardBreakdown> {
        let response = Response {
            control: level.map(ControlToken::Level),
            think_state: if closed {
                ThinkState::Closed
            } else {
                ThinkState::Unclosed
            },
            think_tokens,
            total_tokens: think_tokens,
            think: "$1$".into(),
            visible: "\\boxed{1}".into(),
        };
        let context = RewardContext {
            response: &response,
            verdict: &verdict,
            reference_tokens: 100,
            budget,
        };
        reward.evaluate(&context)
    }

    #[test]
    fn a_right_short_answer_adds_up_by_hand() {
        let (twenty, forty) = (KeepLevel::ALL[0], KeepLevel::ALL[1]);
        let found = breakdown(
            &reward(),
            Some(twenty),
            20,
            Verdict::Correct,
            Some(forty),
            true,
        )
        .unwrap();
        // 1 + 0.1 * 1 (on target) + 0.3 * min(0.4, 0.2) + 0.1 * 0.
        assert!((found.main - 1.16).abs() < 1e-9);
        // 1 * (0.2 + 0.3 * 0.8).
        assert!((found.control - 0.44).abs() < 1e-9);
        assert_eq!(found.stratum, Stratum::Right);
    }

    #[test]
    fn an_undecided_answer_has_no_reward_and_a_malformed_one_the_lowest() {
        let undecided = Verdict::Undecided("?".into());
        assert!(breakdown(&reward(), Some(KeepLevel::FULL), 9, undecided, None, true).is_none());
        let malformed = breakdown(
            &reward(),
            Some(KeepLevel::FULL),
            9,
            Verdict::Correct,
            None,
            false,
        )
        .unwrap();
        assert_eq!(
            (malformed.stratum, malformed.main),
            (Stratum::Malformed, -1.0)
        );
        let silent = breakdown(&reward(), None, 9, Verdict::Correct, None, true).unwrap();
        assert_eq!((silent.stratum, silent.control), (Stratum::Malformed, -1.0));
    }

    proptest! {
        #[test]
        fn no_lower_stratum_outscores_a_higher_one(
            draws in prop::collection::vec(
                (0usize..6, 0usize..300, any::<bool>(), 0usize..6, any::<bool>()), 2),
            weights in prop::collection::vec(0.0f64..3.0, 3),
        ) {
            let reward = HierarchicalReward::try_new(1.0)
                .and_then(|r| r.with_term(weights[0], Calibration::try_new(0.1)?))
                .and_then(|r| r.with_term(weights[1], reward_mode()))
                .and_then(|r| r.with_term(weights[2], Integrity))
                .unwrap();
            let scored: Vec<_> = draws
                .into_iter()
                .map(|(level, tokens, right, budget, closed)| {
                    let verdict = if right { Verdict::Correct } else { Verdict::Incorrect };
                    let level = KeepLevel::ALL.get(level).copied();
                    let budget = KeepLevel::ALL.get(budget).copied();
                    breakdown(&reward, level, tokens, verdict, budget, closed).unwrap()
                })
                .collect();
            if scored[0].stratum < scored[1].stratum {
                prop_assert!(scored[0].main <= scored[1].main, "{scored:?}");
            }
        }
    }

    fn reward_mode() -> Mode {
        Mode::try_new(ModeConstants {
            kappa: 2.0,
            gain: 3.0,
            over_right: 2.0,
            under_wrong: 3.0,
            over_wrong: 1.0,
            none_wrong: 2.0,
        })
        .unwrap()
    }
}
