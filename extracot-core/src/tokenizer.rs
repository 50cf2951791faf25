//! The one token unit: the policy's tokenizer.

use std::ops::Range;

/// Text to token ids and back.
///
/// An implementor guarantees that `encode` never fails on any text and that every id it returns
/// decodes. `encode` maps the text of an added token (such as `<COMP_20>`) to its one id.
pub trait Tokenizer: Send + Sync {
    /// Token ids of `text`, without any sequence markers added.
    fn encode(&self, text: &str) -> Vec<u32>;

    /// The tokens of [`Tokenizer::encode`], each with its bytes in `text`.
    ///
    /// Spans rise and leave no gap before the end of the last one. Tokens that are pieces of one
    /// character may each have the span of that character.
    fn encode_spans(&self, text: &str) -> Vec<(u32, Range<usize>)>;

    /// Text of `ids`; added tokens are part of it.
    fn decode(&self, ids: &[u32]) -> String;

    /// Id of exactly this token, if the vocabulary has it.
    fn token_id(&self, token: &str) -> Option<u32>;

    /// Number of tokens of `text`.
    fn n_tokens(&self, text: &str) -> usize {
        self.encode(text).len()
    }
}

/// One token per byte, with the markers of the method above 255: a test double that needs no file.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByteTokenizer;

const BYTE_TOKENIZER_ADDED: [&str; 10] = [
    "<COMP_20>",
    "<COMP_40>",
    "<COMP_60>",
    "<COMP_80>",
    "<COMP_100>",
    "<COMP_POLICY>",
    "<think>",
    "</think>",
    "<|im_start|>",
    "<|im_end|>",
];

impl Tokenizer for ByteTokenizer {
    fn encode(&self, text: &str) -> Vec<u32> {
        let spans = self.encode_spans(text);
        spans.into_iter().map(|(id, _)| id).collect()
    }

    fn encode_spans(&self, text: &str) -> Vec<(u32, Range<usize>)> {
        let mut tokens = Vec::with_capacity(text.len());
        let mut at = 0;
        while let Some(byte) = text.as_bytes().get(at) {
            // Markers are ASCII, so none begins within a character.
            let rest = &text.as_bytes()[at..];
            let added_idx = BYTE_TOKENIZER_ADDED
                .iter()
                .position(|added| rest.starts_with(added.as_bytes()));
            let (id, n_bytes) = match added_idx {
                Some(added_idx) => (
                    256 + added_idx as u32,
                    BYTE_TOKENIZER_ADDED[added_idx].len(),
                ),
                None => (u32::from(*byte), 1),
            };
            tokens.push((id, at..at + n_bytes));
            at += n_bytes;
        }
        tokens
    }

    fn decode(&self, ids: &[u32]) -> String {
        let mut bytes = Vec::with_capacity(ids.len());
        for id in ids {
            match u8::try_from(*id) {
                Ok(byte) => bytes.push(byte),
                Err(_) => {
                    let added = BYTE_TOKENIZER_ADDED.get(*id as usize - 256).copied();
                    bytes.extend_from_slice(added.unwrap_or("\u{fffd}").as_bytes());
                }
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn token_id(&self, token: &str) -> Option<u32> {
        let added = BYTE_TOKENIZER_ADDED
            .iter()
            .position(|added| *added == token);
        match (added, token.as_bytes()) {
            (Some(added_idx), _) => Some(256 + added_idx as u32),
            (None, [byte]) => Some(u32::from(*byte)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_tokens_round_trip_with_markers() {
        let text = "a<COMP_40>\n<think>é</think>";
        let ids = ByteTokenizer.encode(text);
        assert_eq!(ids, [97, 257, 10, 262, 195, 169, 263]);
        assert_eq!(ByteTokenizer.decode(&ids), text);
        let spans: Vec<_> = ByteTokenizer
            .encode_spans(text)
            .into_iter()
            .map(|(_, span)| span)
            .collect();
        assert_eq!(spans, [0..1, 1..10, 10..11, 11..18, 18..19, 19..20, 20..28]);
    }
}
