//! Walks over all gradients of a model: their norm, their scale, the first that is not finite.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// The global L2 norm of `grads`, or the path of the first parameter whose gradient is not finite.
pub(super) fn global_norm<M: Module>(model: &M, grads: &GradientsParams) -> Result<f64, String> {
    let mut norm = SquaredNorm {
        grads,
        path: vec![],
        sum: 0.0,
        first_bad: None,
    };
    model.visit(&mut norm);
    match norm.first_bad {
        Some(parameter) => Err(parameter),
        None => Ok(norm.sum.sqrt()),
    }
}

/// Multiplies all gradients.
pub(super) fn scale<M: Module>(model: &M, grads: &mut GradientsParams, factor: f64) {
    model.visit(&mut Scale { grads, factor });
}

/// The path of the first parameter with a value that is not finite.
pub(super) fn first_bad_weight<M: Module>(model: &M) -> Option<String> {
    let mut weights = Weights {
        path: vec![],
        first_bad: None,
    };
    model.visit(&mut weights);
    weights.first_bad
}

/// burn clips per tensor; the global norm needs a walk over all of them.
struct SquaredNorm<'a> {
    grads: &'a GradientsParams,
    path: Vec<String>,
    sum: f64,
    first_bad: Option<String>,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            let square = f64::from(grad.square().sum().into_scalar::<f32>());
            self.sum += square;
            if !square.is_finite() && self.first_bad.is_none() {
                self.first_bad = Some(self.path.join("."));
            }
        }
    }
}

struct Weights {
    path: Vec<String>,
    first_bad: Option<String>,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.first_bad.is_none() {
            let sum = param.val().inner().abs().sum().into_scalar::<f32>();
            self.first_bad = (!sum.is_finite()).then(|| self.path.join("."));
        }
    }
}

struct Scale<'a> {
    grads: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad * self.factor);
        }
    }
}
