//! Model folders in Hugging Face layout: `config.json`, weights, `tokenizer.json`.

use std::path::Path;

use burn::tensor::{DType, Device};
use extracot_core::Seed;
use extracot_core::jsonl::write_atomic;
use serde::Serialize;

use crate::weights::{WEIGHTS, load_folder, save_weights};
use crate::{CausalLm, Decoder, DecoderConfig, HfTokenizer, ModelError};

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

/// Reads the weights of a decoder, in f32.
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
    device: &Device,
) -> Result<Decoder, ModelError> {
    let tied = config.tie_word_embeddings;
    load_folder(Decoder::new(config, device), folder, DType::F32, |name| {
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
        let model = load_decoder(&config, folder, device)?;
        Ok(Self {
            model,
            config,
            tokenizer,
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
