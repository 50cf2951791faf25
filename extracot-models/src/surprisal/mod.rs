//! Keep scores from a language model alone: what it would have written anyway says little.

mod atoms;
#[cfg(test)]
mod tests;

use burn::tensor::{DType, Device, Tensor, TensorData};
use extracot_core::atom::windows;
use extracot_core::{AtomizedCot, ChatTemplate, CoreError, KeepScorer, KeepScores, Tokenizer};

use crate::score::{check_vocabulary, ids_tensor, read_logprobs};
use crate::think_prompt::before_think;
use crate::{CausalLm, ModelError};

use atoms::AtomTokens;

const NAME: &str = "surprisal scorer";

/// Scores an atom by the mean over its tokens of `-log p(token | question, text before)`.
///
/// What stands before is the prompt (the chat template's, else instruction and question, a line
/// each), `<think>`, a line break, and the think text so far. Prompt and think text are tokenized as
/// one text; a token belongs to the atom that holds most of its bytes, of equals to the first. An
/// atom without a token of its own has the score of the token that holds its first byte.
///
/// A think text beyond the model's positions goes into windows at sentence ends
/// ([`extracot_core::atom::windows`]), each behind the whole prompt: the first tokens of a window are
/// scored without the text before it. A single atom that is too long is spread over several rows.
///
/// # Units
///
/// Nats per token, never below 0.
///
/// # Source
///
/// Self-information of Selective Context, Li et al. 2023 (arXiv 2310.06201), which adds it up over
/// phrases or sentences. The mean, and atoms as units, are our own choice: selection already counts
/// what an atom costs.
pub struct SurprisalScorer<'a, M> {
    /// The language model, without autodiff.
    pub model: &'a M,
    /// The model's device, without autodiff.
    pub device: &'a Device,
    /// The model's tokenizer.
    pub tokenizer: &'a dyn Tokenizer,
    /// The model's chat template, if it has one.
    pub chat: Option<&'a ChatTemplate>,
    /// Tokens computed together, padding included; one row at least. No result depends on it.
    pub batch_tokens: usize,
}

impl<M> std::fmt::Debug for SurprisalScorer<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SurprisalScorer")
            .field("chat", &self.chat)
            .field("batch_tokens", &self.batch_tokens)
            .finish_non_exhaustive()
    }
}

/// Some tokens of a think text behind its prompt.
struct Row {
    item_idx: usize,
    /// Prompt and tokens.
    token_ids: Vec<u32>,
    n_prompt: usize,
    /// Index of the first token of the row among those of the think text.
    first_token: usize,
}

impl<M: CausalLm> KeepScorer for SurprisalScorer<'_, M> {
    /// Scores the atoms of one think text.
    ///
    /// # Errors
    ///
    /// As [`KeepScorer::score_batch`] of this scorer.
    fn score(&self, question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
        let mut scores = self.score_batch(&[(question, cot)])?;
        scores.pop().ok_or_else(|| CoreError::Scorer {
            what: NAME,
            message: "no scores for a text".to_owned(),
        })
    }

    /// Scores many think texts, each with its question, in order.
    ///
    /// # Errors
    ///
    /// [`CoreError::Template`] if the chat template fails, [`CoreError::Scorer`] if a prompt has no
    /// token or leaves no room for one of the think text, if the tokenizer is not the model's, or if
    /// the model computes no numbers. Texts are named by their index.
    fn score_batch(&self, items: &[(&str, &AtomizedCot)]) -> Result<Vec<KeepScores>, CoreError> {
        let mut texts = Vec::with_capacity(items.len());
        let mut rows = Vec::new();
        for (item_idx, (question, cot)) in items.iter().enumerate() {
            let before = before_think(self.chat, question)?;
            let tokens = AtomTokens::new(&before, cot, self.tokenizer);
            rows.extend(self.rows(item_idx, cot, &tokens)?);
            texts.push(tokens);
        }
        // Similar lengths share a batch, so the padding is small; the first is the longest.
        rows.sort_by_key(|row| std::cmp::Reverse(row.token_ids.len()));
        let mut surprisals: Vec<Vec<f32>> = texts
            .iter()
            .map(|tokens| vec![0.0; tokens.think_ids.len()])
            .collect();
        let mut rest = rows.as_slice();
        while let Some(longest) = rest.first() {
            let n_rows = (self.batch_tokens / longest.token_ids.len()).clamp(1, rest.len());
            let (batch, later) = rest.split_at(n_rows);
            let logprobs = self.logprobs(batch).map_err(|e| e.of_scorer(NAME))?;
            for (row, logprobs) in batch.iter().zip(logprobs) {
                let slots = surprisals[row.item_idx].iter_mut().skip(row.first_token);
                for (slot, logprob) in slots.zip(logprobs) {
                    *slot = -logprob;
                }
            }
            rest = later;
        }
        texts
            .iter()
            .zip(surprisals)
            .map(|(tokens, surprisals)| {
                let means = tokens.atom_means(&surprisals);
                let n_atoms = means.len();
                KeepScores::try_new(means, n_atoms)
            })
            .collect()
    }
}

impl<M: CausalLm> SurprisalScorer<'_, M> {
    /// The rows that cover all tokens of a think text, in order.
    fn rows(
        &self,
        item_idx: usize,
        cot: &AtomizedCot,
        tokens: &AtomTokens,
    ) -> Result<Vec<Row>, CoreError> {
        let n_prompt = tokens.prompt_ids.len();
        let max_positions = self.model.max_positions();
        let room = max_positions.saturating_sub(n_prompt);
        if n_prompt == 0 || room == 0 {
            return Err(CoreError::Scorer {
                what: NAME,
                message: format!(
                    "the prompt of text {item_idx} has {n_prompt} tokens; it needs one at least, and \
                     one of the model's {max_positions} positions for the think text"
                ),
            });
        }
        let costs = tokens.n_tokens_of_atoms();
        let mut rows = Vec::new();
        let mut first_token = 0;
        for window in windows(cot, &costs, room) {
            let n_tokens: usize = costs[window].iter().sum();
            let of_window = &tokens.think_ids[first_token..first_token + n_tokens];
            for piece in of_window.chunks(room) {
                rows.push(Row {
                    item_idx,
                    token_ids: [&tokens.prompt_ids[..], piece].concat(),
                    n_prompt,
                    first_token,
                });
                first_token += piece.len();
            }
        }
        Ok(rows)
    }

    /// Log-probabilities of the think tokens, row by row.
    fn logprobs(&self, rows: &[Row]) -> Result<Vec<Vec<f32>>, ModelError> {
        // The last token predicts nothing, so it is not fed.
        let n_fed = |row: &Row| row.token_ids.len() - 1;
        let seq = rows.iter().map(n_fed).max().unwrap_or(0);
        let mut token_ids = vec![0; rows.len() * seq];
        let (mut predictors, mut targets) = (Vec::new(), Vec::new());
        for (idx, row) in rows.iter().enumerate() {
            check_vocabulary(self.model, &text_name(row), &row.token_ids)?;
            let fed = &row.token_ids[..n_fed(row)];
            token_ids[idx * seq..idx * seq + fed.len()].copy_from_slice(fed);
            let first = idx * seq + row.n_prompt - 1;
            predictors.extend((first..idx * seq + fed.len()).map(|at| at as i32));
            targets.extend_from_slice(&row.token_ids[row.n_prompt..]);
        }
        let token_ids = ids_tensor(&token_ids, [rows.len(), seq], self.device);
        let hidden = self.model.hidden(token_ids).flatten::<2>(0, 1); // [n_rows * seq, d_model]
        let predictors = TensorData::new(predictors, [targets.len()]);
        let predictors = Tensor::from_data(predictors, (self.device, DType::I32));
        let logprobs = read_logprobs(self.model, hidden.select(0, predictors), &targets)?;
        let mut flat = logprobs.into_iter();
        rows.iter()
            .map(|row| {
                let n_targets = row.token_ids.len() - row.n_prompt;
                let logprobs: Vec<f32> = flat.by_ref().take(n_targets).collect();
                match logprobs.iter().position(|value| !value.is_finite()) {
                    None => Ok(logprobs),
                    Some(target_idx) => Err(ModelError::NonFiniteLogits {
                        prompt_id: text_name(row),
                        position: row.n_prompt - 1 + target_idx,
                    }),
                }
            })
            .collect()
    }
}

fn text_name(row: &Row) -> String {
    format!("text {}", row.item_idx)
}
