//! A completion of which there is only text, taken apart.
//!
//! [`ResponseParser`](extracot_core::ResponseParser) does the same with token ids, where they are known
//! and each marker is one of them. The two agree; see the test.

use extracot_core::{ControlToken, ThinkState, ThinkText, Tokenizer};

/// The parts of a completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResponseText<'a> {
    /// The control token that comes first, if one does.
    pub(super) control: Option<ControlToken>,
    /// Whether there is one think text, opened and closed.
    pub(super) think_state: ThinkState,
    /// The think text, without surrounding white space.
    pub(super) think: &'a str,
    /// What follows the think text, without surrounding white space; everything if there is none.
    pub(super) visible: &'a str,
}

impl<'a> ResponseText<'a> {
    /// Takes a completion apart. Total: any text has parts; [`ThinkText`] says where they are.
    pub(super) fn split(text: &'a str) -> Self {
        let (control, body) = leading_control(text);
        let parts = ThinkText::of_text(body);
        let visible = match parts.state {
            ThinkState::Missing => text,
            _ => &body[parts.visible],
        };
        Self {
            control,
            think_state: parts.state,
            think: body[parts.think].trim(),
            visible: visible.trim(),
        }
    }

    /// Think tokens as `tokenizer` counts them: `n_total` unless the think text is closed, as what a
    /// model thinks elsewhere is no saving.
    pub(super) fn think_tokens(&self, tokenizer: &dyn Tokenizer, n_total: usize) -> usize {
        match self.think_state {
            ThinkState::Closed => tokenizer.encode(self.think).len(),
            ThinkState::Unclosed | ThinkState::Missing | ThinkState::Repeated => n_total,
        }
    }
}

/// The control token at the beginning of a text, and what is behind it.
pub(super) fn leading_control(text: &str) -> (Option<ControlToken>, &str) {
    let text = text.trim_start();
    let end = match text.starts_with('<') {
        true => text.find('>').map_or(0, |idx| idx + 1),
        false => 0,
    };
    match text[..end].parse() {
        Ok(token) => (Some(token), &text[end..]),
        Err(_) => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use extracot_core::prompt::TURN_CLOSE;
    use extracot_core::{ByteTokenizer, KeepLevel, ResponseParser};

    #[test]
    fn it_agrees_with_the_parser_of_token_ids() {
        let parser = ResponseParser::try_new(&ByteTokenizer, TURN_CLOSE).unwrap();
        for text in [
            "<COMP_40>\n<think>\na b\n</think>\n\\boxed{1}",
            "<think></think>4",
            "<COMP_AUTO>\n<think>\nabc",
            "no tags: \\boxed{1}",
            "<COMP_20> \\boxed{1}",
            "<think>a</think>b</think>c <think>d",
            "<COMP_20>\n<think>\na\n</think>b<think>c</think> d",
            "<COMP_20>\na\n</think>b",
            "",
        ] {
            let ids = ByteTokenizer.encode(text);
            let (by_ids, by_text) = (
                parser.parse(&ByteTokenizer, &ids),
                ResponseText::split(text),
            );
            assert_eq!(by_text.think_state, by_ids.think_state, "{text}");
            assert_eq!(by_text.think, by_ids.think, "{text}");
            assert_eq!(by_text.visible, by_ids.visible, "{text}");
            let n = by_text.think_tokens(&ByteTokenizer, ids.len());
            assert_eq!(n, by_ids.think_tokens, "{text}");
            if !text.contains("AUTO") {
                assert_eq!(by_text.control, by_ids.control, "{text}");
            }
        }
    }

    #[test]
    fn a_think_text_that_the_prompt_opened_begins_with_the_completion() {
        let parts = ResponseText::split("a b\n</think>\n4");
        assert_eq!(
            (parts.think_state, parts.think, parts.visible),
            (ThinkState::Closed, "a b", "4")
        );
        let level = ControlToken::Level(KeepLevel::ALL[0]);
        let parts = ResponseText::split("\n<COMP_20>\nx</think>4");
        assert_eq!((parts.control, parts.think), (Some(level), "x"));
    }
}
