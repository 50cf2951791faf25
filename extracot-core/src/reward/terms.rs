//! The shaped terms of the main reward.

use serde::{Deserialize, Serialize};

use super::{RewardContext, RewardTerm, Stratum, violated_rules};
use crate::CoreError;

/// C: agreement of the realized ratio with the chosen level.
///
/// ```text
/// C = max(-1, 1 - H(|realized - chosen| / tau)),  H(u) = u^2 if u <= 1 else 2u - 1
/// ```
///
/// At least 0 inside the tolerance `tau`, at most 1.
///
/// # Source
///
/// Extra-CoT names the part; the form is inferred (`docs/decisions/0002`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    tau: f64,
}

impl Calibration {
    /// A calibration term of tolerance `tau`.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if `tau` is not a positive number.
    pub fn try_new(tau: f64) -> Result<Self, CoreError> {
        if tau > 0.0 && tau.is_finite() {
            Ok(Self { tau })
        } else {
            let found = tau.to_string();
            Err(CoreError::Setting {
                key: "reward.tau",
                found,
                allowed: "a positive number",
            })
        }
    }
}

impl RewardTerm for Calibration {
    fn name(&self) -> &'static str {
        "cal"
    }

    fn range(&self) -> (f64, f64) {
        (-1.0, 1.0)
    }

    fn score(&self, context: &RewardContext<'_>) -> f64 {
        let Some(chosen) = context.chosen() else {
            return -1.0;
        };
        let u = (context.realized_ratio() - chosen.ratio().value()).abs() / self.tau;
        let huber = if u <= 1.0 { u * u } else { 2.0 * u - 1.0 };
        (1.0 - huber).max(-1.0)
    }
}

/// Constants of [`Mode`]; all inferred (`docs/decisions/0002`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModeConstants {
    /// Cap on the reward for going below the teacher budget.
    pub kappa: f64,
    /// Reward per unit of ratio saved below the budget.
    pub gain: f64,
    /// Right, but above the budget: cost per unit of ratio.
    pub over_right: f64,
    /// Wrong and below the budget: cost per unit of ratio. Larger than `over_wrong`.
    pub under_wrong: f64,
    /// Wrong and at or above the budget: cost per unit of ratio.
    pub over_wrong: f64,
    /// Wrong where no level is known to work: cost per unit of ratio saved.
    pub none_wrong: f64,
}

impl Default for ModeConstants {
    /// The values of `chrpo_ablation`'s presets.
    fn default() -> Self {
        Self {
            kappa: 0.4,
            gain: 1.0,
            over_right: 0.5,
            under_wrong: 1.0,
            over_wrong: 0.2,
            none_wrong: 0.2,
        }
    }
}

/// M: the chosen level against the teacher budget, by correctness. With `d = chosen - budget`:
///
/// ```text
/// right:       d < 0: min(kappa, gain |d|)      d >= 0: -over_right d
/// wrong:       d < 0: -under_wrong |d|          d >= 0: -over_wrong d
/// no budget:   right: kappa                     wrong:  -none_wrong (1 - chosen)
/// ```
///
/// # Source
///
/// Extra-CoT describes progress, safe shortening and rapid recovery; the form is inferred
/// (`docs/decisions/0002`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mode {
    constants: ModeConstants,
}

impl Mode {
    /// A mode term.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if a constant is negative or not finite, or if `under_wrong` does not
    /// exceed `over_wrong`.
    pub fn try_new(constants: ModeConstants) -> Result<Self, CoreError> {
        let ModeConstants {
            kappa,
            gain,
            over_right,
            under_wrong,
            over_wrong,
            none_wrong,
        } = constants;
        for value in [kappa, gain, over_right, under_wrong, over_wrong, none_wrong] {
            if !value.is_finite() || value < 0.0 {
                let found = format!("{constants:?}");
                let allowed = "constants of at least 0";
                return Err(CoreError::Setting {
                    key: "reward.mode",
                    found,
                    allowed,
                });
            }
        }
        if under_wrong <= over_wrong {
            return Err(CoreError::Setting {
                key: "reward.mode.under_wrong",
                found: under_wrong.to_string(),
                allowed: "more than over_wrong: failing short must cost more than failing long",
            });
        }
        Ok(Self { constants })
    }
}

impl RewardTerm for Mode {
    fn name(&self) -> &'static str {
        "mode"
    }

    fn range(&self) -> (f64, f64) {
        let c = self.constants;
        let worst = c
            .over_right
            .max(c.under_wrong)
            .max(c.over_wrong)
            .max(c.none_wrong);
        (-worst, c.kappa)
    }

    fn score(&self, context: &RewardContext<'_>) -> f64 {
        let c = self.constants;
        let Some(chosen) = context.chosen() else {
            return self.range().0;
        };
        let chosen = chosen.ratio().value();
        // A right box behind a missing or empty think text is no success of the chosen level.
        let right = context.stratum() == Stratum::Right;
        let Some(budget) = context.budget else {
            return if right {
                c.kappa
            } else {
                -c.none_wrong * (1.0 - chosen)
            };
        };
        let d = chosen - budget.ratio().value();
        match (right, d < 0.0) {
            (true, true) => c.kappa.min(c.gain * -d),
            (true, false) => -c.over_right * d,
            (false, true) => c.under_wrong * d,
            (false, false) => -c.over_wrong * d,
        }
    }
}

/// I: minus the share of violated integrity rules.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Integrity;

impl RewardTerm for Integrity {
    fn name(&self) -> &'static str {
        "int"
    }

    fn range(&self) -> (f64, f64) {
        (-1.0, 0.0)
    }

    fn score(&self, context: &RewardContext<'_>) -> f64 {
        let violated = violated_rules(context.response).len();
        -(violated as f64) / super::IntegrityRule::ALL.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ControlToken, KeepLevel, Response, ThinkState, Verdict};

    fn response(level: i64, think_tokens: usize) -> Response {
        Response {
            control: Some(ControlToken::Level(KeepLevel::try_new(level).unwrap())),
            think_state: ThinkState::Closed,
            think_tokens,
            total_tokens: think_tokens + 10,
            think: "so $1+1=2$".into(),
            visible: "\\boxed{2}".into(),
        }
    }

    fn score(term: &dyn RewardTerm, level: i64, verdict: Verdict, budget: Option<i64>) -> f64 {
        let response = response(level, 50);
        let budget = budget.map(|b| KeepLevel::try_new(b).unwrap());
        let context = RewardContext {
            response: &response,
            verdict: &verdict,
            reference_tokens: 100,
            budget,
        };
        term.score(&context)
    }

    #[test]
    fn calibration_is_quadratic_inside_the_tolerance_and_linear_outside() {
        let term = Calibration::try_new(0.1).unwrap();
        let at = |think_tokens| {
            let response = response(40, think_tokens);
            let verdict = Verdict::Correct;
            term.score(&RewardContext {
                response: &response,
                verdict: &verdict,
                reference_tokens: 100,
                budget: None,
            })
        };
        assert!((at(40) - 1.0).abs() < 1e-9);
        // Off by half the tolerance: 1 - 0.25.
        assert!((at(45) - 0.75).abs() < 1e-9);
        assert!(at(50).abs() < 1e-9);
        // Off by one and a half: 1 - (3 - 1) = -1.
        assert!((at(55) + 1.0).abs() < 1e-9);
        assert_eq!(at(99), -1.0);
    }

    fn mode() -> Mode {
        Mode::try_new(ModeConstants {
            kappa: 0.4,
            gain: 1.5,
            over_right: 0.5,
            under_wrong: 1.0,
            over_wrong: 0.2,
            none_wrong: 0.5,
        })
        .unwrap()
    }

    #[test]
    fn mode_follows_the_table() {
        let m = |level, verdict: &Verdict, budget| score(&mode(), level, verdict.clone(), budget);
        let (right, wrong) = (Verdict::Correct, Verdict::Incorrect);
        // Right below the budget: 1.5 * 0.2 = 0.3, then capped at 0.4.
        assert!((m(20, &right, Some(40)) - 0.3).abs() < 1e-9);
        assert!((m(20, &right, Some(80)) - 0.4).abs() < 1e-9);
        assert!((m(40, &right, Some(40))).abs() < 1e-9);
        assert!((m(80, &right, Some(40)) + 0.2).abs() < 1e-9);
        assert!((m(20, &wrong, Some(60)) + 0.4).abs() < 1e-9);
        assert!((m(80, &wrong, Some(60)) + 0.04).abs() < 1e-9);
        assert!((m(20, &wrong, None) + 0.4).abs() < 1e-9);
        assert!((m(100, &right, None) - 0.4).abs() < 1e-9);
        // Failing short costs more than failing long by the same distance.
        assert!(m(40, &wrong, Some(60)) < m(80, &wrong, Some(60)));
    }

    #[test]
    fn constants_that_reward_failing_short_are_refused() {
        let constants = ModeConstants {
            under_wrong: 0.1,
            ..mode().constants
        };
        assert!(Mode::try_new(constants).is_err());
        assert!(Calibration::try_new(0.0).is_err());
    }
}
