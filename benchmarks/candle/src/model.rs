//! The models of candle-transformers behind one face.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::{llama, qwen3};
use serde_json::Value;

/// A decoder with its cache of keys and values.
pub enum Decoder {
    Llama {
        model: llama::Llama,
        /// Never filled: a copy starts a text.
        empty: llama::Cache,
        cache: llama::Cache,
    },
    Qwen3(qwen3::ModelForCausalLM),
}

impl Decoder {
    /// Reads a model folder in Hugging Face layout, one weight file, as f32.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let path = folder.join("config.json");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let config: Value = serde_json::from_str(&text)?;
        let weights = folder.join("model.safetensors");
        if !weights.is_file() {
            bail!("cannot read {}", weights.display());
        }
        // SAFETY: nothing writes the file while it is mapped.
        let weights =
            unsafe { VarBuilder::from_mmaped_safetensors(&[weights], DType::F32, device)? };
        match config["model_type"].as_str() {
            Some("llama") => {
                let config = llama_config(&config)?;
                let empty = llama::Cache::new(true, DType::F32, &config, device)?;
                Ok(Self::Llama {
                    model: llama::Llama::load(weights, &config)?,
                    cache: empty.clone(),
                    empty,
                })
            }
            Some("qwen3") => {
                let model = qwen3::ModelForCausalLM::new(&qwen3_config(&config)?, weights)?;
                Ok(Self::Qwen3(model))
            }
            other => bail!("model_type {other:?}: `llama` or `qwen3`"),
        }
    }

    /// Forgets what was fed.
    pub fn clear(&mut self) {
        match self {
            Self::Llama { empty, cache, .. } => *cache = empty.clone(),
            Self::Qwen3(model) => model.clear_kv_cache(),
        }
    }

    /// Feeds `[batch, n_new]` ids behind `n_seen` others and gives the logits behind the last, `[batch, vocab]`.
    pub fn extend(&mut self, ids: &Tensor, n_seen: usize) -> Result<Tensor> {
        match self {
            Self::Llama { model, cache, .. } => Ok(model.forward(ids, n_seen, cache)?),
            Self::Qwen3(model) => Ok(model.forward(ids, n_seen)?.squeeze(1)?),
        }
    }
}

fn number(config: &Value, key: &str) -> Result<f64> {
    config[key]
        .as_f64()
        .with_context(|| format!("config.json: no number `{key}`"))
}

fn size(config: &Value, key: &str) -> Result<usize> {
    Ok(number(config, key)? as usize)
}

/// `rope_theta`, which transformers 5 writes into `rope_parameters`: candle's own reader would take a default.
fn rope_theta(config: &Value) -> Result<f64> {
    match config["rope_theta"].is_number() {
        true => number(config, "rope_theta"),
        false => number(&config["rope_parameters"], "rope_theta"),
    }
}

fn llama_config(config: &Value) -> Result<llama::Config> {
    Ok(llama::Config {
        hidden_size: size(config, "hidden_size")?,
        intermediate_size: size(config, "intermediate_size")?,
        vocab_size: size(config, "vocab_size")?,
        num_hidden_layers: size(config, "num_hidden_layers")?,
        num_attention_heads: size(config, "num_attention_heads")?,
        num_key_value_heads: size(config, "num_key_value_heads")?,
        use_flash_attn: false,
        rms_norm_eps: number(config, "rms_norm_eps")?,
        rope_theta: rope_theta(config)? as f32,
        bos_token_id: None,
        eos_token_id: None,
        rope_scaling: None,
        max_position_embeddings: size(config, "max_position_embeddings")?,
        tie_word_embeddings: config["tie_word_embeddings"].as_bool().unwrap_or(false),
    })
}

fn qwen3_config(config: &Value) -> Result<qwen3::Config> {
    Ok(qwen3::Config {
        vocab_size: size(config, "vocab_size")?,
        hidden_size: size(config, "hidden_size")?,
        intermediate_size: size(config, "intermediate_size")?,
        num_hidden_layers: size(config, "num_hidden_layers")?,
        num_attention_heads: size(config, "num_attention_heads")?,
        head_dim: size(config, "head_dim")?,
        attention_bias: config["attention_bias"].as_bool().unwrap_or(false),
        num_key_value_heads: size(config, "num_key_value_heads")?,
        max_position_embeddings: size(config, "max_position_embeddings")?,
        sliding_window: None,
        max_window_layers: 0,
        tie_word_embeddings: config["tie_word_embeddings"].as_bool().unwrap_or(false),
        rope_theta: rope_theta(config)?,
        rms_norm_eps: number(config, "rms_norm_eps")?,
        use_sliding_window: false,
        hidden_act: Activation::Silu,
    })
}
