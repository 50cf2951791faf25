//! Grouped-query attention.

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig, RmsNorm, RmsNormConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::{DecoderConfig, Rope};
use crate::attention_mask::QueryBlock;
use crate::kv_cache::KvCache;

/// Self-attention of one block. Qwen3 has an RMSNorm on every query and key head before the rotation;
/// the projections of Qwen2 and of some Llama-shaped models have biases.
#[derive(Module, Debug)]
pub struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: Option<RmsNorm>,
    k_norm: Option<RmsNorm>,
    n_heads: usize,
    n_kv_heads: usize,
    head_dim: usize,
}

/// A linear layer; the weights are drawn later, on the host.
pub(super) fn linear(d_input: usize, d_output: usize, bias: bool, device: &Device) -> Linear {
    LinearConfig::new(d_input, d_output)
        .with_bias(bias)
        .with_initializer(Initializer::Zeros)
        .init(device)
}

impl Attention {
    pub(super) fn new(config: &DecoderConfig, device: &Device) -> Self {
        let (n_heads, n_kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
        let head_dim = config.head_dim;
        let norm = || {
            config.has_qk_norm().then(|| {
                RmsNormConfig::new(head_dim)
                    .with_epsilon(config.rms_norm_eps)
                    .init(device)
            })
        };
        let bias = config.has_qkv_bias();
        let d_model = config.hidden_size;
        Self {
            q_proj: linear(d_model, n_heads * head_dim, bias, device),
            k_proj: linear(d_model, n_kv_heads * head_dim, bias, device),
            v_proj: linear(d_model, n_kv_heads * head_dim, bias, device),
            o_proj: linear(n_heads * head_dim, d_model, config.attention_bias, device),
            q_norm: norm(),
            k_norm: norm(),
            n_heads,
            n_kv_heads,
            head_dim,
        }
    }

    /// # Shapes
    ///
    /// - `x` and output: `[batch, seq, d_model]`
    /// - `blocks`: the queries `0..seq` in order, with biases for `n_heads / n_kv_heads` groups
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        rope: &Rope,
        blocks: &[QueryBlock],
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let [batch, seq, _] = x.dims();
        let (n_kv_heads, head_dim) = (self.n_kv_heads, self.head_dim);
        let n_groups = self.n_heads / n_kv_heads;
        let heads = |y: Tensor<3>, n: usize| y.reshape([batch, seq, n, head_dim]);

        let normed = |norm: &Option<RmsNorm>, y: Tensor<4>| match norm {
            Some(norm) => norm.forward(y),
            None => y,
        };
        let q = heads(self.q_proj.forward(x.clone()), self.n_heads);
        let q = normed(&self.q_norm, q);
        let k = heads(self.k_proj.forward(x.clone()), n_kv_heads);
        let k = normed(&self.k_norm, k);
        let v = heads(self.v_proj.forward(x), n_kv_heads).swap_dims(1, 2);
        // The scale goes on the queries: they are smaller than the scores.
        let q = rope.rotate(q.swap_dims(1, 2)) * (head_dim as f64).powf(-0.5);
        let k = rope.rotate(k.swap_dims(1, 2)); // [batch, n_kv_heads, seq, head_dim]

        let (k_transposed, v) = match cache {
            Some((cache, layer_idx)) => cache.append(layer_idx, k, v),
            None => (k.swap_dims(2, 3), v),
        };
        let mixed = blocks.iter().map(|block| {
            // The heads that share a key head become rows of one product: no copy of keys or values.
            let rows = n_groups * block.queries.len();
            let q = q.clone().slice_dim(2, block.queries.clone());
            let q = q.reshape([batch, n_kv_heads, rows, head_dim]);
            let k_transposed = k_transposed.clone().slice_dim(3, 0..block.n_keys);
            let v = v.clone().slice_dim(2, 0..block.n_keys);
            let scores = q.matmul(k_transposed) + block.bias.clone();
            let mixed = softmax(scores, 3).matmul(v);
            mixed.reshape([batch, self.n_heads, block.queries.len(), head_dim])
        });
        let mixed = Tensor::cat(mixed.collect(), 2) // [batch, n_heads, seq, head_dim]
            .swap_dims(1, 2)
            .reshape([batch, seq, self.n_heads * head_dim]);
        self.o_proj.forward(mixed)
    }
}
