//! The policy: a pre-norm decoder (RMSNorm, rotate-half RoPE, grouped-query attention, SwiGLU) of the
//! Qwen3, Qwen2 or Llama family. Module and field names are those of the Hugging Face checkpoint, so
//! weights load and save without a table of names.

mod attention;
mod config;
mod rope;

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Initializer, Linear, RmsNorm, RmsNormConfig};
use burn::tensor::{DType, Device, Int, Tensor};
use extracot_core::Seed;
use extracot_kernels::{VisibleKeys, linear, rms_norm, silu_gate};

pub use attention::Attention;
pub use config::{DecoderConfig, DecoderFamily, DecoderSize};
pub use rope::{Rope, RopeAngles, RopeScaling, RopeSettings};

use crate::causal_lm::{CausalLm, PackedRows, RaggedBatch};
use crate::init::draw_new_rows;
use crate::kv_cache::KvCache;

/// The gated feed-forward of one block.
#[derive(Module, Debug)]
pub struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl Mlp {
    fn new(config: &DecoderConfig, device: &Device) -> Self {
        let (outer, inner) = (config.hidden_size, config.intermediate_size);
        Self {
            gate_proj: attention::linear(outer, inner, false, device),
            up_proj: attention::linear(outer, inner, false, device),
            down_proj: attention::linear(inner, outer, false, device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let gate = project(&self.gate_proj, x.clone());
        project(&self.down_proj, silu_gate(gate, project(&self.up_proj, x)))
    }
}

/// What `layer` gives for every row.
fn project<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    let y = linear(x, layer.weight.val());
    match &layer.bias {
        Some(bias) => y + bias.val().unsqueeze(),
        None => y,
    }
}

/// `norm` of the last dimension.
fn normalize<const D: usize>(norm: &RmsNorm, x: Tensor<D>) -> Tensor<D> {
    rms_norm(x, norm.gamma.val(), norm.epsilon)
}

/// One pre-norm block.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: Mlp,
}

/// Embedding, blocks and final norm.
#[derive(Module, Debug)]
pub struct DecoderModel {
    embed_tokens: Embedding,
    layers: Vec<DecoderLayer>,
    norm: RmsNorm,
}

/// The whole decoder.
#[derive(Module, Debug)]
pub struct Decoder {
    model: DecoderModel,
    lm_head: Option<Linear>,
    #[module(skip)]
    shape: DecoderShape,
}

/// What the forward pass needs to know of the config.
#[derive(Debug, Clone)]
struct DecoderShape {
    vocab_size: usize,
    n_kv_heads: usize,
    head_dim: usize,
    rope: RopeAngles,
    max_positions: usize,
}

impl Decoder {
    /// A decoder whose weights are all zero or one: load a checkpoint or call
    /// [`crate::init::randomize`] next.
    pub fn new(config: &DecoderConfig, device: &Device) -> Self {
        let norm = || {
            RmsNormConfig::new(config.hidden_size)
                .with_epsilon(config.rms_norm_eps)
                .init(device)
        };
        let layers = (0..config.num_hidden_layers)
            .map(|_| DecoderLayer {
                input_layernorm: norm(),
                self_attn: Attention::new(config, device),
                post_attention_layernorm: norm(),
                mlp: Mlp::new(config, device),
            })
            .collect();
        let embed_tokens = EmbeddingConfig::new(config.vocab_size, config.hidden_size)
            .with_initializer(Initializer::Zeros)
            .init(device);
        let lm_head = (!config.tie_word_embeddings)
            .then(|| attention::linear(config.hidden_size, config.vocab_size, false, device));
        Self {
            model: DecoderModel {
                embed_tokens,
                layers,
                norm: norm(),
            },
            lm_head,
            shape: DecoderShape {
                vocab_size: config.vocab_size,
                n_kv_heads: config.num_key_value_heads,
                head_dim: config.head_dim,
                rope: config.rope.angles(config.head_dim),
                max_positions: config.max_position_embeddings,
            },
        }
    }

    /// Draws the embeddings and the outputs of new tokens like those of trained tokens: see
    /// [`draw_new_rows`]. Ids beyond the last row make the table and an untied head grow.
    ///
    /// # Panics
    ///
    /// If `n_trained` is 0 or exceeds the rows.
    #[must_use]
    pub fn with_new_tokens(mut self, ids: &[u32], n_trained: usize, seed: Seed) -> Self {
        let n_needed = ids.iter().max().map_or(0, |id| *id as usize + 1);
        let n_rows = n_needed.max(self.shape.vocab_size);
        let drawn = |weight: Tensor<2>, seed: Seed| {
            let [n_old, d_model] = weight.dims();
            let device = weight.device();
            let added = Tensor::zeros([n_rows - n_old, d_model], (&device, weight.dtype()));
            let weight = match n_rows == n_old {
                true => weight,
                false => Tensor::cat(vec![weight, added], 0),
            };
            draw_new_rows(weight, ids, n_trained, seed)
        };
        let embedding = &mut self.model.embed_tokens;
        let weight = embedding.weight.clone();
        embedding.weight = weight.map(|weight| drawn(weight, seed));
        if let Some(head) = &mut self.lm_head {
            let seed = seed.derive("lm_head", 0);
            let weight = head.weight.clone();
            // A linear layer of burn has its outputs as columns.
            head.weight = weight.map(|weight| drawn(weight.transpose(), seed).transpose());
        }
        self.shape.vocab_size = n_rows;
        self
    }

    /// The dtype of the weights, in which everything is computed; logits are given as f32.
    fn dtype(&self) -> DType {
        self.model.norm.gamma.dtype()
    }

    fn layers(
        &self,
        token_ids: Tensor<2, Int>,
        rope: &Rope,
        visible: &VisibleKeys,
        mut cache: Option<&mut KvCache>,
    ) -> Tensor<3> {
        let [_, seq] = token_ids.dims();
        let mut x = self.model.embed_tokens.forward(token_ids); // [batch, seq, d_model]
        for (layer_idx, layer) in self.model.layers.iter().enumerate() {
            let normed = normalize(&layer.input_layernorm, x.clone());
            let cache = cache.as_deref_mut().map(|cache| (cache, layer_idx));
            x = x + layer.self_attn.forward(normed, rope, visible, cache);
            let normed = normalize(&layer.post_attention_layernorm, x.clone());
            x = x + layer.mlp.forward(normed);
        }
        if let Some(cache) = cache {
            cache.advance(seq);
        }
        normalize(&self.model.norm, x)
    }
}

impl CausalLm for Decoder {
    fn vocab_size(&self) -> usize {
        self.shape.vocab_size
    }

    fn max_positions(&self) -> usize {
        self.shape.max_positions
    }

    fn hidden(&self, token_ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, seq] = token_ids.dims();
        let device = token_ids.device();
        let shape = &self.shape;
        let positions: Vec<usize> = (0..seq).collect();
        let rope = Rope::new(&positions, 1, &shape.rope, (&device, self.dtype()));
        self.layers(token_ids, &rope, &VisibleKeys::causal(seq), None)
    }

    fn hidden_packed(&self, token_ids: Tensor<2, Int>, rows: &PackedRows) -> Tensor<3> {
        let [batch, seq] = token_ids.dims();
        let device = token_ids.device();
        let shape = &self.shape;
        let place = (&device, self.dtype());
        let rope = Rope::new(&rows.positions(seq), batch, &shape.rope, place);
        self.layers(token_ids, &rope, &rows.visible(seq), None)
    }

    fn head(&self, hidden: Tensor<2>) -> Tensor<2> {
        let logits = match &self.lm_head {
            Some(head) => project(head, hidden),
            None => linear(hidden, self.model.embed_tokens.weight.val().transpose()),
        };
        logits.cast(DType::F32)
    }

    fn new_cache(&self, batch: usize, device: &Device) -> KvCache {
        let shape = [batch, self.shape.n_kv_heads, self.shape.head_dim];
        KvCache::new(self.model.layers.len(), shape, (device, self.dtype()))
    }

    fn hidden_after(
        &self,
        token_ids: Tensor<2, Int>,
        rows: &RaggedBatch,
        cache: &mut KvCache,
    ) -> Tensor<3> {
        let [batch, n_new] = token_ids.dims();
        let device = token_ids.device();
        let shape = &self.shape;
        let start = cache.n_slots();
        let positions = rows.positions(start, n_new);
        let place = (&device, self.dtype());
        let rope = Rope::new(&positions, batch, &shape.rope, place);
        cache.reserve(n_new);
        let visible = rows.visible(start, n_new);
        self.layers(token_ids, &rope, &visible, Some(cache))
    }
}
