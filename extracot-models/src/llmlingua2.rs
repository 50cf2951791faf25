//! The compressor of LLMLingua-2, and so of TokenSkip, on any token classifier.

use burn::tensor::Device;
use burn::tensor::activation::softmax;
use extracot_core::compress::llmlingua2::{LlmLingua2Config, TokenProbability, compress_words};
use extracot_core::{CompressedCot, CoreError, KeepRatio, Tokenizer};

use crate::token_classifier::{ClassifierBatch, ClassifierRow, KEEP, TokenClassifier};

const NAME: &str = "llmlingua2";
/// Tokens of a chunk, as published, without the two that enclose it.
const CHUNK_TOKENS: usize = 510;

/// Compresses texts word by word, without a question and without formulas.
///
/// # Source
///
/// LLMLingua-2, arXiv:2403.12968, section 4, and the behavior of its published code: see
/// [`compress_words`].
pub struct LlmLingua2<'a, C> {
    /// The classifier, without autodiff.
    pub classifier: &'a C,
    /// The classifier's device, without autodiff.
    pub device: &'a Device,
    /// The classifier's tokenizer.
    pub tokenizer: &'a dyn Tokenizer,
    /// Tokens before and behind every chunk, `<s>` and `</s>` of XLM-R; not both need exist.
    pub enclosing_ids: (Option<u32>, Option<u32>),
    /// Chunks classified together.
    pub batch_size: usize,
    /// Options of the selection.
    pub config: LlmLingua2Config,
}

impl<C> std::fmt::Debug for LlmLingua2<'_, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LlmLingua2")
            .field("enclosing_ids", &self.enclosing_ids)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl<C: TokenClassifier> LlmLingua2<'_, C> {
    /// The probability of every token, chunk by chunk; it serves all ratios.
    ///
    /// A chunk ends at the last full stop or line break that fits, else at the last token that does.
    ///
    /// # Errors
    ///
    /// [`CoreError::Scorer`] if the classifier has no room for a token, or its output cannot be read.
    pub fn probabilities(&self, text: &str) -> Result<Vec<Vec<TokenProbability>>, CoreError> {
        let (open, close) = self.enclosing_ids;
        let n_enclosing = usize::from(open.is_some()) + usize::from(close.is_some());
        let room = self.classifier.max_positions().saturating_sub(n_enclosing);
        let room = room.min(CHUNK_TOKENS);
        if room == 0 {
            return Err(error("the classifier has no position for a token"));
        }
        let tokens = self.tokenizer.encode_spans(text);
        let ends_chunk = |idx: usize| {
            // A piece of a character ends nothing.
            let token_text = text.get(tokens[idx].1.clone()).unwrap_or_default();
            token_text.trim_matches(' ') == "." || token_text.contains('\n')
        };
        let mut chunks = Vec::new();
        let mut start = 0;
        while start < tokens.len() {
            let limit = (start + room).min(tokens.len());
            let end = match limit == tokens.len() {
                true => limit,
                false => (start..limit)
                    .rfind(|idx| ends_chunk(*idx))
                    .map_or(limit, |idx| idx + 1),
            };
            chunks.push(start..end);
            start = end;
        }
        let mut found = Vec::with_capacity(chunks.len());
        for batch in chunks.chunks(self.batch_size.max(1)) {
            let ids: Vec<Vec<u32>> = batch
                .iter()
                .map(|chunk| {
                    let inner = tokens[chunk.clone()].iter().map(|(id, _)| *id);
                    open.into_iter().chain(inner).chain(close).collect()
                })
                .collect();
            let rows: Vec<ClassifierRow<'_>> = ids
                .iter()
                .map(|ids| ClassifierRow {
                    token_ids: ids,
                    is_global: vec![false; ids.len()],
                })
                .collect();
            let rows = self.keep_probabilities(&ClassifierBatch::collate(&rows))?;
            for (chunk, row) in batch.iter().zip(rows) {
                let row = row.into_iter().skip(usize::from(open.is_some()));
                let of_token = |((_, span), probability): (&(u32, _), f32)| TokenProbability {
                    span: std::ops::Range::clone(span),
                    probability: f64::from(probability),
                };
                found.push(
                    tokens[chunk.clone()]
                        .iter()
                        .zip(row)
                        .map(of_token)
                        .collect(),
                );
            }
        }
        Ok(found)
    }

    /// Compresses a text by the probabilities of its tokens.
    ///
    /// # Units
    ///
    /// Costs are tokens of `tokenizer`, which has to be the policy's.
    pub fn compress(
        &self,
        text: &str,
        probabilities: &[Vec<TokenProbability>],
        target_ratio: KeepRatio,
        tokenizer: &dyn Tokenizer,
    ) -> CompressedCot {
        compress_words(text, probabilities, target_ratio, tokenizer, &self.config)
    }

    fn keep_probabilities(&self, batch: &ClassifierBatch) -> Result<Vec<Vec<f32>>, CoreError> {
        let logits = self.classifier.forward(batch, self.device); // [batch, seq, 2]
        let values = softmax(logits, 2).try_into_data().map_err(error)?;
        let values: Vec<f32> = values.try_to_vec().map_err(|e| error(format!("{e:?}")))?;
        let row = |row: &[f32]| row.chunks_exact(2).map(|pair| pair[KEEP]).collect();
        Ok(values.chunks_exact(2 * batch.seq()).map(row).collect())
    }
}

fn error(message: impl std::fmt::Display) -> CoreError {
    CoreError::Scorer {
        what: NAME,
        message: message.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LinearClassifier;
    use crate::init::randomize;
    use extracot_core::{ByteTokenizer, Seed};

    #[test]
    fn chunks_end_at_stops_and_hold_every_token_once() {
        let device = Device::flex();
        let classifier = randomize(LinearClassifier::new(266, 8, &device), 1.0, 1.0, Seed(1));
        let baseline = |batch_size| LlmLingua2 {
            classifier: &classifier,
            device: &device,
            tokenizer: &ByteTokenizer,
            enclosing_ids: (Some(0), Some(2)),
            batch_size,
            config: LlmLingua2Config::default(),
        };
        let text = "ab. cd ef\ngh ijklmnop.";
        let chunks = baseline(2).probabilities(text).unwrap();
        let texts: Vec<&str> = chunks
            .iter()
            .map(|c| &text[c[0].span.start..c[c.len() - 1].span.end])
            .collect();
        // Six tokens fit: `ab. cd` is cut back to the stop; ` cd ef` has none.
        assert_eq!(texts, ["ab.", " cd ef", "\n", "gh ijk", "lmnop."]);
        assert_eq!(baseline(1).probabilities(text).unwrap(), chunks);
        let all: Vec<f64> = chunks.iter().flatten().map(|t| t.probability).collect();
        assert_eq!(all.len(), text.len());
        // Equal letters have equal probabilities under a classifier without context.
        assert_eq!(all[2], all[text.len() - 1]);
        assert!(all.iter().all(|p| (0.0..1.0).contains(p)));

        let full = KeepRatio::FULL;
        let whole = baseline(2).compress(text, &chunks, full, &ByteTokenizer);
        assert_eq!(whole.text, "ab. cd ef gh ijklmnop.");
        assert_eq!(whole.kept_tokens, whole.total_tokens);
        assert!(baseline(2).probabilities("").unwrap().is_empty());
    }
}
