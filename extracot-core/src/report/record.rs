//! One evaluated sample.

use serde::{Deserialize, Serialize};

use crate::verify::ExtractionRule;
use crate::{ControlToken, FinishReason, KeepLevel, ThinkState, Verdict};

/// One evaluated sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalRecord {
    /// The problem.
    pub problem_id: String,
    /// Number of the sample among all of the problem; those of several seeds are numbered through.
    #[serde(default)]
    pub sample_idx: usize,
    /// The problem's graded difficulty, where known.
    pub difficulty: Option<u32>,
    /// What the prompt asked; `None` for a model without control tokens.
    pub asked: Option<ControlToken>,
    /// The level the completion states first.
    pub chosen: Option<KeepLevel>,
    /// Verdict on the visible answer.
    pub verdict: Verdict,
    /// The answer in the visible part, as written.
    #[serde(default)]
    pub extracted: Option<String>,
    /// How it was found.
    #[serde(default)]
    pub extraction: Option<ExtractionRule>,
    /// Whether there is one think text, opened and closed.
    pub think_state: ThinkState,
    /// Why generation ended.
    pub finish: FinishReason,
    /// Think tokens; every generated token unless the think text is closed.
    pub think_tokens: usize,
    /// All generated tokens.
    pub total_tokens: usize,
    /// The decoded completion.
    pub text: String,
    /// Whether there is no completion, as its request failed. It counts as not right and with the
    /// lengths above, and is left out of every rate but its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_open: bool,
}

impl EvalRecord {
    /// 1 for a right answer, else 0.
    pub(super) fn score(&self) -> f64 {
        f64::from(u8::from(self.verdict.is_correct()))
    }

    /// Think tokens as a number to average.
    pub(super) fn length(&self) -> f64 {
        self.think_tokens as f64
    }
}
