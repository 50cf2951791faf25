//! The single place where a prompt or a training text is rendered: supervised fine-tuning,
//! rollouts and evaluation share it.

use serde::{Deserialize, Serialize};

use crate::ControlToken;

/// The instruction in front of every question.
///
/// # Source
///
/// Extra-CoT, training data format.
pub const INSTRUCTION: &str =
    r"Please reason step by step, and put your final answer within \boxed{}.";
/// Opens the think text.
pub const THINK_OPEN: &str = "<think>";
/// Closes the think text.
pub const THINK_CLOSE: &str = "</think>";
/// Opens a chat turn.
pub const TURN_OPEN: &str = "<|im_start|>";
/// Closes a chat turn; generation stops at it.
pub const TURN_CLOSE: &str = "<|im_end|>";

/// ChatML with an optional system turn.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatTemplate {
    /// Text of the system turn; none is written if absent.
    #[serde(default)]
    pub system: Option<String>,
}

impl ChatTemplate {
    /// The prompt of `question`, up to and including the opening of the assistant's turn.
    ///
    /// `control` of `None` renders the prompt of a model without control tokens.
    pub fn prompt(&self, question: &str, control: Option<ControlToken>) -> String {
        let system = match &self.system {
            Some(text) => format!("{TURN_OPEN}system\n{text}{TURN_CLOSE}\n"),
            None => String::new(),
        };
        let control = control.map_or_else(String::new, |token| format!(" {token}"));
        format!(
            "{system}{TURN_OPEN}user\n{INSTRUCTION}\n{question}{control}{TURN_CLOSE}\n\
             {TURN_OPEN}assistant\n"
        )
    }

    /// The completion: mirrored level, think text, visible answer, end of turn.
    ///
    /// `level` of `None` renders the completion of a model without control tokens.
    pub fn completion(
        &self,
        level: Option<crate::KeepLevel>,
        think: &str,
        visible: &str,
    ) -> String {
        let mirror = level.map_or_else(String::new, |level| {
            format!("{}\n", ControlToken::Level(level))
        });
        format!("{mirror}{THINK_OPEN}\n{think}\n{THINK_CLOSE}\n{visible}{TURN_CLOSE}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeepLevel;

    #[test]
    fn prompt_and_completion_have_the_documented_form() {
        let chat = ChatTemplate::default();
        let level = KeepLevel::ALL[1];
        assert_eq!(
            chat.prompt("How many?", Some(ControlToken::Policy)),
            "<|im_start|>user\nPlease reason step by step, and put your final answer within \
             \\boxed{}.\nHow many? <COMP_POLICY><|im_end|>\n<|im_start|>assistant\n"
        );
        assert_eq!(
            chat.completion(Some(level), "so $1$", "\\boxed{1}"),
            "<COMP_40>\n<think>\nso $1$\n</think>\n\\boxed{1}<|im_end|>"
        );
    }
}
