//! The classifier's config in Hugging Face names; they appear here and nowhere else.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::checkpoint::load_json;
use crate::encoder::{EncoderSize, refuse};

/// `config.json` of a Longformer token classifier.
///
/// Dropout is not applied, so its keys are not read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LongformerConfig {
    /// `["LongformerForTokenClassification"]`.
    pub architectures: Vec<String>,
    /// `longformer`.
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
    /// Tokens a local token sees per block, itself not counted, half of them on each side: one
    /// number per block, or one for all.
    pub attention_window: AttentionWindow,
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
    /// Dtype the weights are stored in.
    #[serde(default = "float32", alias = "dtype")]
    pub torch_dtype: String,
}

/// One window for all blocks or one per block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttentionWindow {
    /// The same everywhere.
    All(usize),
    /// By block.
    PerLayer(Vec<usize>),
}

fn float32() -> String {
    "float32".to_owned()
}

impl LongformerConfig {
    /// A config of the given sizes with the family's constants.
    pub fn longformer(size: LongformerSize, vocab_size: usize) -> Self {
        let pad_token_id = 1;
        Self {
            architectures: vec!["LongformerForTokenClassification".to_owned()],
            model_type: "longformer".to_owned(),
            vocab_size,
            hidden_size: size.hidden_size,
            intermediate_size: size.intermediate_size,
            num_hidden_layers: size.num_hidden_layers,
            num_attention_heads: size.num_attention_heads,
            attention_window: AttentionWindow::PerLayer(vec![
                size.attention_window;
                size.num_hidden_layers
            ]),
            max_position_embeddings: size.max_positions + pad_token_id + 1,
            type_vocab_size: 1,
            pad_token_id,
            layer_norm_eps: 1e-5,
            hidden_act: "gelu".to_owned(),
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
        if self.model_type != "longformer" {
            return refuse("model_type", &self.model_type, "`longformer`");
        }
        self.size().check(&self.hidden_act)?;
        if let AttentionWindow::PerLayer(windows) = &self.attention_window
            && windows.len() != self.num_hidden_layers
        {
            let found = format!("{} windows", windows.len());
            return refuse("attention_window", &found, "one window per layer");
        }
        if let Some(window) = self
            .windows()
            .find(|window| *window == 0 || window % 2 != 0)
        {
            return refuse("attention_window", &window, "positive even numbers");
        }
        Ok(())
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

    /// The window of each block.
    pub fn windows(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.num_hidden_layers).map(|layer_idx| match &self.attention_window {
            AttentionWindow::All(window) => *window,
            AttentionWindow::PerLayer(windows) => windows.get(layer_idx).copied().unwrap_or(0),
        })
    }
}

/// The sizes one chooses for a new classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "the keys are those of config.json, see LongformerConfig"
)]
pub struct LongformerSize {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub attention_window: usize,
    /// Longest input, in tokens.
    pub max_positions: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_computed_is_refused_by_key() {
        let size = LongformerSize {
            hidden_size: 8,
            intermediate_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            attention_window: 4,
            max_positions: 10,
        };
        let good = LongformerConfig::longformer(size, 20);
        good.check().unwrap();
        let json = serde_json::to_string(&good).unwrap();
        assert_eq!(
            serde_json::from_str::<LongformerConfig>(&json).unwrap(),
            good
        );

        type Spoil = fn(&mut LongformerConfig);
        let spoils: [(&str, Spoil); 6] = [
            ("model_type", |c| c.model_type = "bert".to_owned()),
            ("hidden_act", |c| c.hidden_act = "relu".to_owned()),
            ("num_attention_heads", |c| c.num_attention_heads = 3),
            ("attention_window", |c| {
                c.attention_window = AttentionWindow::All(3)
            }),
            ("attention_window", |c| {
                c.attention_window = AttentionWindow::PerLayer(vec![4])
            }),
            ("max_position_embeddings", |c| c.max_position_embeddings = 2),
        ];
        for (key, spoil) in spoils {
            let mut bad = good.clone();
            spoil(&mut bad);
            let message = bad.check().unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("config key {key} ")),
                "{message}"
            );
        }
    }
}
