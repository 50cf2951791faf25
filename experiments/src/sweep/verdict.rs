//! Verdicts as they stand in output rows: a name, and a reason beside it.

use extracot_core::Verdict;
use serde::{Deserialize, Serialize};

/// The name of a [`Verdict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictName {
    /// Equal to the gold answer.
    Correct,
    /// Read, and not equal.
    Incorrect,
    /// There is no answer.
    NoAnswer,
    /// Neither can be said.
    Undecided,
    /// There is no completion: the request failed, and the run was ended so. No [`Verdict`] has this
    /// name.
    Open,
}

impl VerdictName {
    /// The names of verdicts.
    pub const ALL: [Self; 4] = [
        Self::Correct,
        Self::Incorrect,
        Self::NoAnswer,
        Self::Undecided,
    ];

    /// The name as it stands in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Incorrect => "incorrect",
            Self::NoAnswer => "no_answer",
            Self::Undecided => "undecided",
            Self::Open => "open",
        }
    }

    /// The name, and why nothing can be said.
    pub fn of(verdict: Verdict) -> (Self, Option<String>) {
        match verdict {
            Verdict::Correct => (Self::Correct, None),
            Verdict::Incorrect => (Self::Incorrect, None),
            Verdict::NoAnswer => (Self::NoAnswer, None),
            Verdict::Undecided(reason) => (Self::Undecided, Some(reason)),
        }
    }

    /// The verdict that this is the name of; without a completion there is no answer.
    pub fn with_reason(self, reason: Option<&str>) -> Verdict {
        match self {
            Self::Correct => Verdict::Correct,
            Self::Incorrect => Verdict::Incorrect,
            Self::NoAnswer | Self::Open => Verdict::NoAnswer,
            Self::Undecided => Verdict::Undecided(reason.unwrap_or_default().to_owned()),
        }
    }
}
