//! A training example as text, and back from the text of a prompt and an answer.

use serde::{Deserialize, Serialize};

use crate::prompt::{INSTRUCTION, THINK_CLOSE, THINK_OPEN, answer_text, asked_text};
use crate::{ControlToken, KeepLevel};

/// A training example before it is put into a chat template and tokenized.
///
/// # Examples
///
/// ```
/// # use extracot_core::{ControlToken, KeepLevel};
/// # use extracot_core::sft::SftText;
/// let text = SftText {
///     problem_id: "7".to_owned(),
///     question: "2 + 2?".to_owned(),
///     control: Some(ControlToken::Policy),
///     level: Some(KeepLevel::ALL[0]),
///     think: "$2+2=4$".to_owned(),
///     visible: "\\boxed{4}".to_owned(),
/// };
/// assert_eq!(text.asked(), "2 + 2? <COMP_POLICY>");
/// assert_eq!(text.answer(), "<COMP_20>\n<think>\n$2+2=4$\n</think>\n\\boxed{4}");
/// assert_eq!(SftText::read("7".to_owned(), &text.asked(), &text.answer()), Ok(text));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SftText {
    /// The problem it came from.
    pub problem_id: String,
    /// What is asked.
    pub question: String,
    /// What the prompt asks for; `None` for a model without control tokens.
    pub control: Option<ControlToken>,
    /// The level that the answer states and carries out; `None` exactly where `control` is.
    pub level: Option<KeepLevel>,
    /// The think text.
    pub think: String,
    /// The visible answer.
    pub visible: String,
}

impl SftText {
    /// The question with its control token.
    pub fn asked(&self) -> String {
        asked_text(&self.question, self.control)
    }

    /// The answer without the end of turn.
    pub fn answer(&self) -> String {
        answer_text(self.level, &self.think, &self.visible)
    }

    /// The example of a question with its control token and an answer, in the form that
    /// [`SftText::asked`] and [`SftText::answer`] write.
    ///
    /// # Errors
    ///
    /// What the texts lack of that form.
    pub fn read(problem_id: String, asked: &str, answer: &str) -> Result<Self, &'static str> {
        let (level, rest) = match answer.split_once('\n') {
            Some((first, rest)) if first != THINK_OPEN => match first.parse() {
                Ok(ControlToken::Level(level)) => (Some(level), rest),
                _ => return Err("the answer begins neither with a level nor with a think text"),
            },
            _ => (None, answer),
        };
        let inside = rest
            .strip_prefix(THINK_OPEN)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or("the answer has no think text")?;
        let (think, visible) = inside
            .split_once(&format!("\n{THINK_CLOSE}\n"))
            .ok_or("the think text of the answer does not end")?;
        let (question, control) = match level {
            None => (asked, None),
            Some(_) => {
                let (question, last) = asked
                    .rsplit_once(' ')
                    .ok_or("the answer states a level and the question has no control token")?;
                let control: ControlToken = last.parse().map_err(
                    |_| "the answer states a level and the question has no control token",
                )?;
                (question, Some(control))
            }
        };
        if control.is_some_and(|control| control.level().is_some_and(|asked| Some(asked) != level))
        {
            return Err("the answer states another level than the question asks for");
        }
        Ok(Self {
            problem_id,
            question: question.to_owned(),
            control,
            level,
            think: think.to_owned(),
            visible: visible.to_owned(),
        })
    }

    /// As [`SftText::read`], from the whole turn of the user.
    ///
    /// # Errors
    ///
    /// As [`SftText::read`], and if the turn does not begin with the instruction.
    pub fn read_turns(problem_id: String, user: &str, answer: &str) -> Result<Self, &'static str> {
        let asked = user
            .strip_prefix(INSTRUCTION)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or("the user's turn does not begin with the instruction to reason step by step")?;
        Self::read(problem_id, asked, answer)
    }
}

/// The first text that has a meaning of its own in a training example and must not stand in a
/// question, a think text or a visible answer: a control token or a think tag.
pub fn reserved_marker(text: &str) -> Option<String> {
    let tokens = ControlToken::ALL.map(|token| token.to_string());
    let others = [THINK_OPEN, THINK_CLOSE, "<COMP_AUTO>"].map(str::to_owned);
    tokens
        .into_iter()
        .chain(others)
        .find(|marker| text.contains(marker.as_str()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_of_the_form_is_refused_by_reason() {
        let read = |asked: &str, answer: &str| {
            SftText::read("p".to_owned(), asked, answer).map_err(|message| {
                message
                    .split(' ')
                    .rev()
                    .take(2)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
        };
        assert!(read("q <COMP_20>", "<COMP_20>\n<think>\nt\n</think>\nv").is_ok());
        assert!(read("q", "<think>\nt\n</think>\nv").is_ok());
        let cases = [
            ("q <COMP_20>", "v", "text think"),
            ("q <COMP_20>", "<COMP_20>\nv", "text think"),
            (
                "q <COMP_20>",
                "<COMP_POLICY>\n<think>\nt\n</think>\nv",
                "text think",
            ),
            ("q <COMP_20>", "<COMP_20>\n<think>\nt</think>\nv", "end not"),
            ("q", "<COMP_20>\n<think>\nt\n</think>\nv", "token control"),
            (
                "q <COMP_20>",
                "<COMP_40>\n<think>\nt\n</think>\nv",
                "for asks",
            ),
        ];
        for (asked, answer, message) in cases {
            assert_eq!(
                read(asked, answer).unwrap_err(),
                message,
                "{asked} {answer}"
            );
        }
        // A question that names a token by itself is no question for it.
        let plain = read("what is <COMP_20>", "<think>\nt\n</think>\nv").unwrap();
        assert_eq!(
            (plain.control, plain.question.as_str()),
            (None, "what is <COMP_20>")
        );
    }

    #[test]
    fn markers_are_found_and_other_tags_are_not() {
        assert_eq!(reserved_marker("a <think> b").as_deref(), Some("<think>"));
        assert_eq!(
            reserved_marker("a <COMP_AUTO>").as_deref(),
            Some("<COMP_AUTO>")
        );
        assert_eq!(reserved_marker("a <COMP_50> </thinking>"), None);
    }

    proptest! {
        #[test]
        fn any_text_without_markers_comes_back_byte_for_byte(
            question in any::<String>(),
            think in any::<String>(),
            visible in any::<String>(),
            control in 0usize..7,
            level in 0usize..5,
        ) {
            prop_assume!([&question, &think, &visible].iter().all(|t| reserved_marker(t).is_none()));
            let control = ControlToken::ALL.get(control).copied();
            let text = SftText {
                problem_id: "p".to_owned(),
                question,
                level: control.map(|c| c.level().unwrap_or(KeepLevel::ALL[level])),
                control,
                think,
                visible,
            };
            let found = SftText::read("p".to_owned(), &text.asked(), &text.answer()).unwrap();
            prop_assert_eq!(&found, &text);
            let user = crate::prompt::user_text(&text.question, text.control);
            prop_assert_eq!(SftText::read_turns("p".to_owned(), &user, &text.answer()), Ok(text));
        }
    }
}
