//! A model folder as the row-wise commands need it: the tokenizer may be absent.

use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::{DType, Device};
use clap::ValueEnum;
use extracot_core::prompt::{TURN_CLOSE, TURN_OPEN};
use extracot_core::{ChatMl, ChatTemplate, ControlToken, Tokenizer};
use extracot_models::checkpoint::load_decoder;
use extracot_models::{CausalLm, Decoder, DecoderConfig, HfChat, HfTokenizer};
use serde::Serialize;
use serde_json::Value;

/// The values of `--dtype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WeightDtype {
    /// Exact for every checkpoint
    #[default]
    F32,
    /// Half the memory; 11 bits, numbers above 65504 overflow
    F16,
    /// Half the memory; 8 bits
    Bf16,
}

impl From<WeightDtype> for DType {
    fn from(dtype: WeightDtype) -> Self {
        match dtype {
            WeightDtype::F32 => Self::F32,
            WeightDtype::F16 => Self::F16,
            WeightDtype::Bf16 => Self::BF16,
        }
    }
}

/// What is in a model folder.
pub(super) struct LoadedModel {
    pub(super) decoder: Decoder,
    pub(super) config: DecoderConfig,
    pub(super) tokenizer: Option<HfTokenizer>,
    chat: Option<ChatTemplate>,
    /// Ids at which an answer ends.
    pub(super) stop_ids: Vec<u32>,
}

impl LoadedModel {
    pub(super) fn load(
        folder: &Path,
        system: Option<String>,
        dtype: WeightDtype,
        device: &Device,
    ) -> Result<Self> {
        let config = DecoderConfig::load(folder)?;
        let decoder = load_decoder(&config, folder, dtype.into(), device)?;
        let tokenizer = match folder.join("tokenizer.json").is_file() {
            true => Some(HfTokenizer::load(folder)?),
            false => None,
        };
        let chat = chat_template(folder, tokenizer.as_ref(), system)?;
        let mut stop_ids = end_ids(folder, &config)?;
        if let (Some(tokenizer), Some(chat)) = (&tokenizer, &chat) {
            stop_ids.extend(tokenizer.token_id(chat.turn_close()));
        }
        stop_ids.sort_unstable();
        stop_ids.dedup();
        Ok(Self {
            decoder,
            config,
            tokenizer,
            chat,
            stop_ids,
        })
    }

    /// The tokenizer, which a row with text needs.
    pub(super) fn tokenizer(&self) -> Result<&HfTokenizer> {
        self.tokenizer
            .as_ref()
            .context("the model folder has no tokenizer.json; give `input_ids` instead of text")
    }

    /// The chat template, which a row with a question needs.
    pub(super) fn chat(&self) -> Result<&ChatTemplate> {
        self.chat
            .as_ref()
            .context("the model folder has no chat template; give `prompt` instead of `question`")
    }

    /// Fails for a control token that the tokenizer does not have as one token.
    pub(super) fn check_control(&self, control: Option<ControlToken>) -> Result<()> {
        let tokenizer = self.tokenizer()?;
        match control {
            Some(token) if tokenizer.token_id(&token.to_string()).is_none() => {
                bail!("the tokenizer has no {token}; train the model with control tokens first")
            }
            _ => Ok(()),
        }
    }

    /// Fails for an id that the model has no row for.
    pub(super) fn check_vocabulary(&self, ids: &[u32]) -> Result<()> {
        let vocab_size = self.decoder.vocab_size();
        match ids.iter().find(|id| **id as usize >= vocab_size) {
            Some(id) => bail!("token id {id} is not below the vocabulary's {vocab_size}"),
            None => Ok(()),
        }
    }
}

/// The chat template of a folder. Without one of its own, a model whose tokenizer has the ChatML turns
/// speaks ChatML.
pub(super) fn chat_template(
    folder: &Path,
    tokenizer: Option<&HfTokenizer>,
    system: Option<String>,
) -> Result<Option<ChatTemplate>> {
    let has = |token: &str| tokenizer.is_some_and(|t| t.token_id(token).is_some());
    Ok(match HfChat::load(folder, None)? {
        Some(chat) => Some(ChatTemplate::new(chat, system)),
        None if has(TURN_OPEN) && has(TURN_CLOSE) => Some(ChatTemplate::new(ChatMl, system)),
        None => None,
    })
}

/// `eos_token_id` of `generation_config.json`, else of `config.json`: a number or a list.
pub(super) fn end_ids(folder: &Path, config: &DecoderConfig) -> Result<Vec<u32>> {
    let path = folder.join("generation_config.json");
    let generation: Value = match path.is_file() {
        false => Value::Null,
        true => {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_str(&text)
                .with_context(|| format!("{} does not parse", path.display()))?
        }
    };
    let ids = match &generation["eos_token_id"] {
        Value::Null => config.other("eos_token_id").unwrap_or(&Value::Null),
        ids => ids,
    };
    let listed = match ids {
        Value::Array(list) => list.iter().collect(),
        Value::Null => vec![],
        one => vec![one],
    };
    let number = |id: &Value| id.as_u64().and_then(|id| u32::try_from(id).ok());
    listed
        .into_iter()
        .map(|id| number(id).with_context(|| format!("eos_token_id {id} is no token id")))
        .collect()
}
