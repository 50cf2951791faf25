//! An exponential moving average of a model's weights over the steps of a run.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::container::TensorContainer;

/// Averages of every float parameter: after step `t` (from 0) with decay `d`,
/// `a <- d_t a + (1 - d_t) w` where `d_t = min(d, (1 + t) / (10 + t))`, so that the first steps,
/// which are far from the last, are forgotten quickly.
pub struct WeightAverage {
    decay: f64,
    step: usize,
    averages: TensorContainer<ParamId>,
}

impl std::fmt::Debug for WeightAverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WeightAverage")
            .field("decay", &self.decay)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl WeightAverage {
    /// The average starts at the weights of `model`. A decay of 0 keeps the last weights.
    pub fn new<M: Module>(model: &M, decay: f64) -> Self {
        let mut average = Self {
            decay,
            step: 0,
            averages: TensorContainer::new(),
        };
        model.visit(&mut Mix {
            averages: &mut average.averages,
            decay: 0.0,
        });
        average
    }

    /// Goes on behind `n_steps` steps with the averages after them as the weights of `averages`.
    pub fn after<M: Module>(averages: &M, decay: f64, n_steps: usize) -> Self {
        Self {
            step: n_steps,
            ..Self::new(averages, decay)
        }
    }

    /// Takes the weights after a step into the average.
    pub fn update<M: Module>(&mut self, model: &M) {
        let step = self.step as f64;
        model.visit(&mut Mix {
            averages: &mut self.averages,
            decay: self.decay.min((1.0 + step) / (10.0 + step)),
        });
        self.step += 1;
    }

    /// `model` with the averages as its weights.
    pub fn apply<M: Module>(&self, model: M) -> M {
        model.map(&mut Replace {
            averages: &self.averages,
        })
    }
}

/// On the side of autodiff even sums of untracked tensors are nodes of a graph, which would grow with every
/// step.
fn without_graph<const D: usize>(weight: Tensor<D>) -> Tensor<D> {
    match weight.device().is_autodiff() {
        true => weight.inner(),
        false => weight,
    }
}

struct Mix<'a> {
    averages: &'a mut TensorContainer<ParamId>,
    decay: f64,
}

impl ModuleVisitor for Mix<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weight = without_graph(param.val());
        let mixed = match self.averages.remove::<Tensor<D>>(&param.id) {
            // As a step from the average: what does not move stays what it is, to the bit.
            Some(average) => average.clone() + (weight - average) * (1.0 - self.decay),
            None => weight,
        };
        self.averages.register(param.id, mixed);
    }
}

struct Replace<'a> {
    averages: &'a TensorContainer<ParamId>,
}

impl ModuleMapper for Replace<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let average = self.averages.get::<Tensor<D>>(&param.id);
        param.map(|weight| match average {
            Some(average) if weight.device().is_autodiff() => average
                .autodiff()
                .set_require_grad(weight.is_require_grad()),
            Some(average) => average,
            None => weight,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    struct Fill(f32);

    impl ModuleMapper for Fill {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|weight| weight.full_like(self.0))
        }
    }

    fn start() -> Linear {
        let config = LinearConfig::new(1, 1).with_bias(false);
        with_value(&config.init(&Device::flex().autodiff()), 0.0)
    }

    fn with_value(model: &Linear, value: f32) -> Linear {
        model.clone().map(&mut Fill(value))
    }

    fn value(model: &Linear) -> f32 {
        model.weight.val().into_scalar::<f32>()
    }

    #[test]
    fn follows_the_formula() {
        // Steps 0 and 1 have decays 1/10 and 2/11 while d is larger:
        // (0.1 * 0 + 0.9 * 1) = 0.9, then (2/11) * 0.9 + (9/11) * 2 = 1.8.
        let start = start();
        let mut average = WeightAverage::new(&start, 0.99);
        average.update(&with_value(&start, 1.0));
        average.update(&with_value(&start, 2.0));
        assert!((value(&average.apply(start)) - 1.8).abs() < 1e-6);
    }

    #[test]
    fn weights_that_stay_have_themselves_as_average() {
        let start = with_value(&start(), 0.3);
        let mut average = WeightAverage::new(&start, 0.999);
        (0..1000).for_each(|_| average.update(&start));
        assert_eq!(value(&average.apply(start)).to_bits(), 0.3_f32.to_bits());
    }

    #[test]
    fn decay_zero_keeps_the_last_weights() {
        let start = start();
        let mut average = WeightAverage::new(&start, 0.0);
        average.update(&with_value(&start, 3.0));
        average.update(&with_value(&start, 7.0));
        assert_eq!(value(&average.apply(start)), 7.0);
    }
}
