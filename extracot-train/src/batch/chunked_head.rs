//! The head on some rows at a time: the logits of a large vocabulary are the largest tensors of a step.

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Tensor;
use extracot_models::CausalLm;

use super::tokens::target_logprobs;

/// Targets with the hidden states that predict them.
pub(super) struct Predicted<'a> {
    /// `[n_targets, d_model]`
    pub(super) hidden: Tensor<2>,
    /// The targets.
    pub(super) targets: &'a [i32],
    /// Logits are divided by it.
    pub(super) temperature: f64,
    /// Rows of logits that exist at a time, at least 1.
    pub(super) chunk: usize,
}

impl Predicted<'_> {
    /// Rows of `hidden` with their targets.
    fn chunks(&self, hidden: Tensor<2>) -> impl Iterator<Item = (Tensor<2>, &[i32])> {
        self.targets
            .chunks(self.chunk)
            .enumerate()
            .map(move |(idx, targets)| {
                let first = idx * self.chunk;
                (
                    hidden.clone().slice_dim(0, first..first + targets.len()),
                    targets,
                )
            })
    }

    /// Log-probabilities of the targets, in nats, without a graph.
    ///
    /// # Shapes
    ///
    /// - output: `[n_targets]`
    pub(super) fn logprobs<M: CausalLm>(&self, model: &M) -> Vec<f32> {
        let hidden = match self.hidden.device().is_autodiff() {
            true => self.hidden.clone().inner(),
            false => self.hidden.clone(),
        };
        let model = model.valid();
        self.chunks(hidden)
            .flat_map(|(hidden, targets)| {
                let logprobs = target_logprobs(&model, hidden, targets, self.temperature);
                logprobs.into_data().iter::<f32>().collect::<Vec<_>>()
            })
            .collect()
    }

    /// Gradients of `sum(weights * logprobs)`, and that sum: chunk by chunk forward and backward through
    /// the head, from leaves that hold the hidden states; then backward through the blocks from the
    /// gradients of those leaves. A weight that the head shares with the embedding gets both of its parts.
    ///
    /// # Shapes
    ///
    /// - `weights`: `[n_targets]`, without a graph
    pub(super) fn gradients<M: CausalLm>(
        self,
        model: &M,
        weights: &Tensor<1>,
    ) -> (f64, GradientsParams) {
        let values = self.hidden.clone().inner();
        let mut accumulator = GradientsAccumulator::new();
        let mut sum = 0.0;
        let mut by_hidden = Vec::new();
        let mut n_done = 0;
        for (values, targets) in self.chunks(values) {
            let weights = weights.clone().slice_dim(0, n_done..n_done + targets.len());
            n_done += targets.len();
            let leaf = leaf_like(&self.hidden, values);
            let logprobs = target_logprobs(model, leaf.clone(), targets, self.temperature);
            let part = (logprobs * constant_like(&self.hidden, weights)).sum();
            sum += f64::from(part.clone().into_scalar::<f32>());
            let mut grads = part.backward();
            let by_leaf = leaf.grad_remove(&mut grads);
            by_hidden.push(by_leaf.unwrap_or_else(|| leaf.inner().zeros_like()));
            accumulator.accumulate(model, GradientsParams::from_grads(grads, model));
        }
        // The gradient of this sum by `hidden` is the second factor.
        let by_hidden = constant_like(&self.hidden, Tensor::cat(by_hidden, 0));
        let surrogate = (self.hidden * by_hidden).sum();
        if surrogate.is_tracked() {
            let grads = GradientsParams::from_grads(surrogate.backward(), model);
            accumulator.accumulate(model, grads);
        }
        (sum, accumulator.grads())
    }
}

/// `values` on the side of autodiff, of the same checkpointing strategy as `like`: burn refuses to mix two.
pub(super) fn constant_like<const D: usize, const E: usize>(
    like: &Tensor<E>,
    values: Tensor<D>,
) -> Tensor<D> {
    let values = values.autodiff();
    match like.gradient_checkpointing_strategy() {
        Some(strategy) => values.with_gradient_checkpointing_strategy(strategy),
        None => values,
    }
}

/// `values` as a leaf of the graph of `like`.
pub(super) fn leaf_like<const D: usize, const E: usize>(
    like: &Tensor<E>,
    values: Tensor<D>,
) -> Tensor<D> {
    constant_like(like, values).require_grad()
}
