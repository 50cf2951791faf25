//! The single place where a prompt or a training text is rendered: supervised fine-tuning,
//! rollouts and evaluation share it.

use std::fmt;
use std::sync::Arc;

use crate::{ControlToken, CoreError, KeepLevel};

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

/// The question with the control token behind it, if there is one.
pub fn asked_text(question: &str, control: Option<ControlToken>) -> String {
    match control {
        Some(token) => format!("{question} {token}"),
        None => question.to_owned(),
    }
}

/// The user's turn: the instruction, a line break, [`asked_text`]. It is what is sent where the template is on
/// the other side, as with a chat endpoint.
pub fn user_text(question: &str, control: Option<ControlToken>) -> String {
    format!("{INSTRUCTION}\n{}", asked_text(question, control))
}

/// The assistant's turn without its end: the level on a line of its own, the think text between its
/// tags, the visible answer.
pub fn answer_text(level: Option<KeepLevel>, think: &str, visible: &str) -> String {
    let mirror = level.map_or_else(String::new, |level| {
        format!("{}\n", ControlToken::Level(level))
    });
    format!("{mirror}{THINK_OPEN}\n{think}\n{THINK_CLOSE}\n{visible}")
}

/// One turn of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatMessage<'a> {
    /// `system`, `user` or `assistant`.
    pub role: &'a str,
    /// Its text.
    pub content: &'a str,
}

/// Writes the turns of a chat in the form that a model was trained on.
pub trait ChatRenderer: fmt::Debug + Send + Sync {
    /// The turns; with `open_answer` also what comes before the assistant's next words.
    ///
    /// # Errors
    ///
    /// [`CoreError::Template`] if the template refuses the turns.
    fn render(&self, messages: &[ChatMessage<'_>], open_answer: bool) -> Result<String, CoreError>;

    /// The token that ends the assistant's turn; generation stops at it.
    fn turn_close(&self) -> &str;
}

/// ChatML, the form of the embedded task.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChatMl;

impl ChatRenderer for ChatMl {
    fn render(&self, messages: &[ChatMessage<'_>], open_answer: bool) -> Result<String, CoreError> {
        let turns = messages.iter().map(|message| {
            let ChatMessage { role, content } = message;
            format!("{TURN_OPEN}{role}\n{content}{TURN_CLOSE}\n")
        });
        let answer = open_answer.then(|| format!("{TURN_OPEN}assistant\n"));
        Ok(turns.chain(answer).collect())
    }

    fn turn_close(&self) -> &str {
        TURN_CLOSE
    }
}

/// Prompts and completions of one policy.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    renderer: Arc<dyn ChatRenderer>,
    system: Option<String>,
}

impl Default for ChatTemplate {
    /// ChatML without a system turn.
    fn default() -> Self {
        Self::new(ChatMl, None)
    }
}

impl ChatTemplate {
    /// Prompts in the form of `renderer`, with a system turn if there is a text for it.
    pub fn new(renderer: impl ChatRenderer + 'static, system: Option<String>) -> Self {
        Self {
            renderer: Arc::new(renderer),
            system,
        }
    }

    /// The prompt of `question`, up to and including the opening of the assistant's turn.
    ///
    /// `control` of `None` renders the prompt of a model without control tokens.
    ///
    /// # Errors
    ///
    /// [`CoreError::Template`] if the template fails.
    pub fn prompt(
        &self,
        question: &str,
        control: Option<ControlToken>,
    ) -> Result<String, CoreError> {
        let user = user_text(question, control);
        let system = self.system.as_deref().map(|content| ChatMessage {
            role: "system",
            content,
        });
        let user = ChatMessage {
            role: "user",
            content: &user,
        };
        let messages: Vec<_> = system.into_iter().chain([user]).collect();
        self.renderer.render(&messages, true)
    }

    /// The completion: mirrored level, think text, visible answer, end of turn.
    ///
    /// `level` of `None` renders the completion of a model without control tokens.
    pub fn completion(&self, level: Option<KeepLevel>, think: &str, visible: &str) -> String {
        answer_text(level, think, visible) + self.renderer.turn_close()
    }

    /// The token that ends the assistant's turn; generation stops at it.
    pub fn turn_close(&self) -> &str {
        self.renderer.turn_close()
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
            chat.prompt("How many?", Some(ControlToken::Policy))
                .unwrap(),
            "<|im_start|>user\nPlease reason step by step, and put your final answer within \
             \\boxed{}.\nHow many? <COMP_POLICY><|im_end|>\n<|im_start|>assistant\n"
        );
        assert_eq!(
            chat.completion(Some(level), "so $1$", "\\boxed{1}"),
            "<COMP_40>\n<think>\nso $1$\n</think>\n\\boxed{1}<|im_end|>"
        );
    }

    #[test]
    fn a_system_turn_comes_first() {
        let chat = ChatTemplate::new(ChatMl, Some("Be brief.".to_owned()));
        let prompt = chat.prompt("How many?", None).unwrap();
        assert!(prompt.starts_with("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"));
    }
}
