//! Grouped-query attention.

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Tensor};
use extracot_kernels::{VisibleKeys, attention};

use super::{DecoderConfig, Rope, normalize, project};
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
    /// - `visible`: keys of the queries `0..seq`, among those in the cache where there is one
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        rope: &Rope,
        visible: &VisibleKeys,
        cache: Option<(&mut KvCache, usize)>,
    ) -> Tensor<3> {
        let [batch, seq, _] = x.dims();
        let head_dim = self.head_dim;
        let heads = |y: Tensor<3>, n: usize| y.reshape([batch, seq, n, head_dim]);
        let normed = |norm: &Option<RmsNorm>, y: Tensor<4>| match norm {
            Some(norm) => normalize(norm, y),
            None => y,
        };
        let q = heads(project(&self.q_proj, x.clone()), self.n_heads);
        let q = normed(&self.q_norm, q);
        let k = heads(project(&self.k_proj, x.clone()), self.n_kv_heads);
        let k = normed(&self.k_norm, k);
        let v = heads(project(&self.v_proj, x), self.n_kv_heads).swap_dims(1, 2);
        // The scale goes on the queries: they are smaller than the scores.
        let q = rope.rotate(q, (head_dim as f64).powf(-0.5));
        let k = rope.rotate(k, 1.0); // [batch, n_kv_heads, seq, head_dim]

        let (k, v) = match cache {
            Some((cache, layer_idx)) => {
                let (k_transposed, v) = cache.append(layer_idx, k, v);
                (k_transposed.swap_dims(2, 3), v)
            }
            None => (k, v),
        };
        project(&self.o_proj, attention(q, k, v, visible))
    }
}
