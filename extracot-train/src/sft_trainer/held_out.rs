//! A look at examples that are not trained on.

use burn::tensor::Device;
use extracot_core::sft::SftExample;
use extracot_models::CausalLm;

use super::SftConfig;
use crate::TrainError;
use crate::batch::{Sequence, TokenBatch, completion_nll};

/// Examples that are not trained on, and how often they are looked at.
#[derive(Debug, Clone, Copy)]
pub struct HeldOutExamples<'a> {
    /// The examples.
    pub examples: &'a [SftExample],
    /// Steps between two looks; the last step is always looked at.
    pub every: usize,
}

impl HeldOutExamples<'_> {
    /// Mean `-log p` per completion token, in nats, of a model without autodiff. In batches as in training; no gradients.
    ///
    /// # Errors
    ///
    /// [`TrainError::NoData`] if no example has a completion token.
    pub(super) fn loss<M: CausalLm>(
        &self,
        model: &M,
        config: &SftConfig,
        device: &Device,
    ) -> Result<f64, TrainError> {
        let device = device.clone().inner();
        let (mut nll, mut n_tokens) = (0.0, 0);
        for examples in self.examples.chunks(config.batch_size) {
            let rows: Vec<Sequence<'_>> = examples
                .iter()
                .map(|example| Sequence {
                    prompt_ids: &example.prompt_ids,
                    completion_ids: &example.completion_ids,
                })
                .collect();
            let batch = TokenBatch::collate(&rows);
            nll += completion_nll(model, &batch, config.logits_chunk, &device);
            n_tokens += batch.n_targets();
        }
        match n_tokens {
            0 => Err(TrainError::NoData {
                what: "the look at held-out examples",
            }),
            n_tokens => Ok(nll / n_tokens as f64),
        }
    }
}
