//! What is asked and what counts as right.

use serde::{Deserialize, Serialize};

/// One problem, as read from a JSON-lines file or made by a generator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Unique within a data set.
    pub id: String,
    /// The text of the question.
    pub question: String,
    /// A worked solution, where the data has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solution: Option<String>,
    /// The gold answer, in the form the verifier reads.
    pub answer: String,
    /// Graded difficulty (for the generator: the number of steps), where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<u32>,
    /// Contents of the options of a multiple-choice question, in order; empty for others. The gold
    /// answer is then a letter, and [`crate::dataset::option_text`] gives the content it stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}
