//! Splits sampled token ids into control token, think text and visible answer.

mod think;

use serde::{Deserialize, Serialize};

use crate::prompt::{THINK_CLOSE, THINK_OPEN};
use crate::{ControlToken, CoreError, Tokenizer};

pub use think::{ThinkState, ThinkText};

/// A completion, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The control token that comes first, if one does.
    pub control: Option<ControlToken>,
    /// Whether there is one think text, opened and closed.
    pub think_state: ThinkState,
    /// Tokens of the think text if it is closed, else every generated token: what a model thinks
    /// elsewhere is no saving. 0 only if closed and empty.
    pub think_tokens: usize,
    /// Tokens generated in all, the end of turn included.
    pub total_tokens: usize,
    /// The think text, without surrounding white space.
    pub think: String,
    /// What follows the think text, without surrounding white space.
    pub visible: String,
}

/// Knows the ids of the markers of one tokenizer.
#[derive(Debug, Clone)]
pub struct ResponseParser {
    control_ids: Vec<(u32, ControlToken)>,
    think_open: u32,
    think_close: u32,
    turn_close: u32,
}

impl ResponseParser {
    /// Looks the markers up once; `turn_close` is the token that ends a turn
    /// ([`crate::ChatTemplate::turn_close`]).
    ///
    /// # Errors
    ///
    /// [`CoreError::MissingToken`] names the first marker that the vocabulary lacks.
    pub fn try_new(tokenizer: &dyn Tokenizer, turn_close: &str) -> Result<Self, CoreError> {
        let id = |token: &str| {
            tokenizer
                .token_id(token)
                .ok_or_else(|| CoreError::MissingToken {
                    token: token.to_owned(),
                })
        };
        let control_ids = ControlToken::ALL
            .into_iter()
            .map(|token| Ok((id(&token.to_string())?, token)))
            .collect::<Result<_, CoreError>>()?;
        Ok(Self {
            control_ids,
            think_open: id(THINK_OPEN)?,
            think_close: id(THINK_CLOSE)?,
            turn_close: id(turn_close)?,
        })
    }

    /// Id of the end of turn, at which generation stops.
    pub fn turn_close(&self) -> u32 {
        self.turn_close
    }

    /// Takes a completion apart. Total: any ids give a [`Response`].
    ///
    /// [`ThinkText`] says where the parts are. Newline tokens next to the think tags belong to the
    /// format and are not counted.
    pub fn parse(&self, tokenizer: &dyn Tokenizer, ids: &[u32]) -> Response {
        let control = ids.first().and_then(|first| {
            self.control_ids
                .iter()
                .find(|(id, _)| id == first)
                .map(|(_, token)| *token)
        });
        let body = match ids.split_last() {
            Some((last, body)) if *last == self.turn_close => body,
            _ => ids,
        };
        let rest = &body[usize::from(control.is_some()).min(body.len())..];
        let parts = ThinkText::of_ids(rest, self.think_open, self.think_close);
        let think_ids = &rest[parts.think];
        let (think_tokens, visible_ids) = match parts.state {
            ThinkState::Closed => (
                trim_newlines(tokenizer, think_ids).len(),
                &rest[parts.visible],
            ),
            ThinkState::Missing => (ids.len(), body),
            ThinkState::Unclosed | ThinkState::Repeated => (ids.len(), &rest[parts.visible]),
        };
        Response {
            control,
            think_state: parts.state,
            think_tokens,
            total_tokens: ids.len(),
            think: tokenizer.decode(think_ids).trim().to_owned(),
            visible: tokenizer.decode(visible_ids).trim().to_owned(),
        }
    }
}

fn trim_newlines<'a>(tokenizer: &dyn Tokenizer, mut ids: &'a [u32]) -> &'a [u32] {
    // An id without a text is no line break: it counts.
    let blank = |id: &u32| {
        let text = tokenizer.decode(&[*id]);
        !text.is_empty() && text.chars().all(|c| c == '\n')
    };
    while let Some((_, rest)) = ids.split_first().filter(|(first, _)| blank(first)) {
        ids = rest;
    }
    while let Some((_, rest)) = ids.split_last().filter(|(last, _)| blank(last)) {
        ids = rest;
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::TURN_CLOSE;
    use crate::{ByteTokenizer, KeepLevel};

    fn parse(text: &str) -> Response {
        let parser = ResponseParser::try_new(&ByteTokenizer, TURN_CLOSE).unwrap();
        parser.parse(&ByteTokenizer, &ByteTokenizer.encode(text))
    }

    #[test]
    fn a_well_formed_completion_is_split() {
        let response = parse("<COMP_20>\n<think>\nabc\n</think>\n\\boxed{1}<|im_end|>");
        assert_eq!(
            response.control,
            Some(ControlToken::Level(KeepLevel::ALL[0]))
        );
        assert_eq!(response.think_state, ThinkState::Closed);
        assert_eq!((response.think_tokens, response.think.as_str()), (3, "abc"));
        assert_eq!(response.visible, "\\boxed{1}");
        // control, newline, open, newline, abc, newline, close, newline, 9 of the box, end.
        assert_eq!(response.total_tokens, 1 + 1 + 1 + 1 + 3 + 1 + 1 + 1 + 9 + 1);
    }

    #[test]
    fn an_unclosed_think_counts_every_token_and_is_never_empty() {
        let response = parse("<COMP_20>\n<think>\nabc");
        assert_eq!(response.think_state, ThinkState::Unclosed);
        assert_eq!(response.think_tokens, 7);
        assert_eq!(response.visible, "");
    }

    #[test]
    fn a_missing_think_and_an_empty_one_are_told_apart() {
        let missing = parse("\\boxed{1}");
        assert_eq!(
            (missing.think_state, missing.think_tokens),
            (ThinkState::Missing, 9)
        );
        let empty = parse("<think>\n</think>7");
        assert_eq!(
            (empty.think_state, empty.think_tokens),
            (ThinkState::Closed, 0)
        );
        assert_eq!(parse("").think_state, ThinkState::Missing);
    }

    #[test]
    fn a_second_think_text_counts_every_token_and_holds_no_answer() {
        let twice = parse("<COMP_20>\n<think>\na\n</think>b<think>c</think>\n\\boxed{1}<|im_end|>");
        assert_eq!(twice.think_state, ThinkState::Repeated);
        // control, newline, open, newline, a, newline, close, b, open, c, close, newline, 9, end.
        assert_eq!((twice.think_tokens, twice.total_tokens), (22, 22));
        assert_eq!(twice.think, "a\n</think>b<think>c");
        assert_eq!(twice.visible, "\\boxed{1}");
        let open = parse("<think>a</think>\\boxed{1}<think>b");
        assert_eq!(open.think_state, ThinkState::Repeated);
        assert_eq!((open.think_tokens, open.visible.as_str()), (14, ""));
    }

    #[test]
    fn a_think_text_that_the_prompt_opened_begins_behind_the_level() {
        let response = parse("<COMP_20>\na\n</think>4");
        assert_eq!(response.think_state, ThinkState::Closed);
        assert_eq!((response.think_tokens, response.think.as_str()), (1, "a"));
        assert_eq!(response.visible, "4");
    }
}
