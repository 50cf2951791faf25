//! Rewards of one rollout: gates first, shaped terms inside the reached stratum.

mod additive;
mod control_head;
mod dapo;
mod hierarchy;
mod integrity;
mod length_control;
mod terms;
#[cfg(test)]
mod testing;
mod thinkless;

use serde::{Deserialize, Serialize};

pub use additive::AdditiveReward;
pub use control_head::ControlHeadReward;
pub use dapo::Overlong;
pub use hierarchy::{AccuracyReward, HierarchicalReward};
pub use integrity::{IntegrityRule, violated_rules};
pub use length_control::{L1_ALPHA, L1_DELTA, LcpoMax, TargetDistance};
pub use terms::{Calibration, Integrity, Mode, ModeConstants};
pub use thinkless::LevelCost;

use crate::{CoreError, KeepLevel, Response, ThinkState, Verdict};

/// All that a reward may look at: parsing, verification and counting have already happened.
#[derive(Debug, Clone)]
pub struct RewardContext<'a> {
    /// The completion, taken apart.
    pub response: &'a Response,
    /// The verdict on the visible answer.
    pub verdict: &'a Verdict,
    /// Think tokens of the problem's reference answer (L), at least 1.
    pub reference_tokens: usize,
    /// The teacher budget r*, if the problem has one.
    pub budget: Option<KeepLevel>,
}

impl RewardContext<'_> {
    /// The level the model chose: its first token, if that is a level.
    pub fn chosen(&self) -> Option<KeepLevel> {
        self.response.control.and_then(crate::ControlToken::level)
    }

    /// Think tokens / reference think tokens.
    pub fn realized_ratio(&self) -> f64 {
        self.response.think_tokens as f64 / self.reference_tokens.max(1) as f64
    }

    /// The gate that the rollout reached.
    pub fn stratum(&self) -> Stratum {
        let closed = self.response.think_state == ThinkState::Closed;
        if self.chosen().is_none() || !closed || self.response.think_tokens == 0 {
            Stratum::Malformed
        } else if self.verdict.is_correct() {
            Stratum::Right
        } else {
            Stratum::Wrong
        }
    }
}

/// The gates, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stratum {
    /// No valid level, or a think text that is empty, not closed, or repeated.
    Malformed,
    /// Well formed, answer wrong or absent.
    Wrong,
    /// Well formed, answer right.
    Right,
}

/// A shaped term of the main reward.
///
/// An implementor is total and pure, and its score always lies in [`RewardTerm::range`].
pub trait RewardTerm: Send + Sync {
    /// The term's name in logs: a word.
    fn name(&self) -> &'static str;

    /// Smallest and largest score.
    fn range(&self) -> (f64, f64);

    /// The score of a rollout, before its weight. [`HierarchicalReward`] asks for well-formed ones
    /// only, [`AdditiveReward`] for all.
    fn score(&self, context: &RewardContext<'_>) -> f64;
}

/// A term with its weight.
struct WeightedTerm {
    weight: f64,
    term: Box<dyn RewardTerm>,
}

impl std::fmt::Debug for WeightedTerm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.weight, self.term.name())
    }
}

impl WeightedTerm {
    /// # Errors
    ///
    /// [`CoreError::Setting`] if `weight` is negative or not finite.
    fn try_new(weight: f64, term: impl RewardTerm + 'static) -> Result<Self, CoreError> {
        if !weight.is_finite() || weight < 0.0 {
            let found = format!("{} for `{}`", weight, term.name());
            return Err(CoreError::Setting {
                key: "reward weight",
                found,
                allowed: "at least 0",
            });
        }
        let term = Box::new(term);
        Ok(Self { weight, term })
    }

    fn score(&self, context: &RewardContext<'_>) -> TermScore {
        self.scored(self.term.score(context))
    }

    fn scored(&self, raw: f64) -> TermScore {
        TermScore {
            name: self.term.name().to_owned(),
            raw,
            weighted: self.weight * raw,
        }
    }
}

/// A reward of whole rollouts.
pub trait Reward: Send + Sync {
    /// The reward of a rollout, or `None` if its answer could not be judged: such a rollout takes no
    /// part in its group and is counted.
    fn evaluate(&self, context: &RewardContext<'_>) -> Option<RewardBreakdown>;
}

/// One term's part in a reward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TermScore {
    /// The term.
    pub name: String,
    /// Its score.
    pub raw: f64,
    /// Its score times its weight.
    pub weighted: f64,
}

/// A reward with all its parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardBreakdown {
    /// The gate reached.
    pub stratum: Stratum,
    /// Every term.
    pub terms: Vec<TermScore>,
    /// R_main: for every token of the rollout.
    pub main: f64,
    /// R_ctrl: for the control token only; 0 where the arm has none.
    pub control: f64,
}
