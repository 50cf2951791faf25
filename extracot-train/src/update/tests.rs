use burn::module::{ModuleMapper, Param};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, RmsNorm, RmsNormConfig};
use burn::tensor::TensorData;

use super::*;

pub(super) fn config() -> UpdateConfig {
    UpdateConfig {
        learning_rate: 0.1,
        warmup_steps: 0,
        final_rate_share: 1.0,
        weight_decay: 0.1,
        decay_embeddings: true,
        beta_1: 0.9,
        beta_2: 0.99,
        clip_norm: 1.0,
    }
}

#[derive(Module, Debug)]
struct Pair {
    left: Linear,
    right: Linear,
}

/// All weights are 1.
fn pair(device: &Device) -> Pair {
    let layer = || {
        let config = LinearConfig::new(2, 1).with_bias(false);
        config.init(device).map(&mut Fill {
            path: vec![],
            of: "",
            value: 1.0,
        })
    };
    Pair {
        left: layer(),
        right: layer(),
    }
}

/// Fills the parameters whose path begins with `of`.
struct Fill<'a> {
    path: Vec<String>,
    of: &'a str,
    value: f32,
}

impl ModuleMapper for Fill<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.path.join(".").starts_with(self.of) {
            // A tensor that was computed is no leaf, not even an untracked one.
            true => param.map(|weight| {
                let is_leaf = weight.is_require_grad();
                weight
                    .full_like(self.value)
                    .detach()
                    .set_require_grad(is_leaf)
            }),
            false => param,
        }
    }
}

fn filled(model: Pair, of: &str, value: f32) -> Pair {
    let path = vec![];
    model.map(&mut Fill { path, of, value })
}

fn weights(model: &Pair) -> Vec<f32> {
    [&model.left, &model.right]
        .iter()
        .flat_map(|layer| {
            layer
                .weight
                .val()
                .into_data()
                .iter::<f32>()
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The error of a step with a loss.
fn failure(model: Pair, loss: fn(&Pair) -> Tensor<1>) -> String {
    let device = Device::flex().autodiff();
    let mut updater = Updater::try_new(&config(), 3).unwrap();
    let error = updater.step(model, &[()], &device, |model, ()| loss(model));
    assert_eq!(updater.n_steps(), 0);
    error.unwrap_err().to_string()
}

#[test]
fn what_is_not_finite_stops_the_step_and_is_named() {
    let device = Device::flex().autodiff();
    // The root of zero is finite and its slope is not.
    let found = failure(filled(pair(&device), "right", 0.0), |model| {
        model.left.weight.val().sum() + model.right.weight.val().sqrt().sum()
    });
    assert_eq!(found, "gradient of `right.weight` is not finite at step 0");
    // A weight that is broken already.
    let found = failure(filled(pair(&device), "right", f32::NAN), |model| {
        model.left.weight.val().sum() + model.right.weight.val().sum()
    });
    let want = "loss is NaN at step 0; first tensor that is not finite: the weight `right.weight`";
    assert_eq!(found, want);
    // A loss that makes its gradients infinite too.
    let found = failure(filled(pair(&device), "left", 0.0), |model| {
        model.left.weight.val().log().sum() + model.right.weight.val().sum()
    });
    let want =
        "loss is -inf at step 0; first tensor that is not finite: the gradient of `left.weight`";
    assert_eq!(found, want);
    // The batch itself.
    let found = failure(pair(&device), |model| {
        let nan = TensorData::from([f32::NAN]);
        model.left.weight.val().sum()
            + Tensor::<1>::from_data(nan, &model.left.weight.val().device())
    });
    assert!(
        found.ends_with("neither weight nor gradient: look at the batch"),
        "{found}"
    );
}

#[test]
fn a_step_without_gradients_leaves_the_weights() {
    let device = Device::flex().autodiff();
    let model = pair(&device);
    let before = weights(&model);
    let mut updater = Updater::try_new(&config(), 3).unwrap();
    let (model, stats) = updater
        .step_with(model, &[()], &device, |_, ()| ShardGradients::default())
        .unwrap();
    assert_eq!((stats.loss, stats.grad_norm), (0.0, 0.0));
    assert_eq!(weights(&model), before);
}

#[derive(Module, Debug)]
struct Kinds {
    embed_tokens: Embedding,
    proj: Linear,
    norm: RmsNorm,
}

#[test]
fn norms_and_biases_do_not_decay_and_embeddings_only_where_asked() {
    let device = Device::flex().autodiff();
    for decay_embeddings in [true, false] {
        let model = Kinds {
            embed_tokens: EmbeddingConfig::new(3, 2).init(&device),
            proj: LinearConfig::new(2, 2).init(&device),
            norm: RmsNormConfig::new(2).init(&device),
        };
        let (path, of, value) = (vec![], "", 1.0);
        let model = model.map(&mut Fill { path, of, value });
        let config = UpdateConfig {
            decay_embeddings,
            ..config()
        };
        let mut updater = Updater::try_new(&config, 3).unwrap();
        // Gradients of zero: what moves is the decay alone, 1 - 0.1 * 0.1.
        let (model, _) = updater
            .step(model, &[()], &device, |model: &Kinds, ()| {
                let bias = model.proj.bias.as_ref().unwrap().val();
                let matrices =
                    model.embed_tokens.weight.val().sum() + model.proj.weight.val().sum();
                (matrices + bias.sum() + model.norm.gamma.val().sum()) * 0.0
            })
            .unwrap();
        let first = |data: TensorData| data.iter::<f32>().next().unwrap();
        let embedding = match decay_embeddings {
            true => 0.99,
            false => 1.0,
        };
        let bias = model.proj.bias.as_ref().unwrap().val();
        for (found, want) in [
            (model.embed_tokens.weight.val().into_data(), embedding),
            (model.proj.weight.val().into_data(), 0.99),
            (bias.into_data(), 1.0),
            (model.norm.gamma.val().into_data(), 1.0),
        ] {
            assert!(
                (first(found.clone()) - want).abs() < 1e-6,
                "{found:?} {want}"
            );
        }
    }
}
