//! The supervised loss of a batch with its gradients, all logits at once or some rows at a time.

use std::num::NonZeroUsize;

use burn::tensor::{Device, Tensor};
use extracot_models::CausalLm;

use super::TokenBatch;
use super::chunked_head::Predicted;
use super::tokens::{completion_logprobs, predictor_states};
use crate::update::ShardGradients;

/// The sum of `-log p` over the completion tokens of `batch`, divided by `n_total`. A batch without
/// completion tokens has a loss of 0 and no gradients.
///
/// With `logits_chunk` the logits of so many tokens exist at a time, instead of all, `[n_targets, vocab]`
/// several times over. Loss and gradients are the same up to the order of additions.
pub fn completion_loss<M: CausalLm>(
    model: &M,
    batch: &TokenBatch,
    n_total: usize,
    logits_chunk: Option<NonZeroUsize>,
    device: &Device,
) -> ShardGradients {
    if batch.n_targets() == 0 {
        return ShardGradients::default();
    }
    match logits_chunk {
        Some(chunk) => {
            let predicted = Predicted {
                hidden: predictor_states(model, batch, device),
                targets: &batch.targets,
                temperature: 1.0,
                chunk: chunk.get(),
            };
            let weights = predicted.hidden.clone().inner().device();
            let weights = Tensor::full([batch.n_targets()], -1.0 / n_total as f64, &weights);
            let (loss, grads) = predicted.gradients(model, &weights);
            ShardGradients { loss, grads }
        }
        None => {
            let logprobs = completion_logprobs(model, batch, device);
            ShardGradients::of(&(logprobs.sum().neg() / n_total as f64), model)
        }
    }
}

/// The sum of `-log p` over the completion tokens of `batch`, without gradients; with `logits_chunk` as in
/// [`completion_loss`].
pub fn completion_nll<M: CausalLm>(
    model: &M,
    batch: &TokenBatch,
    logits_chunk: Option<NonZeroUsize>,
    device: &Device,
) -> f64 {
    let logprobs = Predicted {
        hidden: predictor_states(model, batch, device),
        targets: &batch.targets,
        temperature: 1.0,
        chunk: logits_chunk.map_or(batch.n_targets().max(1), NonZeroUsize::get),
    }
    .logprobs(model);
    -logprobs.into_iter().map(f64::from).sum::<f64>()
}

#[cfg(test)]
mod tests;
