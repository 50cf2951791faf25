//! R_ctrl: the reward of the choice itself, applied to the control token only.

use super::{Mode, RewardContext, RewardTerm, Stratum};
use crate::CoreError;

/// `R_ctrl = weight * (M + saving * (1 - chosen) * [right])`.
///
/// A malformed rollout that states a level counts as wrong; one without a level gets the smallest
/// value of M.
///
/// # Source
///
/// Extra-CoT: a reward applied only to the control-head token; the form is inferred
/// (`docs/decisions/0002`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ControlHeadReward {
    mode: Mode,
    weight: f64,
    saving: f64,
}

impl ControlHeadReward {
    /// A control-head reward over the same [`Mode`] as the main reward.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if a factor is negative or not finite.
    pub fn try_new(mode: Mode, weight: f64, saving: f64) -> Result<Self, CoreError> {
        for (key, value) in [("reward.w_ctrl", weight), ("reward.saving", saving)] {
            if !value.is_finite() || value < 0.0 {
                let found = value.to_string();
                return Err(CoreError::Setting {
                    key,
                    found,
                    allowed: "at least 0",
                });
            }
        }
        Ok(Self {
            mode,
            weight,
            saving,
        })
    }

    /// The reward of the chosen level.
    pub fn score(&self, context: &RewardContext<'_>) -> f64 {
        let Some(chosen) = context.chosen() else {
            return self.weight * self.mode.range().0;
        };
        let right = context.stratum() == Stratum::Right;
        let saved = if right {
            self.saving * (1.0 - chosen.ratio().value())
        } else {
            0.0
        };
        self.weight * (self.mode.score(context) + saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::ModeConstants;
    use crate::{ControlToken, KeepLevel, Response, ThinkState, Verdict};

    #[test]
    fn a_right_box_without_a_sound_think_text_is_no_success_of_the_level() {
        let mode = Mode::try_new(ModeConstants::default()).unwrap();
        let reward = ControlHeadReward::try_new(mode, 1.0, 0.3).unwrap();
        let score = |think_state, think_tokens| {
            let response = Response {
                control: Some(ControlToken::Level(KeepLevel::ALL[0])),
                think_state,
                think_tokens,
                total_tokens: 30,
                think: String::new(),
                visible: "\\boxed{1}".into(),
            };
            reward.score(&RewardContext {
                response: &response,
                verdict: &Verdict::Correct,
                reference_tokens: 100,
                budget: Some(KeepLevel::ALL[1]),
            })
        };
        // Right at 20 under a budget of 40: 0.2 + 0.3 * 0.8; without a sound think text: -1 * 0.2.
        assert!((score(ThinkState::Closed, 20) - 0.44).abs() < 1e-9);
        assert!((score(ThinkState::Closed, 0) + 0.2).abs() < 1e-9);
        for broken in [ThinkState::Missing, ThinkState::Repeated] {
            assert!((score(broken, 30) + 0.2).abs() < 1e-9);
        }
    }
}
