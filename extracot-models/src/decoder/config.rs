//! The decoder's config in Hugging Face names; they appear here and nowhere else.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::rope::{RopeScaling, RopeSettings};
use crate::ModelError;
use crate::checkpoint::load_json;

/// What a decoder family computes besides what all share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecoderFamily {
    /// RMSNorm on every query and key head.
    Qwen3,
    /// A bias on the query, key and value projections.
    Qwen2,
    /// The plain form: Llama, SmolLM2, and openPangu-Embedded with its biases.
    Llama,
}

impl DecoderFamily {
    fn of(model_type: &str) -> Option<Self> {
        match model_type {
            "qwen3" => Some(Self::Qwen3),
            "qwen2" => Some(Self::Qwen2),
            "llama" | "PanguEmbedded" => Some(Self::Llama),
            _ => None,
        }
    }
}

/// `config.json` of a decoder, with every default resolved.
///
/// It reads both spellings of Hugging Face (`rope_theta`, `rope_scaling` and `torch_dtype` of
/// transformers 4; `rope_parameters` and `dtype` of transformers 5) and writes the older one, which
/// both versions and vLLM read. Keys that say nothing about the forward pass are kept as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct DecoderConfig {
    /// The family that `model_type` names.
    pub family: DecoderFamily,
    /// Tokens: rows of the embedding.
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
    /// Rotary positions.
    pub rope: RopeSettings,
    /// Whether the output head is the transposed embedding.
    pub tie_word_embeddings: bool,
    /// Whether all four attention projections have a bias (`attention_bias`, openPangu's `bias`).
    pub attention_bias: bool,
    /// Dtype the weights are stored in: `float32`, `float16` or `bfloat16`.
    pub dtype: String,
    /// All other keys, `model_type` and `architectures` among them.
    other: Map<String, Value>,
}

/// Keys of what this decoder does not compute, with the number that means "off"; null and false do
/// too.
const REFUSED: [(&str, f64); 9] = [
    ("num_experts", 0.0),
    ("num_local_experts", 0.0),
    ("n_routed_experts", 0.0),
    ("mlp_bias", 0.0),
    ("use_sliding_window", 0.0),
    ("partial_rotary_factor", 1.0),
    ("quantization_config", 0.0),
    ("logit_scale", 1.0),
    ("final_logit_softcapping", 0.0),
];

impl DecoderConfig {
    /// A Qwen3 config of the given sizes, tied, with the family's constants.
    pub fn qwen3(size: DecoderSize, vocab_size: usize) -> Self {
        let other = json!({
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "hidden_act": "silu",
        });
        Self {
            family: DecoderFamily::Qwen3,
            vocab_size,
            hidden_size: size.hidden_size,
            intermediate_size: size.intermediate_size,
            num_hidden_layers: size.num_hidden_layers,
            num_attention_heads: size.num_attention_heads,
            num_key_value_heads: size.num_key_value_heads,
            head_dim: size.head_dim,
            max_position_embeddings: size.max_position_embeddings,
            rms_norm_eps: 1e-6,
            rope: RopeSettings {
                theta: size.rope_theta,
                scaling: RopeScaling::Default,
            },
            tie_word_embeddings: true,
            attention_bias: false,
            dtype: "float32".to_owned(),
            other: as_map(other),
        }
    }

    /// Reads and checks `config.json` of a model folder.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, does not parse, or asks for what is not supported.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let keys: Map<String, Value> = load_json(&folder.join("config.json"))?;
        Self::try_from(keys)
    }

    /// Refuses, by key, sizes that no model can have.
    ///
    /// # Errors
    ///
    /// [`ModelError::Config`] with the first such key.
    pub fn check(&self) -> Result<(), ModelError> {
        for (key, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            if size == 0 {
                return refuse(key, &0, "at least 1");
            }
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return refuse("head_dim", &self.head_dim, "a positive even number");
        }
        let n_kv_heads = self.num_key_value_heads;
        if n_kv_heads == 0 || !self.num_attention_heads.is_multiple_of(n_kv_heads) {
            return refuse(
                "num_key_value_heads",
                &n_kv_heads,
                "a divisor of num_attention_heads",
            );
        }
        if !["float32", "float16", "bfloat16"].contains(&self.dtype.as_str()) {
            let allowed = "`float32`, `float16` or `bfloat16`";
            return refuse("dtype", &self.dtype, allowed);
        }
        self.rope.check()
    }

    /// Whether queries and keys are normalized, head by head.
    pub fn has_qk_norm(&self) -> bool {
        self.family == DecoderFamily::Qwen3
    }

    /// Whether the query, key and value projections have a bias.
    pub fn has_qkv_bias(&self) -> bool {
        self.attention_bias || self.family == DecoderFamily::Qwen2
    }

    /// A key that says nothing about the forward pass, such as `eos_token_id`.
    pub fn other(&self, key: &str) -> Option<&Value> {
        self.other.get(key)
    }
}

impl TryFrom<Map<String, Value>> for DecoderConfig {
    type Error = ModelError;

    fn try_from(mut keys: Map<String, Value>) -> Result<Self, ModelError> {
        let model_type: String = required(&keys, "model_type")?;
        let Some(family) = DecoderFamily::of(&model_type) else {
            let allowed = "`qwen3`, `qwen2`, `llama` or `PanguEmbedded`";
            return refuse("model_type", &model_type, allowed);
        };
        for (key, off) in REFUSED {
            let found = keys.get(key).unwrap_or(&Value::Null);
            let is_off = matches!(found, Value::Null | Value::Bool(false));
            if !is_off && found.as_f64() != Some(off) {
                return refuse(key, found, "absent: it is not supported");
            }
        }
        let act: String = optional(&keys, "hidden_act")?.unwrap_or_else(|| "silu".to_owned());
        if act != "silu" {
            return refuse("hidden_act", &act, "`silu`");
        }
        let layer_types: Vec<String> = optional(&keys, "layer_types")?.unwrap_or_default();
        if let Some(found) = layer_types.iter().find(|kind| *kind != "full_attention") {
            return refuse("layer_types", found, "`full_attention` in every layer");
        }

        let rope = RopeSettings::of(&mut keys)?;
        let hidden_size = required(&keys, "hidden_size")?;
        let num_attention_heads = required(&keys, "num_attention_heads")?;
        // What transformers takes where the key is absent.
        let head_dim = match family {
            DecoderFamily::Qwen3 => 128,
            _ => hidden_size / usize::max(num_attention_heads, 1),
        };
        // openPangu-Embedded has its own name for it, and its default is true.
        let attention_bias = match model_type.as_str() {
            "PanguEmbedded" => optional(&keys, "bias")?.unwrap_or(true),
            _ => optional(&keys, "attention_bias")?.unwrap_or(false),
        };
        let epsilon = match model_type.as_str() {
            "PanguEmbedded" => 1e-5,
            _ => 1e-6,
        };
        let dtype = match optional(&keys, "torch_dtype")? {
            Some(dtype) => Some(dtype),
            None => optional(&keys, "dtype")?,
        };
        let config = Self {
            family,
            vocab_size: required(&keys, "vocab_size")?,
            hidden_size,
            intermediate_size: required(&keys, "intermediate_size")?,
            num_hidden_layers: required(&keys, "num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads: optional(&keys, "num_key_value_heads")?
                .unwrap_or(num_attention_heads),
            head_dim: optional(&keys, "head_dim")?.unwrap_or(head_dim),
            max_position_embeddings: required(&keys, "max_position_embeddings")?,
            rms_norm_eps: optional(&keys, "rms_norm_eps")?.unwrap_or(epsilon),
            rope,
            tie_word_embeddings: optional(&keys, "tie_word_embeddings")?.unwrap_or(false),
            attention_bias,
            dtype: dtype.unwrap_or_else(|| "float32".to_owned()),
            other: Map::new(),
        };
        config.check()?;
        for key in Map::from(config.clone()).keys() {
            keys.remove(key);
        }
        keys.remove("dtype");
        Ok(Self {
            other: keys,
            ..config
        })
    }
}

impl From<DecoderConfig> for Map<String, Value> {
    fn from(config: DecoderConfig) -> Self {
        let model_type = config.other("model_type").and_then(Value::as_str);
        let is_pangu = model_type == Some("PanguEmbedded");
        let mut keys = as_map(json!({
            "vocab_size": config.vocab_size,
            "hidden_size": config.hidden_size,
            "intermediate_size": config.intermediate_size,
            "num_hidden_layers": config.num_hidden_layers,
            "num_attention_heads": config.num_attention_heads,
            "num_key_value_heads": config.num_key_value_heads,
            "head_dim": config.head_dim,
            "max_position_embeddings": config.max_position_embeddings,
            "rms_norm_eps": config.rms_norm_eps,
            "rope_theta": config.rope.theta,
            "tie_word_embeddings": config.tie_word_embeddings,
            (if is_pangu { "bias" } else { "attention_bias" }): config.attention_bias,
            "torch_dtype": config.dtype,
        }));
        if let Some(scaling) = config.rope.scaling.to_json() {
            keys.insert("rope_scaling".to_owned(), scaling);
        }
        keys.extend(config.other);
        keys
    }
}

fn as_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

pub(super) fn refuse<T>(
    key: &'static str,
    found: &dyn std::fmt::Display,
    allowed: &'static str,
) -> Result<T, ModelError> {
    Err(ModelError::Config {
        key,
        found: found.to_string(),
        allowed,
    })
}

/// The value of a key; `None` if it is absent or null.
pub(super) fn optional<T: DeserializeOwned>(
    keys: &Map<String, Value>,
    key: &'static str,
) -> Result<Option<T>, ModelError> {
    match keys.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(found) => match T::deserialize(found) {
            Ok(value) => Ok(Some(value)),
            Err(_) => refuse(key, found, "a value of another type"),
        },
    }
}

pub(super) fn required<T: DeserializeOwned>(
    keys: &Map<String, Value>,
    key: &'static str,
) -> Result<T, ModelError> {
    match optional(keys, key)? {
        Some(value) => Ok(value),
        None => refuse(key, &"nothing", "required"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(changes: Value) -> Result<DecoderConfig, ModelError> {
        let mut keys = as_map(json!({
            "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 320,
            "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
            "hidden_act": "silu", "rope_theta": 1e6, "eos_token_id": 7,
        }));
        keys.extend(as_map(changes));
        DecoderConfig::try_from(keys)
    }

    #[test]
    fn both_spellings_are_read_and_the_older_one_is_written() {
        let old = parse(json!({"torch_dtype": "bfloat16"})).unwrap();
        assert_eq!((old.head_dim, old.has_qkv_bias()), (16, true));
        let new = json!({
            "rope_theta": null, "dtype": "bfloat16",
            "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"},
        });
        let new = parse(new).unwrap();
        assert_eq!(Map::from(new.clone()), Map::from(old.clone()));
        assert_eq!(new.other("eos_token_id"), Some(&json!(7)));
        let written = Map::from(old.clone());
        assert_eq!(written["torch_dtype"], json!("bfloat16"));
        assert_eq!(DecoderConfig::try_from(written).unwrap(), old);
    }

    #[test]
    fn families_differ_by_norms_and_biases() {
        let parts = |changes| {
            let config = parse(changes).unwrap();
            let biases = (config.has_qkv_bias(), config.attention_bias);
            (config.has_qk_norm(), biases)
        };
        assert_eq!(
            parts(json!({"model_type": "qwen3"})),
            (true, (false, false))
        );
        assert_eq!(parts(json!({})), (false, (true, false)));
        assert_eq!(
            parts(json!({"model_type": "llama"})),
            (false, (false, false))
        );
        let biased = json!({"model_type": "llama", "attention_bias": true});
        assert_eq!(parts(biased), (false, (true, true)));
        let pangu = parse(json!({"model_type": "PanguEmbedded"})).unwrap();
        assert!(pangu.attention_bias);
        assert_eq!(Map::from(pangu)["bias"], json!(true));
    }

    #[test]
    fn what_is_not_computed_is_refused_by_key() {
        for (changes, message) in [
            (json!({"model_type": "mixtral"}), "model_type = mixtral"),
            (json!({"num_experts": 64}), "num_experts = 64"),
            (
                json!({"use_sliding_window": true}),
                "use_sliding_window = true",
            ),
            (
                json!({"layer_types": ["full_attention", "sliding_attention"]}),
                "layer_types = sliding_attention",
            ),
            (json!({"hidden_act": "gelu"}), "hidden_act = gelu"),
            (json!({"mlp_bias": true}), "mlp_bias = true"),
            (
                json!({"quantization_config": {"bits": 4}}),
                "quantization_config",
            ),
            (json!({"num_key_value_heads": 3}), "num_key_value_heads = 3"),
            (json!({"head_dim": 15}), "head_dim = 15"),
            (json!({"vocab_size": "many"}), "vocab_size = \"many\""),
            (json!({"hidden_size": null}), "hidden_size = nothing"),
            (json!({"torch_dtype": "float8"}), "dtype = float8"),
            (
                json!({"rope_scaling": {"rope_type": "longrope", "factor": 2.0}}),
                "rope_scaling.rope_type = longrope",
            ),
            (
                json!({"rope_scaling": {"type": "yarn"}}),
                "factor = nothing",
            ),
            (
                json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}),
                "low_freq_factor = nothing",
            ),
            (
                json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0,
                    "low_freq_factor": 4.0, "high_freq_factor": 4.0}}),
                "high_freq_factor = 4",
            ),
            (
                json!({"rope_parameters": {"rope_theta": 1e6, "partial_rotary_factor": 0.5}}),
                "partial_rotary_factor = 0.5",
            ),
        ] {
            let error = parse(changes).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        // What is switched off is no reason to refuse.
        assert!(parse(json!({"use_sliding_window": false, "sliding_window": 4096})).is_ok());
    }
}
