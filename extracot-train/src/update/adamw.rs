//! burn's AdamW, computed in one pass.

use burn::optim::{AdamWConfig, AdamWState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};
use extracot_kernels::AdamWStep;

use super::UpdateConfig;

/// Keeps denominators away from 0.
const EPSILON: f32 = 1e-8;

/// burn's AdamW: the same state, and the same bytes out of it.
#[derive(Clone)]
pub(super) struct AdamW {
    /// For the first step, in which there are no moments yet.
    first: burn::optim::AdamW,
    betas: [f32; 2],
    weight_decay: f32,
}

impl AdamW {
    pub(super) fn new(config: &UpdateConfig, weight_decay: f32) -> Self {
        let UpdateConfig { beta_1, beta_2, .. } = *config;
        let first = AdamWConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(EPSILON)
            .with_weight_decay(weight_decay);
        Self {
            first: first.build(),
            betas: [beta_1, beta_2],
            weight_decay,
        }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        weights: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let Some(AdamWState { mut momentum }) = state else {
            return self.first.step(rate, weights, grad, None);
        };
        momentum.time += 1;
        let correction = |beta: f32| 1.0 - beta.powi(momentum.time as i32);
        let [beta_1, beta_2] = self.betas;
        let step = AdamWStep {
            beta_1,
            beta_2,
            epsilon: EPSILON,
            correction_1: correction(beta_1),
            correction_2: correction(beta_2),
            kept: 1.0 - rate * f64::from(self.weight_decay),
            rate,
        };
        let moments = [momentum.moment_1, momentum.moment_2];
        let (weights, [first, second]) = extracot_kernels::adamw(weights, grad, moments, step);
        (momentum.moment_1, momentum.moment_2) = (first, second);
        (weights, Some(AdamWState { momentum }))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        burn::optim::AdamW::to_device(state, device)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::super::tests::config;
    use super::*;

    #[test]
    fn every_step_gives_the_bytes_of_burns_adamw() {
        let device = Device::flex();
        for weight_decay in [0.1, 0.0] {
            let ours = AdamW::new(&config(), weight_decay);
            let burns = ours.first.clone();
            let start: Tensor<2> = Tensor::random([130, 67], Distribution::Default, &device);
            let mut mine = (start.clone(), None);
            let mut theirs = (start, None);
            for step in 1..=4 {
                let rate = 0.1 / f64::from(step);
                // A transposed view, in which one row has no gradient.
                let grad = Tensor::random([67, 130], Distribution::Normal(0.0, 0.1), &device);
                let grad = grad.slice_fill([3..4, 0..130], 0.0).swap_dims(0, 1);
                mine = ours.step(rate, mine.0, grad.clone(), mine.1);
                theirs = burns.step(rate, theirs.0, grad, theirs.1);
                let bytes = |(weights, state): &(Tensor<2>, Option<AdamWState<2>>)| {
                    let state = state.clone().map(|state| state.momentum);
                    let time = state.as_ref().map(|m| m.time);
                    let moments = state.map(|m| [m.moment_1, m.moment_2].map(Tensor::into_data));
                    (weights.to_data(), time, moments)
                };
                assert_eq!(bytes(&mine), bytes(&theirs), "step {step}");
            }
        }
    }
}
