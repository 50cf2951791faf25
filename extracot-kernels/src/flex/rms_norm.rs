//! Root-mean-square normalization with a gain.

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;

use super::chunks::{for_each2, part, rows_per_chunk};
use super::simd::{sum, sum3};
use super::{tensor, to_overwrite, values, values_mut};
use crate::vectorized::vectorized;

#[inline(always)]
fn inverse_rms(x: &[f32], epsilon: f32) -> f32 {
    let mean = sum(
        x,
        #[inline(always)]
        |x| x * x,
    ) / x.len() as f32;
    1.0 / (mean + epsilon).sqrt()
}

/// The normalized rows, and the inverse root mean square of each.
pub(super) fn forward(x: &FlexTensor, gamma: &FlexTensor, epsilon: f32) -> (FlexTensor, Vec<f32>) {
    let shape = x.layout().shape().clone();
    let (x, gamma) = (x.to_contiguous(), gamma.to_contiguous());
    let (x, gamma) = (values(&x), values(&gamma));
    let width = gamma.len();
    let n_rows = rows_per_chunk(width);
    let size = width * n_rows;
    let mut out = vec![0.0; x.len()];
    let mut inverses = vec![0.0; x.len() / width.max(1)];
    for_each2(
        (&mut out, size),
        (&mut inverses, n_rows),
        |idx, out, inverses| {
            let x = part(x, idx, size);
            vectorized(
                #[inline(always)]
                || {
                    let rows = out.chunks_exact_mut(width).zip(x.chunks_exact(width));
                    for ((out, x), inverse) in rows.zip(inverses) {
                        *inverse = inverse_rms(x, epsilon);
                        let inverse = *inverse;
                        for ((out, x), gamma) in out.iter_mut().zip(x).zip(gamma) {
                            *out = x * inverse * gamma;
                        }
                    }
                },
            );
        },
    );
    (tensor(out, shape), inverses)
}

/// Gradients by `x` and `gamma`, with `r = 1 / sqrt(mean(x^2) + epsilon)`:
///
/// ```text
/// d x_i     = r g_i gamma_i - x_i r^3 mean_j(g_j gamma_j x_j)
/// d gamma_i = sum over rows of g_i x_i r
/// ```
fn backward(
    x: &FlexTensor,
    gamma: &FlexTensor,
    inverses: &[f32],
    grad: FlexTensor,
) -> (FlexTensor, FlexTensor) {
    let gamma_shape = gamma.layout().shape().clone();
    let mut by_x = to_overwrite(grad);
    let (x, gamma) = (x.to_contiguous(), gamma.to_contiguous());
    let (x, gamma) = (values(&x), values(&gamma));
    let width = gamma.len();
    let n_rows = rows_per_chunk(width);
    let size = width * n_rows;
    // One partial sum per chunk, added in order: the same for any number of threads.
    let mut parts = vec![0.0; width * x.len().div_ceil(size)];
    let grads = (values_mut(&mut by_x), size);
    for_each2(grads, (&mut parts, width), |idx, grad, by_gamma| {
        let (x, inverses) = (part(x, idx, size), part(inverses, idx, n_rows));
        vectorized(
            #[inline(always)]
            || {
                let rows = grad.chunks_exact_mut(width).zip(x.chunks_exact(width));
                for ((grad, x), inverse) in rows.zip(inverses) {
                    let product = sum3(
                        [grad, gamma, x],
                        #[inline(always)]
                        |grad, gamma, x| grad * gamma * x,
                    );
                    let shared = product / width as f32 * (inverse * inverse * inverse);
                    let inputs = x.iter().zip(gamma);
                    for ((grad, by_gamma), (x, gamma)) in
                        grad.iter_mut().zip(by_gamma.iter_mut()).zip(inputs)
                    {
                        *by_gamma += *grad * x * inverse;
                        *grad = *grad * gamma * inverse - x * shared;
                    }
                }
            },
        );
    });
    let mut by_gamma = vec![0.0; width];
    for part in parts.chunks_exact(width) {
        for (sum, part) in by_gamma.iter_mut().zip(part) {
            *sum += part;
        }
    }
    (by_x, tensor(by_gamma, gamma_shape))
}

#[derive(Debug)]
struct RmsNorm;

impl Backward<Flex, 2> for RmsNorm {
    type State = (FlexTensor, FlexTensor, Vec<f32>);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [x_node, gamma_node] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node);
        let (x, gamma, inverses) = ops.state;
        let (by_x, by_gamma) = backward(&x, &gamma, &inverses, grad);
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, by_x);
        }
        if let Some(node) = gamma_node {
            grads.register::<Flex>(node.id, by_gamma);
        }
    }
}

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

pub(super) fn tracked<C: CheckpointStrategy>(
    x: Tracked<C>,
    gamma: Tracked<C>,
    epsilon: f32,
) -> Tracked<C> {
    let nodes = [x.node(), gamma.node()];
    let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
    let (out, inverses) = forward(&x, &gamma, epsilon);
    match RmsNorm.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((x, gamma, inverses), out),
        OpsKind::UnTracked(prep) => prep.finish(out),
    }
}
