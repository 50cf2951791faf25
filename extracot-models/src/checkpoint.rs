//! Model folders in Hugging Face layout: `config.json`, weights, `tokenizer.json`.

use std::path::Path;

use burn::tensor::{DType, Device};
use extracot_core::jsonl::write_atomic;
use extracot_core::{CoreError, Seed};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::companions::CompanionFiles;
use crate::weights::{SaveWeights, load_folder, save_folder};
use crate::{CausalLm, Decoder, DecoderConfig, HfTokenizer, ModelError};

/// Reads a JSON file.
///
/// # Errors
///
/// [`ModelError::Core`] if the file cannot be read, [`ModelError::Json`] if it is no `T`.
pub fn load_json<T: DeserializeOwned>(path: &Path) -> Result<T, ModelError> {
    let text = std::fs::read_to_string(path).map_err(CoreError::io("read", path))?;
    serde_json::from_str(&text).map_err(|source| ModelError::Json {
        path: path.to_owned(),
        source,
    })
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

/// Reads the weights of a decoder as `dtype`: f32, or f16 or bf16 for half the memory. Training wants f32.
///
/// Tensors that other code writes and that say nothing new are passed over: the rotary angles of old
/// Llama checkpoints, and the head of a tied model.
///
/// # Errors
///
/// As [`load_folder`].
pub fn load_decoder(
    config: &DecoderConfig,
    folder: &Path,
    dtype: DType,
    device: &Device,
) -> Result<Decoder, ModelError> {
    let tied = config.tie_word_embeddings;
    load_folder(Decoder::new(config, device), folder, dtype, |name| {
        name.ends_with("rotary_emb.inv_freq") || (tied && name == "lm_head.weight")
    })
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
    /// What other tools read beside them.
    pub companions: CompanionFiles,
}

impl PolicyCheckpoint {
    /// Reads a model folder, with weights in f32.
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
        let model = load_decoder(&config, folder, DType::F32, device)?;
        Ok(Self {
            model,
            config,
            tokenizer,
            companions: CompanionFiles::load(folder)?,
        })
    }

    /// Gives the model the control tokens and think tags that its tokenizer lacks. Spare rows of the
    /// embedding are used where there are some, else the table grows; the new rows are drawn like
    /// trained ones ([`crate::init::draw_new_rows`]).
    ///
    /// # Errors
    ///
    /// [`ModelError::Tokenizer`] if the tokenizer cannot hold them.
    pub fn with_control_tokens(mut self, seed: Seed) -> Result<Self, ModelError> {
        let n_trained = self.tokenizer.vocab_size().min(self.config.vocab_size);
        let new_ids = self.tokenizer.add_control_tokens()?;
        let seed = seed.derive("control-tokens", 0);
        self.model = self.model.with_new_tokens(&new_ids, n_trained, seed);
        self.config.vocab_size = self.model.vocab_size();
        Ok(self)
    }

    /// Writes a model folder that transformers and vLLM load: config, weights, tokenizer, and the
    /// companions. The weights are f32.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        self.save_as(folder, &SaveWeights::default())
    }

    /// As [`PolicyCheckpoint::save`], with a choice of dtype and shard size.
    ///
    /// # Errors
    ///
    /// If a file cannot be written, and [`ModelError::Config`] for a dtype other than f32, f16 and
    /// bf16.
    pub fn save_as(&self, folder: &Path, how: &SaveWeights) -> Result<(), ModelError> {
        let mut config = self.config.clone();
        config.dtype = match how.dtype {
            DType::F32 => "float32",
            DType::F16 => "float16",
            DType::BF16 => "bfloat16",
            other => {
                return Err(ModelError::Config {
                    key: "dtype",
                    found: format!("{other:?}"),
                    allowed: "f32, f16 or bf16",
                });
            }
        }
        .to_owned();
        std::fs::create_dir_all(folder).map_err(CoreError::io("create", folder))?;
        save_folder(&self.model, folder, how)?;
        let tokenizer = self.tokenizer.to_json()?;
        write_atomic(&folder.join("tokenizer.json"), |out| {
            out.write_all(tokenizer.as_bytes())
        })?;
        self.companions.save(folder)?;
        save_json(&config, &folder.join("config.json"))
    }
}
