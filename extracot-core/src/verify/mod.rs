//! One rule for what is right: extraction of the answer and equality with the gold one.

mod answer;
mod canonical;
#[cfg(test)]
mod cases;
mod compare;
mod expr;
pub(crate) mod extract;
mod interval;
mod judgement;
mod math;
mod normalize;
mod number;
mod relation;
mod scan;
mod text;
mod unit;

use serde::{Deserialize, Serialize};

pub use extract::{Extracted, ExtractionRule, extract_answer, extract_visible};
pub use judgement::{Judgement, Method};
pub use math::MathVerifier;
pub use normalize::normalize_answer;
pub use number::{Number, parse_number};

/// What is known about an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Equal to the gold answer.
    Correct,
    /// Read, and not equal.
    Incorrect,
    /// The visible answer holds no answer.
    NoAnswer,
    /// Neither can be said; the reason tells why.
    Undecided(String),
}

impl Verdict {
    /// Whether the answer is known to be right.
    pub fn is_correct(&self) -> bool {
        *self == Self::Correct
    }
}

/// Judges a visible answer.
///
/// An implementor is total and pure: any text gives a verdict, the same every time, and nothing
/// panics. Text that cannot be read is never silently [`Verdict::Incorrect`].
pub trait AnswerVerifier: Send + Sync {
    /// Judges the visible part of a response against the gold answer.
    fn verify(&self, visible: &str, gold: &str) -> Verdict;
}
