//! Completions of few prompts: every prompt is computed once, however many completions follow it.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use extracot_models::{CausalLm, RaggedBatch};

use super::Sequence;
use super::chunked_head::{Predicted, leaf_like};
use super::tokens::{ints, target_logprobs};
use crate::update::ShardGradients;

/// Completions behind shared prompts. Prompts are padded on the left, so that they end together;
/// completions on the right.
///
/// The keys and values of a prompt are repeated for its completions, and their gradients are added
/// up, so log-probabilities and gradients are those of the separate sequences.
#[derive(Debug, Clone)]
pub struct SharedPromptBatch {
    /// `[n_prompts, n_prompt_tokens]`
    prompts: TensorData,
    /// Padding in front of each prompt.
    n_pads: Vec<usize>,
    /// The prompt of each completion.
    prompt_of_row: Vec<i32>,
    /// `[n_rows, n_completion_tokens - 1]`: the last token predicts nothing, so it is not fed.
    completions: TensorData,
    /// Where the hidden state that predicts each completion token stands: the last of the
    /// `n_prompts` prompts first, then all of the completions.
    predictors: Vec<i32>,
    /// The completion tokens, row after row.
    targets: Vec<i32>,
}

impl SharedPromptBatch {
    /// Sequences with the same prompt share it.
    pub fn collate(sequences: &[Sequence<'_>]) -> Self {
        let mut idx_of_prompt: BTreeMap<&[u32], usize> = BTreeMap::new();
        let mut unique: Vec<&[u32]> = Vec::new();
        let prompt_of_row: Vec<usize> = sequences
            .iter()
            .map(|sequence| {
                *idx_of_prompt.entry(sequence.prompt_ids).or_insert_with(|| {
                    unique.push(sequence.prompt_ids);
                    unique.len() - 1
                })
            })
            .collect();
        let n_prompt_tokens = unique.iter().map(|ids| ids.len()).max().unwrap_or(1);
        let n_pads: Vec<usize> = unique
            .iter()
            .map(|ids| n_prompt_tokens - ids.len())
            .collect();
        let mut prompts = vec![0; unique.len() * n_prompt_tokens];
        for (idx, (ids, n_pad)) in unique.iter().zip(&n_pads).enumerate() {
            copy_ids(&mut prompts[idx * n_prompt_tokens + n_pad..], ids);
        }

        let longest = sequences.iter().map(|s| s.completion_ids.len()).max();
        // One column at least: a batch of single tokens feeds padding.
        let n_fed = longest.unwrap_or(0).saturating_sub(1).max(1);
        let mut completions = vec![0; sequences.len() * n_fed];
        let (mut predictors, mut targets) = (Vec::new(), Vec::new());
        for (row, sequence) in sequences.iter().enumerate() {
            let ids = sequence.completion_ids;
            copy_ids(&mut completions[row * n_fed..(row + 1) * n_fed], ids);
            let first = unique.len() + row * n_fed;
            predictors.extend(ids.iter().enumerate().map(|(t, _)| match t {
                0 => prompt_of_row[row] as i32,
                _ => (first + t - 1) as i32,
            }));
            targets.extend(ids.iter().map(|id| *id as i32));
        }
        Self {
            prompts: TensorData::new(prompts, [unique.len(), n_prompt_tokens]),
            n_pads,
            prompt_of_row: prompt_of_row.into_iter().map(|idx| idx as i32).collect(),
            completions: TensorData::new(completions, [sequences.len(), n_fed]),
            predictors,
            targets,
        }
    }

    /// Completion tokens in all.
    pub fn n_targets(&self) -> usize {
        self.targets.len()
    }

    /// Log-probabilities of the completion tokens, in nats, under `softmax(logits / temperature)`: the
    /// distribution that rollouts at this temperature are drawn from.
    ///
    /// # Shapes
    ///
    /// - output: `[n_targets]`, row after row
    pub fn logprobs<M: CausalLm>(&self, model: &M, temperature: f64, device: &Device) -> Tensor<1> {
        let predictors = self.predictor_states(model, device);
        target_logprobs(model, predictors, &self.targets, temperature)
    }

    /// [`Self::logprobs`] without a graph, with the logits of `chunk` tokens at a time.
    pub fn chunked_logprobs<M: CausalLm>(
        &self,
        model: &M,
        temperature: f64,
        chunk: NonZeroUsize,
        device: &Device,
    ) -> Vec<f32> {
        self.predicted(model, temperature, chunk, device)
            .logprobs(model)
    }

    /// Loss and gradients of `loss`, a function of the log-probabilities, with the logits of `chunk`
    /// tokens at a time; and the log-probabilities. The head is computed twice for it.
    pub fn chunked_loss<M: CausalLm>(
        &self,
        model: &M,
        temperature: f64,
        chunk: NonZeroUsize,
        device: &Device,
        loss: impl FnOnce(Tensor<1>) -> Tensor<1>,
    ) -> (ShardGradients, Vec<f32>) {
        let predicted = self.predicted(model, temperature, chunk, device);
        let logprobs = predicted.logprobs(model);
        let plain = predicted.hidden.clone().inner().device();
        let data = TensorData::new(logprobs.clone(), [logprobs.len()]);
        let leaf = leaf_like(&predicted.hidden, Tensor::from_data(data, &plain));
        let loss = loss(leaf.clone());
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let by_logprob = leaf.grad(&loss.backward());
        let by_logprob = by_logprob.unwrap_or_else(|| leaf.inner().zeros_like());
        let (_, grads) = predicted.gradients(model, &by_logprob);
        (ShardGradients { loss: value, grads }, logprobs)
    }

    fn predicted<M: CausalLm>(
        &self,
        model: &M,
        temperature: f64,
        chunk: NonZeroUsize,
        device: &Device,
    ) -> Predicted<'_> {
        Predicted {
            hidden: self.predictor_states(model, device),
            targets: &self.targets,
            temperature,
            chunk: chunk.get(),
        }
    }

    /// The final hidden states that predict the completion tokens: `[n_targets, d_model]`.
    fn predictor_states<M: CausalLm>(&self, model: &M, device: &Device) -> Tensor<2> {
        let ints2 =
            |data: &TensorData| Tensor::<2, Int>::from_data(data.clone(), (device, DType::I32));
        let ragged = |n_pads| RaggedBatch { n_pads };

        let mut cache = model.new_cache(self.n_pads.len(), device);
        let rows = ragged(self.n_pads.clone());
        let hidden = model.hidden_after(ints2(&self.prompts), &rows, &mut cache);
        let [_, n_prompt_tokens, _] = hidden.dims();
        let last = hidden.narrow(1, n_prompt_tokens - 1, 1).flatten::<2>(0, 1); // [n_prompts, d_model]

        let mut cache = cache.select_rows(&ints(&self.prompt_of_row, device));
        let of_row = |idx: &i32| self.n_pads[*idx as usize];
        let rows = ragged(self.prompt_of_row.iter().map(of_row).collect());
        let hidden = model.hidden_after(ints2(&self.completions), &rows, &mut cache);
        let hidden = hidden.flatten::<2>(0, 1); // [n_rows * n_fed, d_model]

        let hidden = Tensor::cat(vec![last, hidden], 0);
        hidden.select(0, ints(&self.predictors, device))
    }
}

/// Fills `slots` with as many ids as fit.
fn copy_ids(slots: &mut [i32], ids: &[u32]) {
    for (slot, id) in slots.iter_mut().zip(ids) {
        *slot = *id as i32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::testing::{assert_close, decoder, flat};
    use crate::batch::{TokenBatch, completion_logprobs};
    use burn::optim::GradientsParams;

    #[test]
    fn values_and_gradients_are_those_of_separate_sequences() {
        let device = Device::flex().autodiff();
        let model = decoder(true, &device);
        let ids = |n: usize, salt: usize| -> Vec<u32> {
            (0..n)
                .map(|t| ((t * t + 7 * salt + t) % 40) as u32)
                .collect()
        };
        // Prompts of 1, 5 and 70 tokens (more than a block of queries); completions of 1 to 80.
        let prompts = [ids(5, 1), ids(70, 2), ids(1, 3)];
        let rows = [(0, 3), (1, 80), (0, 1), (2, 4), (1, 2), (0, 9)];
        let completions: Vec<Vec<u32>> = rows.iter().map(|(p, n)| ids(*n, n + p)).collect();
        let sequences: Vec<Sequence<'_>> = rows
            .iter()
            .zip(&completions)
            .map(|((prompt, _), completion_ids)| Sequence {
                prompt_ids: &prompts[*prompt],
                completion_ids,
            })
            .collect();

        let gradients = |logprobs: Tensor<1>| {
            // Every token with a weight of its own, so that no error cancels.
            let n = logprobs.dims()[0];
            let weights: Vec<f32> = (0..n).map(|t| (t as f32 * 0.7).sin()).collect();
            let weights = Tensor::<1>::from_data(TensorData::new(weights, [n]), &device);
            let grads = (logprobs * weights).sum().backward();
            let grads = GradientsParams::from_grads(grads, &model);
            flat(&grads, &model)
        };
        let shared = SharedPromptBatch::collate(&sequences);
        assert_eq!(shared.n_pads, [65, 0, 69]);
        let shared = shared.logprobs(&model, 1.0, &device);
        let separate = completion_logprobs(&model, &TokenBatch::collate(&sequences), &device);
        let values = |t: &Tensor<1>| t.clone().into_data().iter::<f32>().collect::<Vec<_>>();
        assert_close(&values(&shared), &values(&separate), 1e-5);
        assert_close(&gradients(shared), &gradients(separate), 2e-4);
    }

    #[test]
    fn padding_on_either_side_may_hold_anything() {
        let device = Device::flex().autodiff();
        let model = decoder(true, &device);
        let sequences = [(1, 4), (6, 9), (6, 2)].map(|(n_prompt, n_completion)| {
            let ids = |n: u32, salt| (0..n).map(|t| (t * t + salt) % 40).collect::<Vec<_>>();
            (ids(n_prompt, 1), ids(n_completion, 5))
        });
        let sequences: Vec<Sequence<'_>> = sequences
            .iter()
            .map(|(prompt_ids, completion_ids)| Sequence {
                prompt_ids,
                completion_ids,
            })
            .collect();
        let clean = SharedPromptBatch::collate(&sequences);
        let mut dirty = clean.clone();
        let fill =
            |data: &TensorData, n_columns: usize, is_padding: &dyn Fn(usize, usize) -> bool| {
                let ids = data.iter::<i32>().enumerate();
                let filled = ids.map(|(i, id)| match is_padding(i / n_columns, i % n_columns) {
                    true => 39,
                    false => id,
                });
                TensorData::new(filled.collect::<Vec<i32>>(), data.shape().clone())
            };
        dirty.prompts = fill(&clean.prompts, 6, &|row, column| column < clean.n_pads[row]);
        let n_fed = [3, 8, 1];
        dirty.completions = fill(&clean.completions, 8, &|row, column| column >= n_fed[row]);
        assert_ne!(dirty.prompts, clean.prompts);
        assert_ne!(dirty.completions, clean.completions);
        let results = |batch: &SharedPromptBatch| {
            let logprobs = batch.logprobs(&model, 1.0, &device);
            let values: Vec<f32> = logprobs.clone().into_data().iter::<f32>().collect();
            let grads = GradientsParams::from_grads(logprobs.sum().backward(), &model);
            (values, flat(&grads, &model))
        };
        assert_eq!(results(&clean), results(&dirty));
    }
}
