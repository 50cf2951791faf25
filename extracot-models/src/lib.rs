//! Networks of extracot.
#![recursion_limit = "256"]

pub mod attention_mask;
pub mod bigram;
pub mod causal_lm;
pub mod checkpoint;
pub mod companions;
pub mod decoder;
pub mod engine;
pub mod error;
pub mod hf_chat;
pub mod hf_tokenizer;
pub mod init;
pub mod kv_cache;
pub mod longformer;
pub mod lora;
pub mod memory;
pub mod sampling;
pub mod score;
pub mod scorer;
pub mod token_classifier;
pub mod weights;

pub use bigram::BigramLm;
pub use causal_lm::{CausalLm, RaggedBatch};
pub use checkpoint::PolicyCheckpoint;
pub use companions::CompanionFiles;
pub use decoder::{Decoder, DecoderConfig, DecoderFamily, DecoderSize};
pub use engine::{LocalEngine, StopRule};
pub use error::ModelError;
pub use hf_chat::HfChat;
pub use hf_tokenizer::HfTokenizer;
pub use kv_cache::KvCache;
pub use longformer::{Longformer, LongformerConfig, LongformerSize};
pub use lora::{LoraConfig, attach_lora, load_lora, merge_lora, save_lora};
pub use memory::{MemoryEstimate, Workload};
pub use scorer::{ClassifierInput, ClassifierScorer, InputLayout};
pub use token_classifier::{ClassifierBatch, ClassifierRow, LinearClassifier, TokenClassifier};
