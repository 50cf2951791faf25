//! Networks of extracot.
#![recursion_limit = "256"]

pub mod attention_mask;
pub mod bigram;
pub mod causal_lm;
pub mod decoder;
pub mod error;
pub mod init;
pub mod kv_cache;
pub mod longformer;
pub mod score;
pub mod scorer;
pub mod token_classifier;
pub mod weights;

pub use bigram::BigramLm;
pub use causal_lm::{CausalLm, RaggedBatch};
pub use decoder::{Decoder, DecoderConfig, DecoderFamily, DecoderSize};
pub use error::ModelError;
pub use kv_cache::KvCache;
pub use longformer::{Longformer, LongformerConfig, LongformerSize};
pub use scorer::{ClassifierInput, ClassifierScorer, InputLayout};
pub use token_classifier::{ClassifierBatch, ClassifierRow, LinearClassifier, TokenClassifier};
pub mod checkpoint;
pub mod hf_chat;
pub mod hf_tokenizer;
pub use checkpoint::PolicyCheckpoint;
pub use hf_chat::HfChat;
pub use hf_tokenizer::HfTokenizer;
pub mod engine;
pub mod sampling;
pub use engine::{LocalEngine, StopRule};
