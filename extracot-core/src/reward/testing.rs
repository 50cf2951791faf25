//! Rollouts for the tests of rewards.

use super::{Reward, RewardBreakdown, RewardContext};
use crate::{ControlToken, KeepLevel, Response, ThinkState, Verdict};

/// A rollout of a problem whose reference answer has 100 think tokens.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) level: Option<KeepLevel>,
    pub(super) n_tokens: usize,
    pub(super) verdict: Verdict,
    pub(super) is_closed: bool,
    pub(super) budget: Option<KeepLevel>,
    pub(super) reference_tokens: usize,
}

impl Case {
    /// Right and well formed at a level in percent.
    pub(super) fn right(level: i64, n_tokens: usize) -> Self {
        Self {
            level: Some(KeepLevel::try_new(level).unwrap()),
            n_tokens,
            verdict: Verdict::Correct,
            is_closed: true,
            budget: None,
            reference_tokens: 100,
        }
    }

    /// Wrong and well formed at a level in percent.
    pub(super) fn wrong(level: i64, n_tokens: usize) -> Self {
        Self {
            verdict: Verdict::Incorrect,
            ..Self::right(level, n_tokens)
        }
    }
}

/// The reward of a rollout; all of its tokens are think tokens.
pub(super) fn evaluate(reward: &dyn Reward, case: &Case) -> Option<RewardBreakdown> {
    let response = Response {
        control: case.level.map(ControlToken::Level),
        think_state: match case.is_closed {
            true => ThinkState::Closed,
            false => ThinkState::Unclosed,
        },
        think_tokens: case.n_tokens,
        total_tokens: case.n_tokens,
        think: "$1$".into(),
        visible: "\\boxed{1}".into(),
    };
    reward.evaluate(&RewardContext {
        response: &response,
        verdict: &case.verdict,
        reference_tokens: case.reference_tokens,
        budget: case.budget,
    })
}
