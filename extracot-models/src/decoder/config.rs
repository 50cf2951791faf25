//! The decoder's config in Hugging Face names; they appear here and nowhere else.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::ModelError;

/// `config.json` of a Qwen3 decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecoderConfig {
    /// `["Qwen3ForCausalLM"]`.
    pub architectures: Vec<String>,
    /// `qwen3`.
    pub model_type: String,
    /// Tokens.
    pub vocab_size: usize,
    /// `d_model`.
    pub hidden_size: usize,
    /// Inner width of the gated feed-forward.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Epsilon of every RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Whether the output head is the transposed embedding.
    pub tie_word_embeddings: bool,
    /// `silu`.
    pub hidden_act: String,
    /// Whether the attention projections have a bias.
    #[serde(default)]
    pub attention_bias: bool,
    /// Dtype the weights are stored in.
    #[serde(default = "float32")]
    pub torch_dtype: String,
}

fn float32() -> String {
    "float32".to_owned()
}

impl DecoderConfig {
    /// A Qwen3 config of the given sizes, tied, with the family's constants.
    pub fn qwen3(size: DecoderSize, vocab_size: usize) -> Self {
        Self {
            architectures: vec!["Qwen3ForCausalLM".to_owned()],
            model_type: "qwen3".to_owned(),
            vocab_size,
            hidden_size: size.hidden_size,
            intermediate_size: size.intermediate_size,
            num_hidden_layers: size.num_hidden_layers,
            num_attention_heads: size.num_attention_heads,
            num_key_value_heads: size.num_key_value_heads,
            head_dim: size.head_dim,
            max_position_embeddings: size.max_position_embeddings,
            rms_norm_eps: 1e-6,
            rope_theta: size.rope_theta,
            tie_word_embeddings: true,
            hidden_act: "silu".to_owned(),
            attention_bias: false,
            torch_dtype: float32(),
        }
    }

    /// Reads and checks `config.json` of a model folder.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, does not parse, or asks for what is not supported.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("config.json");
        let text =
            fs::read_to_string(&path).map_err(extracot_core::CoreError::io("read", &path))?;
        let config: Self =
            serde_json::from_str(&text).map_err(|source| ModelError::Json { path, source })?;
        config.check()?;
        Ok(config)
    }

    /// Refuses, by key, what the decoder does not compute.
    ///
    /// # Errors
    ///
    /// [`ModelError::Config`] with the first such key.
    pub fn check(&self) -> Result<(), ModelError> {
        let refuse = |key, found: &dyn std::fmt::Display, allowed| {
            Err(ModelError::Config {
                key,
                found: found.to_string(),
                allowed,
            })
        };
        if self.model_type != "qwen3" {
            return refuse("model_type", &self.model_type, "`qwen3`");
        }
        if self.hidden_act != "silu" {
            return refuse("hidden_act", &self.hidden_act, "`silu`");
        }
        if self.attention_bias {
            return refuse("attention_bias", &true, "false");
        }
        if self.vocab_size == 0 || self.hidden_size == 0 || self.num_hidden_layers == 0 {
            return refuse(
                "vocab_size, hidden_size, num_hidden_layers",
                &0,
                "at least 1",
            );
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return refuse("head_dim", &self.head_dim, "a positive even number");
        }
        if self.num_key_value_heads == 0
            || !self
                .num_attention_heads
                .is_multiple_of(self.num_key_value_heads)
        {
            return refuse(
                "num_key_value_heads",
                &self.num_key_value_heads,
                "a divisor of num_attention_heads",
            );
        }
        Ok(())
    }
}

/// The sizes one chooses for a new decoder.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the keys are those of config.json, see DecoderConfig"
)]
pub struct DecoderSize {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    pub max_position_embeddings: usize,
    pub rope_theta: f64,
}
