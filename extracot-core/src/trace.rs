//! A full, uncompressed answer that is the source of compressed ones.

use serde::{Deserialize, Serialize};

use crate::Problem;

/// A problem with one uncompressed think text and visible answer, known to be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasoningTrace {
    /// What was asked.
    pub problem: Problem,
    /// The think text, uncompressed.
    pub think: String,
    /// The visible answer, verbatim.
    pub visible: String,
    /// Tokens of `think`, by the policy's tokenizer.
    pub think_tokens: usize,
}
