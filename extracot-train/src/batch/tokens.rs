//! Sequences side by side or packed, whose completion tokens are listed flat, without padding.

use std::num::NonZeroUsize;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use extracot_models::{CausalLm, PackedRows};

/// A prompt and its completion.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a> {
    /// Prompt tokens, at least one.
    pub prompt_ids: &'a [u32],
    /// Completion tokens.
    pub completion_ids: &'a [u32],
}

/// Sequences as one padded tensor, and where their completion tokens are.
#[derive(Debug, Clone)]
pub struct TokenBatch {
    /// `[batch, seq]`, padded on the right.
    token_ids: TensorData,
    /// Flat index (`row * seq + column`) of the position that predicts each completion token.
    predictors: Vec<i32>,
    /// The completion tokens, row after row.
    pub(super) targets: Vec<i32>,
    /// How rows of several sequences are filled; absent if each row holds one.
    packed: Option<PackedRows>,
}

impl TokenBatch {
    /// Pads on the right: with causal attention no real token ever sees the padding.
    pub fn collate(sequences: &[Sequence<'_>]) -> Self {
        let n_tokens = |s: &Sequence<'_>| s.prompt_ids.len() + s.completion_ids.len();
        // The last token predicts nothing, so it is not fed.
        let seq = sequences
            .iter()
            .map(n_tokens)
            .max()
            .unwrap_or(1)
            .saturating_sub(1)
            .max(1);
        let mut token_ids = vec![0; sequences.len() * seq];
        let (mut predictors, mut targets) = (Vec::new(), Vec::new());
        for (row, sequence) in sequences.iter().enumerate() {
            let ids = sequence.prompt_ids.iter().chain(sequence.completion_ids);
            for (slot, id) in token_ids[row * seq..(row + 1) * seq].iter_mut().zip(ids) {
                *slot = *id as i32;
            }
            let first = row * seq + sequence.prompt_ids.len() - 1;
            predictors.extend((first..first + sequence.completion_ids.len()).map(|i| i as i32));
            targets.extend(sequence.completion_ids.iter().map(|id| *id as i32));
        }
        Self {
            token_ids: TensorData::new(token_ids, [sequences.len(), seq]),
            predictors,
            targets,
            packed: None,
        }
    }

    /// Puts sequences one behind the other into rows of up to `row_tokens` fed tokens: in order, each into
    /// the first row that has room. They do not see each other, so log-probabilities are those of
    /// separate sequences. A longer sequence gets a row of its own and is never cut. Sequences without
    /// completion tokens have no loss and are left out.
    ///
    /// Completion tokens are listed row after row: not in the order of `sequences`.
    pub fn pack(sequences: &[Sequence<'_>], row_tokens: NonZeroUsize) -> Self {
        // The last token predicts nothing, so it is not fed.
        let n_fed = |s: &Sequence<'_>| s.prompt_ids.len() + s.completion_ids.len() - 1;
        let (mut rows, mut fills): (Vec<Vec<&Sequence<'_>>>, Vec<usize>) = (vec![], vec![]);
        for sequence in sequences.iter().filter(|s| !s.completion_ids.is_empty()) {
            let n_tokens = n_fed(sequence);
            let room = |fill: &usize| fill + n_tokens <= row_tokens.get();
            match fills.iter().position(room) {
                Some(row) => {
                    rows[row].push(sequence);
                    fills[row] += n_tokens;
                }
                None => {
                    rows.push(vec![sequence]);
                    fills.push(n_tokens);
                }
            }
        }
        let seq = fills.iter().copied().max().unwrap_or(1);
        let mut token_ids = vec![0; rows.len() * seq];
        let (mut predictors, mut targets) = (Vec::new(), Vec::new());
        for (row, members) in rows.iter().enumerate() {
            let mut start = row * seq;
            for sequence in members {
                let end = start + n_fed(sequence);
                let ids = sequence.prompt_ids.iter().chain(sequence.completion_ids);
                for (slot, id) in token_ids[start..end].iter_mut().zip(ids) {
                    *slot = *id as i32;
                }
                let first = start + sequence.prompt_ids.len() - 1;
                predictors.extend((first..end).map(|i| i as i32));
                targets.extend(sequence.completion_ids.iter().map(|id| *id as i32));
                start = end;
            }
        }
        let segments = rows
            .iter()
            .map(|members| members.iter().map(|sequence| n_fed(sequence)).collect());
        Self {
            token_ids: TensorData::new(token_ids, [rows.len(), seq]),
            predictors,
            targets,
            packed: Some(PackedRows {
                segments: segments.collect(),
            }),
        }
    }

    /// Puts another id into all padding.
    #[cfg(test)]
    pub(super) fn fill_padding(&mut self, n_fed: &[usize], id: i32) {
        let [_, seq] = self.token_ids.shape().dims();
        let mut ids: Vec<i32> = self.token_ids.iter::<i32>().collect();
        for (row, n_tokens) in n_fed.iter().enumerate() {
            ids[row * seq + n_tokens..(row + 1) * seq].fill(id);
        }
        self.token_ids = TensorData::new(ids, [n_fed.len(), seq]);
    }

    /// Completion tokens in all.
    pub fn n_targets(&self) -> usize {
        self.targets.len()
    }
}

/// Log-probabilities of the completion tokens, in nats.
///
/// # Shapes
///
/// - output: `[n_targets]`, row after row
pub fn completion_logprobs<M: CausalLm>(
    model: &M,
    batch: &TokenBatch,
    device: &Device,
) -> Tensor<1> {
    let predictors = predictor_states(model, batch, device);
    target_logprobs(model, predictors, &batch.targets, 1.0)
}

/// The final hidden states that predict the completion tokens.
///
/// # Shapes
///
/// - output: `[n_targets, d_model]`, row after row
pub(super) fn predictor_states<M: CausalLm>(
    model: &M,
    batch: &TokenBatch,
    device: &Device,
) -> Tensor<2> {
    let token_ids = Tensor::<2, Int>::from_data(batch.token_ids.clone(), (device, DType::I32));
    let hidden = match &batch.packed {
        Some(rows) => model.hidden_packed(token_ids, rows),
        None => model.hidden(token_ids),
    };
    let hidden = hidden.flatten::<2>(0, 1); // [batch * seq, d_model]
    hidden.select(0, ints(&batch.predictors, device))
}

/// Log-probabilities of `targets` behind the hidden states that predict them, under
/// `softmax(logits / temperature)`.
///
/// # Shapes
///
/// - `hidden`: `[n_targets, d_model]`; output: `[n_targets]`, in nats
pub(super) fn target_logprobs<M: CausalLm>(
    model: &M,
    hidden: Tensor<2>,
    targets: &[i32],
    temperature: f64,
) -> Tensor<1> {
    let logits = model.head(hidden); // [n_targets, vocab]
    let logits = match temperature == 1.0 {
        true => logits,
        false => logits / temperature,
    };
    extracot_kernels::target_logprobs(logits, targets)
}

pub(super) fn ints(values: &[i32], device: &Device) -> Tensor<1, Int> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    Tensor::from_data(data, (device, DType::I32))
}
