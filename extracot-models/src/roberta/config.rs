//! The config of RoBERTa and XLM-RoBERTa in Hugging Face names; they appear here and nowhere else.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::checkpoint::load_json;
use crate::encoder::{EncoderSize, refuse};
use crate::{LongformerSize, ModelError};

/// `config.json` of a RoBERTa or XLM-RoBERTa token classifier: the two differ in their vocabulary only.
///
/// Dropout is not applied, so its keys are not read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobertaConfig {
    /// `["RobertaForTokenClassification"]` or `["XLMRobertaForTokenClassification"]`.
    pub architectures: Vec<String>,
    /// `roberta` or `xlm-roberta`.
    pub model_type: String,
    /// Tokens.
    pub vocab_size: usize,
    /// `d_model`.
    pub hidden_size: usize,
    /// Inner width of the feed-forward.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Heads.
    pub num_attention_heads: usize,
    /// Rows of the position table; the first `pad_token_id + 1` are never used.
    pub max_position_embeddings: usize,
    /// Rows of the token type table; only the first is used.
    pub type_vocab_size: usize,
    /// Id of padding in the checkpoint's vocabulary; positions count from the one after it.
    pub pad_token_id: usize,
    /// Epsilon of every LayerNorm.
    pub layer_norm_eps: f64,
    /// `gelu`, the exact one.
    pub hidden_act: String,
    /// `absolute`: a learned table.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
    /// `false`: every token sees all others.
    #[serde(default)]
    pub is_decoder: bool,
    /// Labels; two if the key is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_labels: Option<usize>,
    /// Names of the labels, which are passed on; label 0 is to drop and label 1 to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id2label: Option<BTreeMap<String, String>>,
    /// The same the other way around.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label2id: Option<BTreeMap<String, usize>>,
    /// Dtype the weights are stored in.
    #[serde(default = "float32", alias = "dtype")]
    pub torch_dtype: String,
}

fn absolute() -> String {
    "absolute".to_owned()
}

fn float32() -> String {
    "float32".to_owned()
}

impl RobertaConfig {
    /// The values of `model_type`.
    pub const MODEL_TYPES: [&str; 2] = ["roberta", "xlm-roberta"];

    /// A RoBERTa config of the given sizes with the family's constants; it has no window.
    pub fn roberta(size: LongformerSize, vocab_size: usize) -> Self {
        let pad_token_id = 1;
        Self {
            architectures: vec!["RobertaForTokenClassification".to_owned()],
            model_type: "roberta".to_owned(),
            vocab_size,
            hidden_size: size.hidden_size,
            intermediate_size: size.intermediate_size,
            num_hidden_layers: size.num_hidden_layers,
            num_attention_heads: size.num_attention_heads,
            max_position_embeddings: size.max_positions + pad_token_id + 1,
            type_vocab_size: 1,
            pad_token_id,
            layer_norm_eps: 1e-5,
            hidden_act: "gelu".to_owned(),
            position_embedding_type: absolute(),
            is_decoder: false,
            num_labels: None,
            id2label: None,
            label2id: None,
            torch_dtype: float32(),
        }
    }

    /// Reads and checks `config.json` of a model folder.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, does not parse, or asks for what is not supported.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let config: Self = load_json(&folder.join("config.json"))?;
        config.check()?;
        Ok(config)
    }

    /// Refuses, by key, what the classifier does not compute.
    ///
    /// # Errors
    ///
    /// [`ModelError::Config`] with the first such key.
    pub fn check(&self) -> Result<(), ModelError> {
        if !Self::MODEL_TYPES.contains(&self.model_type.as_str()) {
            return refuse("model_type", &self.model_type, "`roberta` or `xlm-roberta`");
        }
        if self.position_embedding_type != "absolute" {
            let found = &self.position_embedding_type;
            return refuse("position_embedding_type", found, "`absolute`");
        }
        if self.is_decoder {
            return refuse("is_decoder", &true, "`false`");
        }
        if let Some(n_labels) = self.num_labels.filter(|n_labels| *n_labels != 2) {
            return refuse("num_labels", &n_labels, "2: drop and keep");
        }
        if let Some(labels) = self.id2label.as_ref().filter(|labels| labels.len() != 2) {
            let found = format!("{} labels", labels.len());
            return refuse("id2label", &found, "2 labels: drop and keep");
        }
        self.size().check(&self.hidden_act)
    }

    pub(crate) fn size(&self) -> EncoderSize {
        EncoderSize {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            max_position_embeddings: self.max_position_embeddings,
            type_vocab_size: self.type_vocab_size,
            pad_token_id: self.pad_token_id,
            layer_norm_eps: self.layer_norm_eps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// What transformers writes for a classifier of two labels, dropout and such left out.
    fn written() -> Value {
        json!({
            "architectures": ["XLMRobertaForTokenClassification"],
            "model_type": "xlm-roberta",
            "vocab_size": 20,
            "hidden_size": 8,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 12,
            "type_vocab_size": 1,
            "pad_token_id": 1,
            "layer_norm_eps": 1e-5,
            "hidden_act": "gelu",
            "classifier_dropout": null,
            "use_cache": true,
        })
    }

    #[test]
    fn both_families_are_read_and_written() {
        for model_type in RobertaConfig::MODEL_TYPES {
            let mut json = written();
            json["model_type"] = json!(model_type);
            json["id2label"] = json!({"0": "drop", "1": "keep"});
            let config: RobertaConfig = serde_json::from_value(json).unwrap();
            config.check().unwrap();
            assert_eq!(config.size().max_positions(), 10);
            let again = serde_json::to_string(&config).unwrap();
            assert!(again.contains(r#""0":"drop""#), "{again}");
            assert_eq!(
                serde_json::from_str::<RobertaConfig>(&again).unwrap(),
                config
            );
        }
    }

    #[test]
    fn what_is_not_computed_is_refused_by_key() {
        for (key, value) in [
            ("model_type", json!("bert")),
            ("hidden_act", json!("relu")),
            ("position_embedding_type", json!("relative_key")),
            ("is_decoder", json!(true)),
            ("num_labels", json!(3)),
            ("id2label", json!({"0": "a", "1": "b", "2": "c"})),
            ("num_attention_heads", json!(3)),
            ("max_position_embeddings", json!(2)),
            ("num_hidden_layers", json!(0)),
            ("type_vocab_size", json!(0)),
        ] {
            let mut json = written();
            json[key] = value;
            let config: RobertaConfig = serde_json::from_value(json).unwrap();
            let message = config.check().unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("config key {key} = ")),
                "{message}"
            );
        }
    }
}
