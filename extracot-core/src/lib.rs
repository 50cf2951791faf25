//! Extra-CoT without tensors.
#![warn(missing_docs)]

pub mod advantage;
pub mod atom;
pub mod budget;
pub mod compress;
pub mod control;
pub mod dataset;
pub mod digest;
pub mod error;
pub mod jsonl;
pub mod label;
pub mod problem;
pub mod prompt;
pub mod ratio;
pub mod report;
pub mod response;
pub mod reward;
pub mod rollout;
pub mod seed;
pub mod sft;
pub mod stats;
pub mod tokenizer;
pub mod trace;
pub mod verify;

pub use atom::{Atom, AtomKind, AtomizedCot, segment, segment_words};
pub use compress::{CompressedCot, Compressor, KeepMask, KeepScorer, KeepScores, ScoredCot};
pub use control::ControlToken;
pub use error::CoreError;
pub use label::{Annotator, KeepLabels};
pub use problem::Problem;
pub use prompt::{ChatMessage, ChatMl, ChatRenderer, ChatTemplate};
pub use ratio::{KeepLevel, KeepRatio};
pub use response::{Response, ResponseParser, ThinkState, ThinkText};
pub use rollout::{
    FinishReason, Prompt, RecordedRollout, ReplayEngine, Rollout, RolloutEngine, RolloutGroup,
    SamplingParams,
};
pub use seed::Seed;
pub use tokenizer::{ByteTokenizer, Tokenizer};
pub use trace::ReasoningTrace;
pub use verify::{AnswerVerifier, MathVerifier, Verdict};
