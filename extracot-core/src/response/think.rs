//! Where the think text of a completion ends: one rule for token ids and for texts.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::prompt::{THINK_CLOSE, THINK_OPEN};

/// Whether there is one think text, opened and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkState {
    /// Closed once, and opened by the completion or by its prompt.
    Closed,
    /// Opened, never closed.
    Unclosed,
    /// Neither opened nor closed.
    Missing,
    /// Closed, and a further think tag behind that: the model goes on thinking where its answer
    /// should be.
    Repeated,
}

/// Where the parts of a completion are, in tokens or in bytes.
///
/// The think text begins behind the first opening tag. If a closing tag comes before that, it begins
/// with the completion: some chat templates open it in the prompt. It ends at the last closing tag, or
/// with the completion if it is open there. What follows is the visible part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThinkText {
    /// Which think tags there are.
    pub state: ThinkState,
    /// The think text, tags between its first and its last one included; empty if missing.
    pub think: Range<usize>,
    /// What follows the last closing tag; empty if a think text is open at the end, everything if
    /// there is no think text.
    pub visible: Range<usize>,
}

/// First and last place of a tag, and how long the tag is.
struct Tag {
    first: usize,
    last: usize,
    len: usize,
}

impl ThinkText {
    /// The parts of a text.
    ///
    /// # Examples
    ///
    /// ```
    /// use extracot_core::{ThinkState, ThinkText};
    /// let text = "<think>so 2</think>no, <think>so 4</think>It is 4.";
    /// let parts = ThinkText::of_text(text);
    /// assert_eq!(parts.state, ThinkState::Repeated);
    /// assert_eq!(&text[parts.visible], "It is 4.");
    /// ```
    pub fn of_text(text: &str) -> Self {
        let tag = |tag: &str| {
            Some(Tag {
                first: text.find(tag)?,
                last: text.rfind(tag)?,
                len: tag.len(),
            })
        };
        Self::new(tag(THINK_OPEN), tag(THINK_CLOSE), text.len())
    }

    /// The parts of a completion in which each think tag is one token.
    pub(super) fn of_ids(ids: &[u32], open: u32, close: u32) -> Self {
        let tag = |tag: u32| {
            Some(Tag {
                first: ids.iter().position(|id| *id == tag)?,
                last: ids.iter().rposition(|id| *id == tag)?,
                len: 1,
            })
        };
        Self::new(tag(open), tag(close), ids.len())
    }

    fn new(open: Option<Tag>, close: Option<Tag>, n: usize) -> Self {
        let (state, think, visible) = match (open, close) {
            (None, None) => (ThinkState::Missing, 0..0, 0..n),
            (Some(open), None) => (ThinkState::Unclosed, open.first + open.len..n, n..n),
            (open, Some(close)) => {
                let last_open = open.as_ref().map(|open| open.last);
                let is_repeated = close.first < close.last || last_open > Some(close.first);
                let state = match is_repeated {
                    true => ThinkState::Repeated,
                    false => ThinkState::Closed,
                };
                let begin = open.filter(|open| open.first < close.first);
                let begin = begin.map_or(0, |open| open.first + open.len);
                match last_open > Some(close.last) {
                    true => (state, begin..n, n..n),
                    false => (state, begin..close.last, close.last + close.len..n),
                }
            }
        };
        Self {
            state,
            think,
            visible,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::TURN_CLOSE;
    use crate::verify::extract::visible_part;
    use crate::{ByteTokenizer, ResponseParser, Tokenizer};
    use proptest::prelude::*;

    fn parts(text: &str) -> (ThinkState, &str, &str) {
        let parts = ThinkText::of_text(text);
        (parts.state, &text[parts.think], &text[parts.visible])
    }

    #[test]
    fn every_order_of_tags_has_its_parts() {
        use ThinkState::{Closed, Missing, Repeated, Unclosed};
        for (text, expected) in [
            ("", (Missing, "", "")),
            ("a", (Missing, "", "a")),
            ("a<think>b", (Unclosed, "b", "")),
            ("<think>a<think>b", (Unclosed, "a<think>b", "")),
            ("a<think>b</think>c", (Closed, "b", "c")),
            ("<think>a<think>b</think>c", (Closed, "a<think>b", "c")),
            ("a</think>b", (Closed, "a", "b")),
            ("a</think>b<think>c", (Repeated, "a</think>b<think>c", "")),
            (
                "a</think>b<think>c</think>d",
                (Repeated, "a</think>b<think>c", "d"),
            ),
            ("<think>a</think>b</think>c", (Repeated, "a</think>b", "c")),
            (
                "<think>a</think>b<think>",
                (Repeated, "a</think>b<think>", ""),
            ),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn ids_texts_and_the_verifier_see_the_same_parts(
            pieces in prop::collection::vec(
                prop::sample::select(vec!["<think>", "</think>", "a", " b\n", "\\boxed{1}"]),
                0..9,
            ),
            level in prop::sample::select(vec!["", "<COMP_20>", "<COMP_POLICY>\n"]),
        ) {
            let text = format!("{level}{}", pieces.concat());
            let parser = ResponseParser::try_new(&ByteTokenizer, TURN_CLOSE).unwrap();
            let ids = ByteTokenizer.encode(&text);
            let response = parser.parse(&ByteTokenizer, &ids);
            let (state, think, visible) = parts(&text);
            prop_assert_eq!(response.think_state, state);
            prop_assert_eq!(&response.visible, visible.trim());
            prop_assert_eq!(visible_part(&text), visible);
            // The level is the parser's to cut.
            let think = think.trim().trim_start_matches(level.trim()).trim();
            prop_assert_eq!(&response.think, think);
            let is_whole = response.think_tokens == ids.len();
            prop_assert!(is_whole || state == ThinkState::Closed);
            prop_assert!(response.think_tokens <= response.total_tokens);
        }
    }
}
