//! Verdicts as they stand in output rows: a name, and a reason beside it.

use extracot_core::Verdict;
use serde::{Deserialize, Serialize};

/// The name of a [`Verdict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum VerdictName {
    Correct,
    Incorrect,
    NoAnswer,
    Undecided,
}

impl VerdictName {
    /// All four.
    pub(super) const ALL: [Self; 4] = [
        Self::Correct,
        Self::Incorrect,
        Self::NoAnswer,
        Self::Undecided,
    ];

    /// The name, and why nothing can be said.
    pub(super) fn of(verdict: Verdict) -> (Self, Option<String>) {
        match verdict {
            Verdict::Correct => (Self::Correct, None),
            Verdict::Incorrect => (Self::Incorrect, None),
            Verdict::NoAnswer => (Self::NoAnswer, None),
            Verdict::Undecided(reason) => (Self::Undecided, Some(reason)),
        }
    }

    /// The verdict that this is the name of.
    pub(super) fn with_reason(self, reason: Option<&str>) -> Verdict {
        match self {
            Self::Correct => Verdict::Correct,
            Self::Incorrect => Verdict::Incorrect,
            Self::NoAnswer => Verdict::NoAnswer,
            Self::Undecided => Verdict::Undecided(reason.unwrap_or_default().to_owned()),
        }
    }
}
