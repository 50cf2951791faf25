//! A step of AdamW in one pass.

use burn::backend::flex::FlexTensor;

use super::chunks::{VALUES, for_each3_of, part};
use super::{to_overwrite, values, values_mut};
use crate::AdamWStep;
use crate::vectorized::vectorized;

/// In the memory of weights and moments where nothing else holds it.
pub(super) fn adamw(
    weights: FlexTensor,
    grad: &FlexTensor,
    moments: [FlexTensor; 2],
    step: AdamWStep,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let mut weights = to_overwrite(weights);
    let [mut first, mut second] = moments.map(to_overwrite);
    let grad = grad.to_contiguous();
    let grad = values(&grad);
    let (share_1, share_2) = (1.0 - step.beta_1, 1.0 - step.beta_2);
    let (kept, rate) = (step.kept as f32, step.rate as f32);
    let buffers = [
        values_mut(&mut weights),
        values_mut(&mut first),
        values_mut(&mut second),
    ];
    for_each3_of(
        buffers,
        [VALUES; 3],
        grad.len(),
        |idx, [weights, first, second]| {
            let grad = part(grad, idx, VALUES);
            vectorized(
                #[inline(always)]
                || {
                    let moments = first.iter_mut().zip(second);
                    for ((weight, grad), (first, second)) in
                        weights.iter_mut().zip(grad).zip(moments)
                    {
                        *first = *first * step.beta_1 + grad * share_1;
                        *second = *second * step.beta_2 + grad * grad * share_2;
                        let root = (*second / step.correction_2).sqrt() + step.epsilon;
                        *weight = *weight * kept - *first / step.correction_1 / root * rate;
                    }
                },
            );
        },
    );
    (weights, first, second)
}
