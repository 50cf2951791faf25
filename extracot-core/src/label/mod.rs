//! Keep labels: which atoms of a think text carry the solution. They are what a compressor learns.

pub mod chat;
mod heuristic;
mod ranges;
mod row;
mod solution;
#[cfg(test)]
mod testing;

use serde::{Deserialize, Serialize};

use crate::{AtomizedCot, CoreError, Problem};

pub use heuristic::HeuristicAnnotator;
pub use ranges::RangeAnnotator;
pub use row::{KeepRangeRow, text_or_number};
pub use solution::SolutionAnnotator;

/// One label per atom: `true` should be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeepLabels(Vec<bool>);

impl KeepLabels {
    /// Labels in atom order.
    pub fn new(is_kept: Vec<bool>) -> Self {
        Self(is_kept)
    }

    /// The labels in atom order.
    pub fn as_slice(&self) -> &[bool] {
        &self.0
    }

    /// Number of atoms that should be kept.
    pub fn n_kept(&self) -> usize {
        self.0.iter().filter(|is_kept| **is_kept).count()
    }
}

/// Labels the atoms of a think text.
///
/// An implementor returns one label per atom and the same labels for the same input. It fails if it
/// has nothing to go by, and does not guess.
pub trait Annotator {
    /// Labels the atoms of one think text of `problem`.
    ///
    /// # Errors
    ///
    /// If the annotator has nothing to go by; see the implementor.
    fn annotate(&self, problem: &Problem, cot: &AtomizedCot) -> Result<KeepLabels, CoreError>;

    /// A short name, for reports.
    fn name(&self) -> &'static str;
}
