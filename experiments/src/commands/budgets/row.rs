//! Output rows of `extracot budgets`.

use extracot_core::budget::LevelOutcome;
use extracot_core::{KeepLevel, Problem};
use serde::{Deserialize, Serialize};

/// What the reference tokens of a problem are those of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReferenceSource {
    /// Its right samples at level 100, in the mean.
    Level100,
    /// Its trace in `--traces`.
    Trace,
    /// Its wrong samples at level 100, in the mean.
    Level100Wrong,
}

impl ReferenceSource {
    /// Its name in rows and reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Level100 => "level100",
            Self::Trace => "trace",
            Self::Level100Wrong => "level100_wrong",
        }
    }
}

/// A problem with its teacher budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct BudgetRow {
    pub(super) id: String,
    pub(super) question: String,
    pub(super) answer: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) options: Vec<String>,
    /// Null if no level passes.
    pub(super) budget: Option<KeepLevel>,
    /// One per level.
    pub(super) outcomes: Vec<LevelOutcome>,
    pub(super) reference_tokens: usize,
    pub(super) reference_source: ReferenceSource,
}

impl BudgetRow {
    pub(super) fn new(
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
    pub(super) fn bucket(&self) -> String {
        self.budget
            .map_or_else(|| "none".to_owned(), |level| level.to_string())
    }
}
