//! The compressor's network: a Longformer token classifier (post-norm encoder, learned positions,
//! sliding-window attention with global tokens). Module and field names are those of the Hugging
//! Face checkpoint, so weights load and save without a table of names.
#![allow(
    non_snake_case,
    reason = "`LayerNorm` is what the checkpoint calls its norms"
)]

mod attention;
mod config;

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Int, Tensor};

pub use attention::{LongformerAttention, LongformerSelfAttention};
pub use config::{AttentionWindow, LongformerConfig, LongformerSize};

use crate::token_classifier::{ClassifierBatch, TokenClassifier};
use attention::{AttentionPattern, GlobalPattern, linear};

/// Token, position and type embeddings, summed and normalized.
#[derive(Module, Debug)]
pub struct LongformerEmbeddings {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    token_type_embeddings: Embedding,
    LayerNorm: LayerNorm,
    #[module(skip)]
    first_position: usize,
}

impl LongformerEmbeddings {
    fn new(config: &LongformerConfig, device: &Device) -> Self {
        let table = |n_rows: usize| {
            EmbeddingConfig::new(n_rows, config.hidden_size)
                .with_initializer(Initializer::Zeros)
                .init(device)
        };
        Self {
            word_embeddings: table(config.vocab_size),
            position_embeddings: table(config.max_position_embeddings),
            token_type_embeddings: table(config.type_vocab_size),
            LayerNorm: layer_norm(config, device),
            first_position: config.pad_token_id + 1,
        }
    }

    /// # Shapes
    ///
    /// - `token_ids`: `[batch, seq]`; output: `[batch, seq, d_model]`
    fn forward(&self, token_ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, seq] = token_ids.dims();
        // Rows are padded on the right, so the positions are the same in all of them.
        let positions = self
            .position_embeddings
            .weight
            .val()
            .narrow(0, self.first_position, seq);
        let places = positions + self.token_type_embeddings.weight.val().narrow(0, 0, 1);
        let words = self.word_embeddings.forward(token_ids); // [batch, seq, d_model]
        self.LayerNorm.forward(words + places.unsqueeze())
    }
}

fn layer_norm(config: &LongformerConfig, device: &Device) -> LayerNorm {
    LayerNormConfig::new(config.hidden_size)
        .with_epsilon(config.layer_norm_eps)
        .init(device)
}

/// A projection back to `d_model`, added to the residual stream and normalized.
#[derive(Module, Debug)]
pub struct ResidualNorm {
    dense: Linear,
    LayerNorm: LayerNorm,
}

impl ResidualNorm {
    fn new(d_input: usize, config: &LongformerConfig, device: &Device) -> Self {
        Self {
            dense: linear(d_input, config.hidden_size, device),
            LayerNorm: layer_norm(config, device),
        }
    }

    fn forward(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        self.LayerNorm.forward(self.dense.forward(x) + residual)
    }
}

/// The inner half of the feed-forward.
#[derive(Module, Debug)]
pub struct LongformerIntermediate {
    dense: Linear,
}

/// One post-norm block.
#[derive(Module, Debug)]
pub struct LongformerLayer {
    attention: LongformerAttention,
    intermediate: LongformerIntermediate,
    output: ResidualNorm,
    #[module(skip)]
    window: usize,
}

impl LongformerLayer {
    fn new(config: &LongformerConfig, window: usize, device: &Device) -> Self {
        let dense = linear(config.hidden_size, config.intermediate_size, device);
        Self {
            attention: LongformerAttention::new(config, device),
            intermediate: LongformerIntermediate { dense },
            output: ResidualNorm::new(config.intermediate_size, config, device),
            window,
        }
    }

    fn forward(&self, x: Tensor<3>, pattern: &AttentionPattern) -> Tensor<3> {
        let x = self.attention.forward(x, pattern);
        let inner = gelu(self.intermediate.dense.forward(x.clone())); // [batch, seq, d_inner]
        self.output.forward(inner, x)
    }
}

/// The blocks.
#[derive(Module, Debug)]
pub struct LongformerEncoder {
    layer: Vec<LongformerLayer>,
}

/// Embeddings and blocks.
#[derive(Module, Debug)]
pub struct LongformerModel {
    embeddings: LongformerEmbeddings,
    encoder: LongformerEncoder,
}

/// The whole classifier.
///
/// Local tokens see half a window on each side and all global tokens; global tokens see all, with
/// projections of their own.
///
/// # Source
///
/// Longformer, arXiv:2004.05150, section 3.1; as `LongformerForTokenClassification` of
/// transformers.
#[derive(Module, Debug)]
pub struct Longformer {
    longformer: LongformerModel,
    classifier: Linear,
    #[module(skip)]
    vocab_size: usize,
    #[module(skip)]
    max_positions: usize,
}

impl Longformer {
    /// A classifier whose weights are all zero or one: load a checkpoint or call
    /// [`crate::init::randomize`] next.
    pub fn new(config: &LongformerConfig, device: &Device) -> Self {
        let layer = config
            .windows()
            .map(|window| LongformerLayer::new(config, window, device))
            .collect();
        Self {
            longformer: LongformerModel {
                embeddings: LongformerEmbeddings::new(config, device),
                encoder: LongformerEncoder { layer },
            },
            classifier: linear(config.hidden_size, 2, device),
            vocab_size: config.vocab_size,
            max_positions: config.max_position_embeddings - config.pad_token_id - 1,
        }
    }
}

impl TokenClassifier for Longformer {
    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn max_positions(&self) -> usize {
        self.max_positions
    }

    fn forward(&self, batch: &ClassifierBatch, device: &Device) -> Tensor<3> {
        let global = GlobalPattern::new(batch, device);
        let mut pattern: Option<(usize, AttentionPattern)> = None;
        let mut x = self.longformer.embeddings.forward(batch.token_ids(device));
        for layer in &self.longformer.encoder.layer {
            // Neighboring blocks mostly have the same window: they share the pattern.
            let current = match pattern {
                Some((window, pattern)) if window == layer.window => pattern,
                _ => AttentionPattern::new(batch, layer.window, global.as_ref(), device),
            };
            x = layer.forward(x, &current);
            pattern = Some((layer.window, current));
        }
        self.classifier.forward(x) // [batch, seq, 2]
    }
}
