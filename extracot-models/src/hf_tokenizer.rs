//! `tokenizer.json` files: load, train, save.

use std::ops::Range;
use std::path::Path;

use extracot_core::prompt::{THINK_CLOSE, THINK_OPEN, TURN_CLOSE, TURN_OPEN};
use extracot_core::{ControlToken, Tokenizer};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, Model, SplitDelimiterBehavior};

use crate::ModelError;

/// Words with their space, single digits, punctuation runs, line breaks: every digit is a token of
/// its own, and a number is read digit by digit.
const PRE_TOKEN_PATTERN: &str = r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]|\s";

/// A `tokenizer.json`, read or trained.
#[derive(Debug, Clone)]
pub struct HfTokenizer {
    inner: tokenizers::Tokenizer,
}

fn tokenizer_error(error: impl std::fmt::Display) -> ModelError {
    ModelError::Tokenizer {
        message: error.to_string(),
    }
}

impl HfTokenizer {
    /// Reads `tokenizer.json` of a model folder.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] if the file is missing or malformed.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("tokenizer.json");
        let inner = tokenizers::Tokenizer::from_file(&path)
            .map_err(|error| tokenizer_error(format!("{}: {error}", path.display())))?;
        Ok(Self { inner })
    }

    /// The tokenizer of a `tokenizer.json` that is in memory.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] if it is malformed.
    pub fn from_json(json: &[u8]) -> Result<Self, ModelError> {
        let inner = tokenizers::Tokenizer::from_bytes(json).map_err(tokenizer_error)?;
        Ok(Self { inner })
    }

    /// Trains a byte-level BPE of at most `vocab_size` entries on `texts` and adds the turn, think
    /// and control tokens behind them.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] if the trainer refuses the texts.
    pub fn train<'a>(
        texts: impl Iterator<Item = &'a str> + Send,
        vocab_size: usize,
    ) -> Result<Self, ModelError> {
        let split = Split::new(
            SplitPattern::Regex(PRE_TOKEN_PATTERN.to_owned()),
            SplitDelimiterBehavior::Isolated,
            false,
        )
        .map_err(tokenizer_error)?;
        let mut inner = tokenizers::Tokenizer::new(BPE::default());
        inner
            .with_normalizer(Some(NFC))
            .with_pre_tokenizer(Some(Sequence::new(vec![
                split.into(),
                ByteLevel::new(false, false, false).into(),
            ])))
            .with_decoder(Some(ByteLevel::new(false, false, false)));
        let trainer = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        let mut trainer = TrainerWrapper::from(trainer);
        inner.train(&mut trainer, texts).map_err(tokenizer_error)?;
        let mut tokenizer = Self { inner };
        tokenizer.add_tokens([TURN_OPEN, TURN_CLOSE, THINK_OPEN, THINK_CLOSE].map(str::to_owned));
        tokenizer.add_tokens(ControlToken::ALL.map(|token| token.to_string()));
        Ok(tokenizer)
    }

    /// Adds tokens that are not special, so that decoding never strips them.
    fn add_tokens(&mut self, tokens: impl IntoIterator<Item = String>) {
        let added: Vec<AddedToken> = tokens
            .into_iter()
            .map(|token| AddedToken::from(token, false).normalized(false))
            .collect();
        self.inner.add_tokens(&added);
    }

    /// Adds the control tokens and think tags that are missing, as ordinary tokens: decoding never
    /// strips them. Returns the ids of the new ones.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] if one of them is not a single id afterwards.
    pub fn add_control_tokens(&mut self) -> Result<Vec<u32>, ModelError> {
        let think = [THINK_OPEN, THINK_CLOSE].map(str::to_owned);
        let tokens = ControlToken::ALL.map(|token| token.to_string());
        let tokens: Vec<String> = think.into_iter().chain(tokens).collect();
        let is_missing = |token: &&String| self.token_id(token).is_none();
        let missing: Vec<String> = tokens.iter().filter(is_missing).cloned().collect();
        self.add_tokens(missing.iter().cloned());
        for token in &tokens {
            if self.token_id(token).map(|id| vec![id]) != Some(self.encode(token)) {
                return Err(tokenizer_error(format!(
                    "`{token}` is not read as one token"
                )));
            }
        }
        Ok(missing
            .iter()
            .filter_map(|token| self.token_id(token))
            .collect())
    }

    /// Entries, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Entries of the model without the added tokens.
    pub fn base_vocab_size(&self) -> usize {
        self.inner.get_model().get_vocab_size()
    }

    /// The text of `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] if it cannot be serialized.
    pub fn to_json(&self) -> Result<String, ModelError> {
        self.inner.to_string(true).map_err(tokenizer_error)
    }
}

impl Tokenizer for HfTokenizer {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.inner
            .encode_fast(text, false)
            .map_or_else(|_| Vec::new(), |e| e.get_ids().to_vec())
    }

    fn encode_spans(&self, text: &str) -> Vec<(u32, Range<usize>)> {
        let Ok(encoding) = self.inner.encode(text, false) else {
            return Vec::new();
        };
        let mut covered = 0;
        let tokens = encoding.get_ids().iter().zip(encoding.get_offsets());
        tokens
            .map(|(id, (start, end))| {
                // The files of byte-level tokenizers ask for offsets without white space.
                let span = (*start).min(covered)..*end;
                covered = covered.max(*end);
                (*id, span)
            })
            .collect()
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.inner.decode(ids, false).unwrap_or_default()
    }

    fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trained_tokenizer_splits_digits_and_keeps_markers_whole_after_a_reload() {
        let texts = ["so $12+30=42$ apples", "so many apples so many"];
        let tokenizer = HfTokenizer::train(texts.iter().copied(), 300).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("tokenizer.json"),
            tokenizer.to_json().unwrap(),
        )
        .unwrap();
        let loaded = HfTokenizer::load(folder.path()).unwrap();
        for token in ControlToken::ALL.map(|token| token.to_string()) {
            assert_eq!(loaded.encode(&token).len(), 1, "{token}");
        }
        let text = "many 142 <COMP_20>\n<think>\n";
        assert_eq!(loaded.decode(&loaded.encode(text)), text);
        // Three digits, three tokens.
        assert_eq!(loaded.encode("142").len(), 3);
        assert_eq!(loaded.vocab_size(), loaded.base_vocab_size() + 10);
    }

    #[test]
    fn spans_tile_the_text_even_where_the_file_trims_white_space() {
        let texts = ["so $12+30=42$ apples", "so many apples so many"];
        let tokenizer = HfTokenizer::train(texts.iter().copied(), 300).unwrap();
        let mut json: serde_json::Value =
            serde_json::from_str(&tokenizer.to_json().unwrap()).unwrap();
        json["post_processor"] = serde_json::json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), json.to_string()).unwrap();
        let trimming = HfTokenizer::load(folder.path()).unwrap();
        // A line break, three spaces, a character of four bytes.
        let text = "so many\n   \u{1f34e} <think>12 apples";
        for tokenizer in [&tokenizer, &trimming] {
            let tokens = tokenizer.encode_spans(text);
            let ids: Vec<u32> = tokens.iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, tokenizer.encode(text));
            let mut covered = 0;
            for (id, span) in tokens {
                let is_piece = span.end == covered;
                assert!(span.start == covered || is_piece, "{span:?} at {covered}");
                if text[span.clone()].is_ascii() {
                    assert_eq!(text[span.clone()], tokenizer.decode(&[id]));
                }
                covered = span.end;
            }
            assert_eq!(covered, text.len());
        }
    }
}
