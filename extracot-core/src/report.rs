//! What an evaluation records of every sample, and what a table says of them.

mod comparison;
mod fidelity;
mod record;
mod repeated;
mod samples;
mod summary;
#[cfg(test)]
mod testing;

pub use comparison::{Comparison, McNemar};
pub use fidelity::{ControlFidelity, LevelPoint, LevelStep, StepFinding};
pub use record::EvalRecord;
pub use repeated::RepeatedSamples;
pub use summary::{DifficultyRow, EvalSummary};

/// Resamples of every bootstrap in a report.
const N_RESAMPLES: usize = 2000;
