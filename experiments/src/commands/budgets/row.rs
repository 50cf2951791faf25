//! Output rows of `extracot budgets`.

use extracot_core::budget::LevelOutcome;
use extracot_core::{KeepLevel, Problem};
use serde::{Deserialize, Serialize};

/// What the reference tokens of a problem are those of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::commands) enum ReferenceSource {
    /// Its right samples at level 100, in the mean.
    Level100,
    /// Its trace in `--traces`.
    Trace,
    /// Its wrong samples at level 100, in the mean.
    Level100Wrong,
}

impl ReferenceSource {
    /// Its name in rows and reports.
    pub(in crate::commands) fn name(self) -> &'static str {
        match self {
            Self::Level100 => "level100",
            Self::Trace => "trace",
            Self::Level100Wrong => "level100_wrong",
        }
    }
}

/// A problem with its teacher budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::commands) struct BudgetRow {
    pub(in crate::commands) id: String,
    pub(in crate::commands) question: String,
    pub(in crate::commands) answer: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::commands) options: Vec<String>,
    /// Null if no level passes.
    pub(in crate::commands) budget: Option<KeepLevel>,
    /// One per level.
    pub(in crate::commands) outcomes: Vec<LevelOutcome>,
    pub(in crate::commands) reference_tokens: usize,
    pub(in crate::commands) reference_source: ReferenceSource,
}

impl BudgetRow {
    pub(in crate::commands) fn new(
        problem: &Problem,
        budget: Option<KeepLevel>,
        outcomes: Vec<LevelOutcome>,
        (reference_tokens, reference_source): (usize, ReferenceSource),
    ) -> Self {
        Self {
            id: problem.id.clone(),
            question: problem.question.clone(),
            answer: problem.answer.clone(),
            options: problem.options.clone(),
            budget,
            outcomes,
            reference_tokens,
            reference_source,
        }
    }

    /// The name of its bucket.
    pub(in crate::commands) fn bucket(&self) -> String {
        self.budget
            .map_or_else(|| "none".to_owned(), |level| level.to_string())
    }
}
