//! Supervised fine-tuning examples: what they are made of, their formats, and the curricula that order
//! them.

mod build;
mod curriculum;
pub mod formats;
mod queues;
mod source;
mod tally;
mod text;

use serde::{Deserialize, Serialize};

pub use build::SftBuilder;
pub use curriculum::{FixedRatio, MixedRatio, RatioCurriculum, Stage, StageKeys, StagedMixture};
pub use queues::{QueueCounts, QueueSettings, TraceTexts, build_queues};
pub use source::{Unusable, check_trace};
pub use tally::Tally;
pub use text::{SftText, reserved_marker};

use crate::{ControlToken, KeepLevel};

/// One training sequence; every completion token carries loss, no prompt token does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SftExample {
    /// The problem it came from.
    pub problem_id: String,
    /// What the prompt asks; `None` for a model without control tokens.
    pub control: Option<ControlToken>,
    /// The level the completion carries out.
    pub level: Option<KeepLevel>,
    /// Prompt tokens.
    pub prompt_ids: Vec<u32>,
    /// Completion tokens, the end of turn included.
    pub completion_ids: Vec<u32>,
}
