//! What the post-norm encoders share: Longformer and RoBERTa differ in their attention only. Module and
//! field names are those of the Hugging Face checkpoints, so weights load and save without a table of
//! names.
#![allow(
    non_snake_case,
    reason = "`LayerNorm` is what the checkpoints call their norms"
)]

mod attention;

use burn::module::{Module, ModuleDisplay};
use burn::nn::{
    Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
};
use burn::tensor::activation::gelu;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::{ClassifierBatch, ModelError};
use attention::Attention;
use extracot_kernels::MASKED;

/// The sizes that every encoder's config has, in Hugging Face names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EncoderSize {
    pub(crate) vocab_size: usize,
    pub(crate) hidden_size: usize,
    pub(crate) intermediate_size: usize,
    pub(crate) num_hidden_layers: usize,
    pub(crate) num_attention_heads: usize,
    /// Rows of the position table; the first `pad_token_id + 1` are never used.
    pub(crate) max_position_embeddings: usize,
    pub(crate) type_vocab_size: usize,
    pub(crate) pad_token_id: usize,
    pub(crate) layer_norm_eps: f64,
}

impl EncoderSize {
    /// Refuses, by key, another activation and sizes that no model can have.
    pub(crate) fn check(&self, hidden_act: &str) -> Result<(), ModelError> {
        if hidden_act != "gelu" {
            return refuse("hidden_act", &hidden_act, "`gelu`");
        }
        for (key, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("type_vocab_size", self.type_vocab_size),
        ] {
            if size == 0 {
                return refuse(key, &0, "at least 1");
            }
        }
        let heads = self.num_attention_heads;
        if heads == 0 || !self.hidden_size.is_multiple_of(heads) {
            return refuse("num_attention_heads", &heads, "a divisor of hidden_size");
        }
        if self.max_position_embeddings <= self.pad_token_id.saturating_add(1) {
            let found = &self.max_position_embeddings;
            let allowed = "more than pad_token_id + 1";
            return refuse("max_position_embeddings", found, allowed);
        }
        Ok(())
    }

    /// Longest input, in tokens.
    pub(crate) fn max_positions(&self) -> usize {
        self.max_position_embeddings - self.pad_token_id - 1
    }
}

/// The error of a config key.
pub(crate) fn refuse(
    key: &'static str,
    found: &dyn std::fmt::Display,
    allowed: &'static str,
) -> Result<(), ModelError> {
    Err(ModelError::Config {
        key,
        found: found.to_string(),
        allowed,
    })
}

/// A linear layer with a bias; the weights are drawn later, on the host.
pub(crate) fn linear(d_input: usize, d_output: usize, device: &Device) -> Linear {
    LinearConfig::new(d_input, d_output)
        .with_initializer(Initializer::Zeros)
        .init(device)
}

fn layer_norm(size: &EncoderSize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(size.hidden_size)
        .with_epsilon(size.layer_norm_eps)
        .init(device)
}

/// 0 where a query may look, [`MASKED`] elsewhere.
pub(crate) fn bias(is_seen: bool) -> f32 {
    if is_seen { 0.0 } else { MASKED }
}

/// The bias under which every query sees the real tokens of its row and no padding.
///
/// # Shapes
///
/// - output: `[batch, 1, 1, seq]`
pub(crate) fn padding_bias(batch: &ClassifierBatch, device: &Device) -> Tensor<4> {
    let seq = batch.seq();
    let row = |n_tokens: &usize| {
        let n_tokens = *n_tokens;
        (0..seq).map(move |key| bias(key < n_tokens))
    };
    let values: Vec<f32> = batch.n_tokens().iter().flat_map(row).collect();
    let data = TensorData::new(values, [batch.batch(), 1, 1, seq]);
    Tensor::from_data(data, (device, DType::F32))
}

/// Who sees whom, and what they take from it: the part in which the encoders differ.
pub(crate) trait SelfAttention: Module + ModuleDisplay {
    /// Who sees whom in one batch.
    type Pattern;

    /// Projections whose weights are all zero.
    fn new(size: &EncoderSize, device: &Device) -> Self;

    /// # Shapes
    ///
    /// - `x` and output: `[batch, seq, d_model]`
    fn forward(&self, x: Tensor<3>, pattern: &Self::Pattern) -> Tensor<3>;
}

/// Token, position and type embeddings, summed and normalized.
#[derive(Module, Debug)]
pub(crate) struct Embeddings {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    token_type_embeddings: Embedding,
    LayerNorm: LayerNorm,
    #[module(skip)]
    first_position: usize,
}

impl Embeddings {
    fn new(size: &EncoderSize, device: &Device) -> Self {
        let table = |n_rows: usize| {
            EmbeddingConfig::new(n_rows, size.hidden_size)
                .with_initializer(Initializer::Zeros)
                .init(device)
        };
        Self {
            word_embeddings: table(size.vocab_size),
            position_embeddings: table(size.max_position_embeddings),
            token_type_embeddings: table(size.type_vocab_size),
            LayerNorm: layer_norm(size, device),
            first_position: size.pad_token_id + 1,
        }
    }

    /// # Shapes
    ///
    /// - `token_ids`: `[batch, seq]`; output: `[batch, seq, d_model]`
    pub(crate) fn forward(&self, token_ids: Tensor<2, Int>) -> Tensor<3> {
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

/// A projection back to `d_model`, added to the residual stream and normalized.
#[derive(Module, Debug)]
pub(crate) struct ResidualNorm {
    dense: Linear,
    LayerNorm: LayerNorm,
}

impl ResidualNorm {
    fn new(d_input: usize, size: &EncoderSize, device: &Device) -> Self {
        Self {
            dense: linear(d_input, size.hidden_size, device),
            LayerNorm: layer_norm(size, device),
        }
    }

    fn forward(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        self.LayerNorm.forward(self.dense.forward(x) + residual)
    }
}

/// The inner half of the feed-forward.
#[derive(Module, Debug)]
struct Intermediate {
    dense: Linear,
}

/// One post-norm block.
#[derive(Module, Debug)]
pub(crate) struct EncoderLayer<A: Module> {
    attention: Attention<A>,
    intermediate: Intermediate,
    output: ResidualNorm,
}

impl<A: SelfAttention> EncoderLayer<A> {
    fn new(size: &EncoderSize, device: &Device) -> Self {
        let dense = linear(size.hidden_size, size.intermediate_size, device);
        Self {
            attention: Attention::new(size, device),
            intermediate: Intermediate { dense },
            output: ResidualNorm::new(size.intermediate_size, size, device),
        }
    }

    /// # Shapes
    ///
    /// - `x` and output: `[batch, seq, d_model]`
    pub(crate) fn forward(&self, x: Tensor<3>, pattern: &A::Pattern) -> Tensor<3> {
        let x = self.attention.forward(x, pattern);
        let inner = gelu(self.intermediate.dense.forward(x.clone())); // [batch, seq, d_inner]
        self.output.forward(inner, x)
    }
}

/// The blocks.
#[derive(Module, Debug)]
pub(crate) struct EncoderLayers<A: Module> {
    pub(crate) layer: Vec<EncoderLayer<A>>,
}

/// Embeddings and blocks.
#[derive(Module, Debug)]
pub(crate) struct Encoder<A: Module> {
    pub(crate) embeddings: Embeddings,
    pub(crate) encoder: EncoderLayers<A>,
}

impl<A: SelfAttention> Encoder<A> {
    /// Weights are all zero or one.
    pub(crate) fn new(size: &EncoderSize, device: &Device) -> Self {
        let layer = (0..size.num_hidden_layers)
            .map(|_| EncoderLayer::new(size, device))
            .collect();
        Self {
            embeddings: Embeddings::new(size, device),
            encoder: EncoderLayers { layer },
        }
    }
}
