//! Completions of few prompts: every prompt is computed once, however many completions follow it.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use extracot_models::{CausalLm, RaggedBatch};

use super::Sequence;
use super::tokens::{ints, target_logprobs};

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
        let predictors = hidden.select(0, ints(&self.predictors, device));
        target_logprobs(model, predictors, &self.targets, temperature)
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
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::optim::GradientsParams;
    use extracot_core::Seed;
    use extracot_models::init::randomize;
    use extracot_models::{Decoder, DecoderConfig, DecoderSize};

    use super::*;
    use crate::batch::{TokenBatch, completion_logprobs};

    /// Gradients of all parameters, flat.
    struct Flat<'a>(&'a GradientsParams, Vec<f32>);

    impl ModuleVisitor for Flat<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(param.id).unwrap().into_data();
            self.1.extend(gradient.iter::<f32>());
        }
    }

    fn decoder(device: &Device) -> Decoder {
        let size = DecoderSize {
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 4,
            max_position_embeddings: 256,
            rope_theta: 10_000.0,
        };
        let config = DecoderConfig::qwen3(size, 40);
        randomize(Decoder::new(&config, device), 0.5, 0.5, Seed(3))
    }

    #[test]
    fn values_and_gradients_are_those_of_separate_sequences() {
        let device = Device::flex().autodiff();
        let model = decoder(&device);
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
            let mut flat = Flat(&grads, vec![]);
            model.visit(&mut flat);
            flat.1
        };
        let shared = SharedPromptBatch::collate(&sequences);
        assert_eq!(shared.n_pads, [65, 0, 69]);
        let shared = shared.logprobs(&model, 1.0, &device);
        let separate = completion_logprobs(&model, &TokenBatch::collate(&sequences), &device);
        let values = |t: &Tensor<1>| t.clone().into_data().iter::<f32>().collect::<Vec<_>>();
        assert_close(&values(&shared), &values(&separate), 1e-5);
        assert_close(&gradients(shared), &gradients(separate), 2e-4);
    }

    fn assert_close(found: &[f32], want: &[f32], tolerance: f32) {
        assert_eq!(found.len(), want.len());
        let largest = want.iter().fold(0.0, |m: f32, w| m.max(w.abs()));
        assert!(largest > 0.1, "nothing to compare");
        for (found, want) in found.iter().zip(want) {
            assert!((found - want).abs() < tolerance, "{found} {want}");
        }
    }
}
