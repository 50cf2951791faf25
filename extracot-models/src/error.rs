//! Every way a model folder, a config or a device can be wrong.

use std::path::PathBuf;

use extracot_core::CoreError;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Bad data below.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A config that no model can be built from.
    #[error("config key {key} = {found} is not allowed: {allowed}")]
    Config {
        /// The Hugging Face key.
        key: &'static str,
        /// The value found.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A JSON file that does not parse.
    #[error("{} does not parse", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// Weights that do not fit the config.
    #[error("{}: {message}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// Which tensors are missing, extra or misshapen.
        message: String,
    },
    /// A tokenizer file that cannot be read, trained or written.
    #[error("tokenizer: {message}")]
    Tokenizer {
        /// What is wrong.
        message: String,
    },
    /// A prompt or text without a token.
    #[error("`{prompt_id}` has no token")]
    EmptyPrompt {
        /// The prompt.
        prompt_id: String,
    },
    /// A prompt that leaves no room for an answer.
    #[error(
        "prompt `{prompt_id}` has {n_tokens} tokens; with {max_new_tokens} new ones it exceeds the \
         model's {max_positions} positions"
    )]
    PromptTooLong {
        /// The prompt.
        prompt_id: String,
        /// Its tokens.
        n_tokens: usize,
        /// Tokens asked for.
        max_new_tokens: usize,
        /// Positions of the model.
        max_positions: usize,
    },
    /// A token that the model does not have.
    #[error(
        "`{prompt_id}` has token id {token_id}, which is not below the model's vocabulary of \
         {vocab_size}; the tokenizer is another model's"
    )]
    TokenId {
        /// The prompt.
        prompt_id: String,
        /// The id.
        token_id: u32,
        /// Entries of the model's vocabulary.
        vocab_size: usize,
    },
    /// A device that failed to give a tensor back.
    #[error("device: {message}")]
    Device {
        /// What burn said.
        message: String,
    },
    /// Logits that are NaN or infinite.
    #[error("non-finite logits for prompt `{prompt_id}` at position {position}")]
    NonFiniteLogits {
        /// The prompt.
        prompt_id: String,
        /// Position among the generated tokens, or in a scored text.
        position: usize,
    },
}

impl ModelError {
    /// The error of a scorer or annotator that runs a model: those of the core stay what they are.
    pub(crate) fn of_scorer(self, what: &'static str) -> CoreError {
        match self {
            Self::Core(error) => error,
            other => CoreError::Scorer {
                what,
                message: other.to_string(),
            },
        }
    }
}
