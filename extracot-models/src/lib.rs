//! Networks of extracot.
#![recursion_limit = "256"]

pub mod attribution;
pub mod bigram;
pub mod causal_lm;
pub mod checkpoint;
pub mod classifier_checkpoint;
pub mod companions;
#[cfg(test)]
mod count_lm;
pub mod decoder;
mod encoder;
pub mod engine;
pub mod error;
pub mod hf_chat;
pub mod hf_tokenizer;
pub mod init;
pub mod kv_cache;
pub mod llmlingua2;
pub mod longformer;
pub mod lora;
pub mod memory;
pub mod roberta;
pub mod sampling;
pub mod score;
pub mod scorer;
pub mod surprisal;
mod think_prompt;
pub mod token_classifier;
pub mod weights;

pub use attribution::{Attribution, AttributionAnnotator, AttributionRule};
pub use bigram::BigramLm;
pub use causal_lm::{CausalLm, PackedRows, RaggedBatch};
pub use checkpoint::PolicyCheckpoint;
pub use classifier_checkpoint::{ClassifierCheckpoint, ClassifierConfig, FolderClassifier};
pub use companions::CompanionFiles;
pub use decoder::{Decoder, DecoderConfig, DecoderFamily, DecoderSize};
pub use engine::{LocalEngine, ROWS_FOR_LARGE_PAGES, StopRule};
pub use error::ModelError;
pub use hf_chat::HfChat;
pub use hf_tokenizer::HfTokenizer;
pub use kv_cache::KvCache;
pub use llmlingua2::LlmLingua2;
pub use longformer::{Longformer, LongformerConfig, LongformerSize};
pub use lora::{LoraConfig, attach_lora, load_lora, merge_lora, save_lora};
pub use memory::{MemoryEstimate, TrainingRows, Workload};
pub use roberta::{Roberta, RobertaConfig};
pub use scorer::{ClassifierInput, ClassifierScorer, InputLayout, Pooling};
pub use surprisal::SurprisalScorer;
pub use token_classifier::{ClassifierBatch, ClassifierRow, LinearClassifier, TokenClassifier};
