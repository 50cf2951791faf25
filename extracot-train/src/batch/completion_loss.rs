//! The supervised loss of a batch with its gradients, all logits at once or some rows at a time.

use std::num::NonZeroUsize;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use extracot_models::CausalLm;

use super::TokenBatch;
use super::tokens::{completion_logprobs, predictor_states, target_logprobs};
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
        Some(chunk) => chunked(model, batch, n_total, chunk.get(), device),
        None => {
            let logprobs = completion_logprobs(model, batch, device);
            ShardGradients::of(&(logprobs.sum().neg() / n_total as f64), model)
        }
    }
}

/// Forward through the blocks once; then chunk by chunk forward and backward through the head, from
/// leaves that hold the hidden states; then backward through the blocks from the gradients of those
/// leaves. A weight that the head shares with the embedding gets both of its parts.
fn chunked<M: CausalLm>(
    model: &M,
    batch: &TokenBatch,
    n_total: usize,
    chunk: usize,
    device: &Device,
) -> ShardGradients {
    let hidden = predictor_states(model, batch, device); // [n_targets, d_model]
    let values = hidden.clone().inner();
    let mut accumulator = GradientsAccumulator::new();
    let mut loss = 0.0;
    let mut by_hidden = Vec::new();
    for (idx, targets) in batch.targets.chunks(chunk).enumerate() {
        let rows = idx * chunk..idx * chunk + targets.len();
        let leaf = leaf_like(&hidden, values.clone().slice_dim(0, rows));
        let part = target_logprobs(model, leaf.clone(), targets, 1.0);
        let part = part.sum().neg() / n_total as f64;
        loss += f64::from(part.clone().into_scalar::<f32>());
        let mut grads = part.backward();
        let by_leaf = leaf.grad_remove(&mut grads);
        by_hidden.push(by_leaf.unwrap_or_else(|| leaf.inner().zeros_like()));
        accumulator.accumulate(model, GradientsParams::from_grads(grads, model));
    }
    // The gradient of this sum by `hidden` is the second factor.
    let surrogate = (hidden * Tensor::cat(by_hidden, 0)).sum();
    if surrogate.is_tracked() {
        let grads = GradientsParams::from_grads(surrogate.backward(), model);
        accumulator.accumulate(model, grads);
    }
    let grads = accumulator.grads();
    ShardGradients { loss, grads }
}

/// `values` as the leaf of a graph of the same checkpointing strategy as that of `like`: burn refuses to
/// mix two.
fn leaf_like(like: &Tensor<2>, values: Tensor<2>) -> Tensor<2> {
    let leaf = values.autodiff();
    let leaf = match like.gradient_checkpointing_strategy() {
        Some(strategy) => leaf.with_gradient_checkpointing_strategy(strategy),
        None => leaf,
    };
    leaf.require_grad()
}

#[cfg(test)]
mod tests;
