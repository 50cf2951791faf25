//! Token classifiers in Hugging Face layout, of whichever family: `config.json` and weights.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};
use extracot_core::CoreError;
use serde::{Deserialize, Serialize};

use crate::checkpoint::{load_json, save_json};
use crate::weights::{SaveWeights, load_folder, save_folder};
use crate::{
    ClassifierBatch, Longformer, LongformerConfig, ModelError, Roberta, RobertaConfig,
    TokenClassifier,
};

/// A classifier of the family that its folder names.
#[derive(Module, Debug)]
pub enum FolderClassifier {
    /// `longformer`.
    Longformer(Longformer),
    /// `roberta` or `xlm-roberta`.
    Roberta(Roberta),
}

impl TokenClassifier for FolderClassifier {
    fn vocab_size(&self) -> usize {
        match self {
            Self::Longformer(model) => model.vocab_size(),
            Self::Roberta(model) => model.vocab_size(),
        }
    }

    fn max_positions(&self) -> usize {
        match self {
            Self::Longformer(model) => model.max_positions(),
            Self::Roberta(model) => model.max_positions(),
        }
    }

    fn forward(&self, batch: &ClassifierBatch, device: &Device) -> Tensor<3> {
        match self {
            Self::Longformer(model) => model.forward(batch, device),
            Self::Roberta(model) => model.forward(batch, device),
        }
    }
}

/// The config of a classifier of either family.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ClassifierConfig {
    /// `longformer`.
    Longformer(LongformerConfig),
    /// `roberta` or `xlm-roberta`.
    Roberta(RobertaConfig),
}

/// The key that names the family.
#[derive(Deserialize)]
struct Family {
    model_type: String,
}

impl ClassifierConfig {
    /// Reads and checks `config.json` of a model folder.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or does not parse; [`ModelError::Config`] for another `model_type`
    /// and for what a family does not support.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let Family { model_type } = load_json(&folder.join("config.json"))?;
        match model_type.as_str() {
            "longformer" => LongformerConfig::load(folder).map(Self::Longformer),
            "roberta" | "xlm-roberta" => RobertaConfig::load(folder).map(Self::Roberta),
            _ => Err(ModelError::Config {
                key: "model_type",
                found: model_type,
                allowed: "a token classifier is `longformer`, `roberta` or `xlm-roberta`",
            }),
        }
    }

    /// A classifier whose weights are all zero or one.
    pub fn init(&self, device: &Device) -> FolderClassifier {
        match self {
            Self::Longformer(config) => {
                FolderClassifier::Longformer(Longformer::new(config, device))
            }
            Self::Roberta(config) => FolderClassifier::Roberta(Roberta::new(config, device)),
        }
    }

    fn with_float32(mut self) -> Self {
        let dtype = match &mut self {
            Self::Longformer(config) => &mut config.torch_dtype,
            Self::Roberta(config) => &mut config.torch_dtype,
        };
        "float32".clone_into(dtype);
        self
    }
}

/// A token classifier with its config.
#[derive(Debug, Clone)]
pub struct ClassifierCheckpoint {
    /// The weights.
    pub model: FolderClassifier,
    /// Sizes and constants.
    pub config: ClassifierConfig,
}

impl ClassifierCheckpoint {
    /// Reads a model folder, with weights in f32 whatever they are stored in.
    ///
    /// Tensors that other code writes and that the logits do not depend on are passed over, by name:
    /// the tables `embeddings.position_ids` and `embeddings.token_type_ids`, which count, and the
    /// `pooler`, which reads the first token for tasks on whole texts.
    ///
    /// # Errors
    ///
    /// As [`ClassifierConfig::load`] and [`load_folder`].
    pub fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let config = ClassifierConfig::load(folder)?;
        // The names in the files do not tell the variant, so each is loaded on its own.
        let model = match config.init(device) {
            FolderClassifier::Longformer(model) => {
                FolderClassifier::Longformer(load_weights_of(model, folder)?)
            }
            FolderClassifier::Roberta(model) => {
                FolderClassifier::Roberta(load_weights_of(model, folder)?)
            }
        };
        Ok(Self { model, config })
    }

    /// Writes a model folder that transformers loads: f32 weights, then the config.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        std::fs::create_dir_all(folder).map_err(CoreError::io("create", folder))?;
        let how = SaveWeights::default();
        match &self.model {
            FolderClassifier::Longformer(model) => save_folder(model, folder, &how)?,
            FolderClassifier::Roberta(model) => save_folder(model, folder, &how)?,
        }
        let config = self.config.clone().with_float32();
        save_json(&config, &folder.join("config.json"))
    }
}

fn load_weights_of<M: Module>(model: M, folder: &Path) -> Result<M, ModelError> {
    load_folder(model, folder, DType::F32, is_spare)
}

/// Whether the logits do not depend on a tensor of a checkpoint.
fn is_spare(name: &str) -> bool {
    let name = ["longformer.", "roberta."]
        .iter()
        .find_map(|model| name.strip_prefix(model));
    matches!(
        name,
        Some(
            "embeddings.position_ids"
                | "embeddings.token_type_ids"
                | "pooler.dense.weight"
                | "pooler.dense.bias"
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_family_is_refused_with_those_that_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let load = |config: &str| {
            std::fs::write(folder.path().join("config.json"), config).unwrap();
            ClassifierConfig::load(folder.path()).unwrap_err()
        };
        let unknown = load(r#"{"model_type": "bert"}"#);
        assert!(matches!(
            unknown,
            ModelError::Config {
                key: "model_type",
                ..
            }
        ));
        let unknown = unknown.to_string();
        for name in ["bert", "longformer", "roberta", "xlm-roberta"] {
            assert!(unknown.contains(name), "{unknown}");
        }
        assert!(matches!(load("{}"), ModelError::Json { .. }));
        assert!(matches!(load("{\"model_ty"), ModelError::Json { .. }));
    }

    #[test]
    fn only_tensors_without_effect_are_passed_over() {
        for name in [
            "roberta.embeddings.position_ids",
            "longformer.pooler.dense.bias",
        ] {
            assert!(is_spare(name), "{name}");
        }
        for name in [
            "roberta.embeddings.word_embeddings.weight",
            "classifier.weight",
            "position_ids",
            "lm_head.weight",
            "roberta.encoder.layer.0.pooler.dense.weight",
        ] {
            assert!(!is_spare(name), "{name}");
        }
    }
}
