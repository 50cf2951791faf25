//! Which traces can be sources of training examples.

use super::reserved_marker;
use crate::dataset::verify_problem;
use crate::{AnswerVerifier, Problem, Verdict};

/// Why a trace is no source of training examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// There is no gold answer to judge it by.
    NoGoldAnswer,
    /// There is no think text to compress.
    EmptyThink,
    /// A control token, a think tag or the end of a turn stands in one of its texts.
    Marker,
    /// The visible answer is wrong.
    Incorrect,
    /// The visible answer holds no answer.
    NoAnswer,
    /// Whether the visible answer is right cannot be said.
    Undecided,
}

impl Unusable {
    /// A name to count by.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoGoldAnswer => "no_gold_answer",
            Self::EmptyThink => "empty_think",
            Self::Marker => "marker",
            Self::Incorrect => "incorrect",
            Self::NoAnswer => "no_answer",
            Self::Undecided => "undecided",
        }
    }
}

/// Whether a think text and a visible answer may be trained on; `turn_close` is the token that ends a
/// turn ([`crate::ChatTemplate::turn_close`]).
///
/// # Errors
///
/// The first reason why not, in the order of [`Unusable`].
pub fn check_trace(
    problem: &Problem,
    think: &str,
    visible: &str,
    turn_close: &str,
    verifier: &dyn AnswerVerifier,
) -> Result<(), Unusable> {
    if problem.answer.trim().is_empty() {
        return Err(Unusable::NoGoldAnswer);
    }
    if think.trim().is_empty() {
        return Err(Unusable::EmptyThink);
    }
    let texts = [problem.question.as_str(), think, visible];
    let is_marked = |text: &&str| reserved_marker(text).is_some() || text.contains(turn_close);
    if texts.iter().any(is_marked) {
        return Err(Unusable::Marker);
    }
    match verify_problem(verifier, visible, problem) {
        Verdict::Correct => Ok(()),
        Verdict::Incorrect => Err(Unusable::Incorrect),
        Verdict::NoAnswer => Err(Unusable::NoAnswer),
        Verdict::Undecided(_) => Err(Unusable::Undecided),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MathVerifier;
    use crate::prompt::TURN_CLOSE;

    #[test]
    fn every_reason_is_told_apart_and_a_right_box_in_the_think_text_is_no_answer() {
        let check = |answer: &str, think: &str, visible: &str| {
            let problem = Problem {
                id: "p".into(),
                question: "2+2?".into(),
                solution: None,
                answer: answer.into(),
                difficulty: None,
                options: Vec::new(),
            };
            check_trace(&problem, think, visible, TURN_CLOSE, &MathVerifier)
                .map_err(Unusable::reason)
        };
        assert_eq!(check("4", "$2+2=4$", "so \\boxed{4}"), Ok(()));
        assert_eq!(check(" ", "t", "\\boxed{4}"), Err("no_gold_answer"));
        assert_eq!(check("4", " \n", "\\boxed{4}"), Err("empty_think"));
        assert_eq!(check("4", "a </think> b", "\\boxed{4}"), Err("marker"));
        assert_eq!(check("4", "t", "\\boxed{4}<|im_end|>"), Err("marker"));
        assert_eq!(check("4", "t", "\\boxed{5}"), Err("incorrect"));
        assert_eq!(check("4", "\\boxed{4}", "That is it."), Err("no_answer"));
        assert_eq!(check("\\frac{1", "t", "\\boxed{2}"), Err("undecided"));
    }
}
