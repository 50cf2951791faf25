//! A verdict and what it rests on.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Verdict;

/// What a comparison rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The same text, up to layout.
    Text,
    /// Two exact numbers.
    ExactNumber,
    /// A decimal of six digits or more that is the other number rounded or cut.
    RoundedNumber,
    /// Exact algebra: polynomials, quotients, square roots, the imaginary unit.
    Algebra,
    /// Values at this many points, within bounds of the rounding error.
    Numeric(usize),
    /// Parts that pair up in any order.
    Unordered,
    /// Parts in order.
    Ordered,
    /// Sets of real numbers.
    Intervals,
    /// Equations or inequalities.
    Relation,
    /// The letter of an option.
    Option,
    /// Words, up to case and punctuation.
    Words,
    /// Answers of different kinds, which nothing makes equal.
    Kinds,
    /// No comparison took place.
    None,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Text => "same text",
            Self::ExactNumber => "exact numbers",
            Self::RoundedNumber => "rounded decimal",
            Self::Algebra => "exact algebra",
            Self::Numeric(n_points) => return write!(f, "numeric at {n_points} points"),
            Self::Unordered => "parts in any order",
            Self::Ordered => "parts in order",
            Self::Intervals => "sets of real numbers",
            Self::Relation => "relations",
            Self::Option => "option letter",
            Self::Words => "words",
            Self::Kinds => "answers of different kinds",
            Self::None => "no comparison",
        };
        f.write_str(text)
    }
}

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// What it rests on.
    pub how: Method,
    /// The text that was compared with the gold answer; `None` without an answer.
    pub answer: Option<String>,
}
