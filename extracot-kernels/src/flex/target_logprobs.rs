//! Log-probability of one column of each row of logits.

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

use super::chunks::{for_each, for_each_of, part, rows_per_chunk};
use super::simd::{max, sum};
use super::{tensor, to_overwrite, values, values_mut};
use crate::exp::exp_f32;
use crate::vectorized::vectorized;

/// Log-probabilities of the targets, and `log sum exp` of every row.
pub(super) fn forward(logits: &FlexTensor, targets: &[i32]) -> (FlexTensor, Vec<f32>) {
    let [n_rows, vocab] = logits.layout().shape().dims::<2>();
    let logits = logits.to_contiguous();
    let logits = values(&logits);
    let mut normalizers = vec![0.0; n_rows];
    let size = rows_per_chunk(vocab);
    // Few results of long rows: the rows say whether threads pay off.
    let work = |idx: usize, normalizers: &mut [f32]| {
        let logits = part(logits, idx, size * vocab);
        vectorized(
            #[inline(always)]
            || {
                for (normalizer, logits) in normalizers.iter_mut().zip(logits.chunks_exact(vocab)) {
                    let largest = max(logits);
                    let total = sum(
                        logits,
                        #[inline(always)]
                        |logit| exp_f32(logit - largest),
                    );
                    *normalizer = largest + total.ln();
                }
            },
        );
    };
    for_each_of(&mut normalizers, size, n_rows * vocab, work);
    let logprob =
        |(row, target): (usize, &i32)| logits[row * vocab + *target as usize] - normalizers[row];
    let logprobs = targets.iter().enumerate().map(logprob).collect();
    (tensor(logprobs, Shape::new([n_rows])), normalizers)
}

/// Gradient by the logits: `g (1 at the target - softmax)`.
fn backward(
    logits: FlexTensor,
    targets: &[i32],
    normalizers: &[f32],
    grad: &FlexTensor,
) -> FlexTensor {
    let [_, vocab] = logits.layout().shape().dims::<2>();
    let mut by_logits = to_overwrite(logits);
    let grad = grad.to_contiguous();
    let grad = values(&grad);
    let size = rows_per_chunk(vocab);
    for_each(values_mut(&mut by_logits), size * vocab, |idx, logits| {
        let (grad, normalizers) = (part(grad, idx, size), part(normalizers, idx, size));
        vectorized(
            #[inline(always)]
            || {
                let rows = grad.iter().zip(normalizers);
                for (logits, (grad, normalizer)) in logits.chunks_exact_mut(vocab).zip(rows) {
                    for logit in logits {
                        *logit = -grad * exp_f32(*logit - normalizer);
                    }
                }
            },
        );
    });
    let rows = values_mut(&mut by_logits).chunks_exact_mut(vocab);
    for (logits, (grad, target)) in rows.zip(grad.iter().zip(targets)) {
        logits[*target as usize] += grad;
    }
    by_logits
}

#[derive(Debug)]
struct TargetLogprobs;

/// What the forward pass keeps.
#[derive(Debug, Clone)]
struct Kept {
    logits: FlexTensor,
    targets: Vec<i32>,
    normalizers: Vec<f32>,
}

impl Backward<Flex, 1> for TargetLogprobs {
    type State = Kept;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [logits_node] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node);
        let Kept {
            logits,
            targets,
            normalizers,
        } = ops.state;
        if let Some(node) = logits_node {
            let by_logits = backward(logits, &targets, &normalizers, &grad);
            grads.register::<Flex>(node.id, by_logits);
        }
    }
}

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

pub(super) fn tracked<C: CheckpointStrategy>(logits: Tracked<C>, targets: Vec<i32>) -> Tracked<C> {
    let node = logits.node();
    let logits = logits.into_primitive();
    let (logprobs, normalizers) = forward(&logits, &targets);
    match TargetLogprobs
        .prepare::<C>([node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => {
            let kept = Kept {
                logits,
                targets,
                normalizers,
            };
            prep.finish(kept, logprobs)
        }
        OpsKind::UnTracked(prep) => prep.finish(logprobs),
    }
}
