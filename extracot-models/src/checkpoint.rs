//! Model folders in Hugging Face layout: `config.json`, `model.safetensors`, `tokenizer.json`.

use std::path::Path;

use burn::module::Module;
use burn::store::{
    BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, PyTorchToBurnAdapter,
    SafetensorsStore,
};
use burn::tensor::{DType, Device};
use extracot_core::jsonl::write_atomic;
use serde::Serialize;

use crate::{Decoder, DecoderConfig, HfTokenizer, ModelError};

/// File name of the weights.
pub const WEIGHTS: &str = "model.safetensors";

/// Writes the weights of `module` under their Hugging Face names.
///
/// # Errors
///
/// [`ModelError::Weights`] if they cannot be read from the device, [`ModelError::Core`] if the file
/// cannot be written; an earlier file is then untouched.
pub fn save_weights<M: Module>(module: &M, path: &Path) -> Result<(), ModelError> {
    let weights_error = |error: String| ModelError::Weights {
        path: path.to_owned(),
        message: error,
    };
    let mut store = SafetensorsStore::from_bytes(None)
        .with_to_adapter(BurnToPyTorchAdapter)
        .clear_metadata();
    module
        .save_into(&mut store)
        .map_err(|error| weights_error(error.to_string()))?;
    let bytes = store
        .get_bytes()
        .map_err(|error| weights_error(error.to_string()))?;
    write_atomic(path, |out| out.write_all(&bytes))?;
    Ok(())
}

/// Reads the weights of `module`, as f32; every tensor must be there and none besides.
///
/// # Errors
///
/// [`ModelError::Weights`] names the tensors that are missing, extra or misshapen.
pub fn load_weights<M: Module>(mut module: M, path: &Path) -> Result<M, ModelError> {
    let weights_error = |message: String| ModelError::Weights {
        path: path.to_owned(),
        message,
    };
    if !path.is_file() {
        return Err(weights_error("no such file".to_owned()));
    }
    let adapter = PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32));
    let mut store = SafetensorsStore::from_file(path)
        .with_from_adapter(adapter)
        .allow_partial(true);
    let applied = module
        .load_from(&mut store)
        .map_err(|error| weights_error(error.to_string()))?;
    let mut problems: Vec<String> = Vec::new();
    problems.extend(
        applied
            .missing
            .iter()
            .map(|name| format!("missing {name:?}")),
    );
    problems.extend(
        applied
            .unused
            .iter()
            .map(|name| format!("unexpected {name:?}")),
    );
    problems.extend(applied.errors.iter().map(|error| format!("{error:?}")));
    if problems.is_empty() {
        Ok(module)
    } else {
        Err(weights_error(problems.join(", ")))
    }
}

/// Writes `value` as pretty JSON.
///
/// # Errors
///
/// [`ModelError::Core`] if the file cannot be written.
pub fn save_json<T: Serialize>(value: &T, path: &Path) -> Result<(), ModelError> {
    write_atomic(path, |out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        out.write_all(b"\n")
    })?;
    Ok(())
}

/// A decoder with its config and tokenizer.
#[derive(Debug, Clone)]
pub struct PolicyCheckpoint {
    /// The weights.
    pub model: Decoder,
    /// Sizes and constants.
    pub config: DecoderConfig,
    /// The one token unit.
    pub tokenizer: HfTokenizer,
}

impl PolicyCheckpoint {
    /// Reads a model folder.
    ///
    /// # Errors
    ///
    /// If a file is missing or malformed, or the weights do not fit the config.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let config = DecoderConfig::load(folder)?;
        let tokenizer = HfTokenizer::load(folder)?;
        if tokenizer.vocab_size() > config.vocab_size {
            return Err(ModelError::Config {
                key: "vocab_size",
                found: config.vocab_size.to_string(),
                allowed: "at least the tokenizer's entries",
            });
        }
        let model = load_weights(Decoder::new(&config, device), &folder.join(WEIGHTS))?;
        Ok(Self {
            model,
            config,
            tokenizer,
        })
    }

    /// Writes a model folder.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        std::fs::create_dir_all(folder).map_err(extracot_core::CoreError::io("create", folder))?;
        save_weights(&self.model, &folder.join(WEIGHTS))?;
        let tokenizer = self.tokenizer.to_json()?;
        write_atomic(&folder.join("tokenizer.json"), |out| {
            out.write_all(tokenizer.as_bytes())
        })?;
        save_json(&self.config, &folder.join("config.json"))
    }
}
