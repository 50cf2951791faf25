//! The texts whose answers are compared: a think text whole, and without each of its atoms.

use std::ops::Range;

use extracot_core::atom::windows;
use extracot_core::compress::{KeepMask, render};
use extracot_core::prompt::THINK_CLOSE;
use extracot_core::{AtomizedCot, CoreError, Tokenizer};

use super::NAME;
use super::shared_prefix::TailRow;
use crate::ModelError;

/// What stands around a think text.
pub(super) struct AnswerTexts<'a> {
    /// The problem's id, for errors.
    pub(super) problem_id: &'a str,
    /// Prompt and opening tag.
    pub(super) before: String,
    /// The words in front of the box.
    pub(super) answer_lead: &'a str,
    /// The gold answer, the only part that is scored; not empty.
    pub(super) answer: &'a str,
    /// The model's tokenizer.
    pub(super) tokenizer: &'a dyn Tokenizer,
    /// Longest row in tokens.
    pub(super) max_positions: usize,
}

/// Why there are no rows.
enum RowsError {
    /// A row of this window has more tokens than the model has positions.
    TooLong {
        window: Range<usize>,
        n_tokens: usize,
    },
    Model(ModelError),
}

impl From<ModelError> for RowsError {
    fn from(error: ModelError) -> Self {
        Self::Model(error)
    }
}

impl AnswerTexts<'_> {
    /// For each window the rows of its text and of the text without each atom, in order.
    ///
    /// There is one window if the whole text fits, else as many as [`windows`] needs.
    ///
    /// # Errors
    ///
    /// [`CoreError::NoRoom`] if an atom does not fit beside question and answer,
    /// [`ModelError::EmptyPrompt`] and [`ModelError::Tokenizer`] if the tokenizer leaves no token of
    /// what comes before the answer or of the answer.
    pub(super) fn rows(
        &self,
        cot: &AtomizedCot,
        costs: &[usize],
    ) -> Result<Vec<Vec<TailRow>>, ModelError> {
        let mut max_cost: usize = costs.iter().sum();
        loop {
            let (window, n_tokens) = match self.rows_of(cot, &windows(cot, costs, max_cost)) {
                Ok(rows) => return Ok(rows),
                Err(RowsError::Model(error)) => return Err(error),
                Err(RowsError::TooLong { window, n_tokens }) => (window, n_tokens),
            };
            // Costs count each atom alone and are a little off: the tokens of the row decide.
            let cost: usize = costs[window.clone()].iter().sum();
            let smaller = cost
                .min(max_cost)
                .checked_sub(n_tokens - self.max_positions);
            match smaller.filter(|_| window.len() > 1) {
                Some(smaller) => max_cost = smaller,
                None => return Err(self.no_room(&window, n_tokens).into()),
            }
        }
    }

    fn rows_of(
        &self,
        cot: &AtomizedCot,
        windows: &[Range<usize>],
    ) -> Result<Vec<Vec<TailRow>>, RowsError> {
        let mut found = Vec::with_capacity(windows.len());
        for window in windows {
            let mut is_kept = vec![false; cot.n_atoms()];
            is_kept[window.clone()].fill(true);
            let mut rows = Vec::with_capacity(window.len() + 1);
            for left_out in [None].into_iter().chain(window.clone().map(Some)) {
                let mut is_kept = is_kept.clone();
                if let Some(atom_idx) = left_out {
                    is_kept[atom_idx] = false;
                }
                // Only the whole text can have white space around it, which is no part of the drop.
                let row = self.row(render(cot, &KeepMask::new(is_kept)).trim())?;
                let n_tokens = row.token_ids.len();
                if n_tokens > self.max_positions {
                    let window = window.clone();
                    return Err(RowsError::TooLong { window, n_tokens });
                }
                rows.push(row);
            }
            found.push(rows);
        }
        Ok(found)
    }

    /// The row of one think text: tokenized as one text, cut behind the answer.
    ///
    /// The targets are the tokens that hold a byte of the answer.
    pub(super) fn row(&self, think: &str) -> Result<TailRow, ModelError> {
        let (before, lead) = (&self.before, self.answer_lead);
        let opened = format!("{before}{think}\n{THINK_CLOSE}\n{lead}\\boxed{{");
        let answer = opened.len()..opened.len() + self.answer.len();
        let text = format!("{opened}{}}}", self.answer);
        let mut tokens = self.tokenizer.encode_spans(&text);
        let n_tokens = tokens.partition_point(|(_, span)| span.start < answer.end);
        tokens.truncate(n_tokens);
        let n_before = tokens.partition_point(|(_, span)| span.end <= answer.start);
        if n_before == 0 {
            let prompt_id = self.problem_id.to_owned();
            return Err(ModelError::EmptyPrompt { prompt_id });
        }
        if n_before == n_tokens {
            let (answer, id) = (self.answer, self.problem_id);
            return Err(ModelError::Tokenizer {
                message: format!("no token for the gold answer `{answer}` of problem `{id}`"),
            });
        }
        Ok(TailRow {
            token_ids: tokens.into_iter().map(|(id, _)| id).collect(),
            n_targets: n_tokens - n_before,
        })
    }

    fn no_room(&self, window: &Range<usize>, n_tokens: usize) -> CoreError {
        let (id, max_positions) = (self.problem_id, self.max_positions);
        let (first, last) = (window.start, window.end.saturating_sub(1));
        CoreError::NoRoom {
            what: NAME,
            message: format!(
                "problem `{id}`: question and answer with the atoms {first} to {last} have \
                 {n_tokens} tokens, the model has {max_positions} positions"
            ),
        }
    }
}
