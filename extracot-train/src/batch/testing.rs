//! What the tests of batches share.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use extracot_core::Seed;
use extracot_models::init::randomize;
use extracot_models::{Decoder, DecoderConfig, DecoderSize};

/// A decoder over 40 tokens.
pub(super) fn decoder(is_tied: bool, device: &Device) -> Decoder {
    let size = DecoderSize {
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 4,
        max_position_embeddings: 256,
        rope_theta: 10_000.0,
    };
    let mut config = DecoderConfig::qwen3(size, 40);
    config.tie_word_embeddings = is_tied;
    randomize(Decoder::new(&config, device), 0.5, 0.5, Seed(3))
}

/// Gradients of all parameters, one after the other.
///
/// # Panics
///
/// If a parameter has none.
pub(super) fn flat<M: Module>(grads: &GradientsParams, model: &M) -> Vec<f32> {
    let mut flat = Flat(grads, vec![]);
    model.visit(&mut flat);
    flat.1
}

struct Flat<'a>(&'a GradientsParams, Vec<f32>);

impl ModuleVisitor for Flat<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = self.0.get::<D>(param.id).unwrap().into_data();
        self.1.extend(gradient.iter::<f32>());
    }
}

pub(super) fn assert_close(found: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(found.len(), want.len());
    let largest = want.iter().fold(0.0, |m: f32, w| m.max(w.abs()));
    assert!(largest > 0.1, "nothing to compare");
    for (found, want) in found.iter().zip(want) {
        assert!((found - want).abs() < tolerance, "{found} {want}");
    }
}
