//! Rows by what became of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Rows by what became of them: `candidates` is the sum of `used` and of everything dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Rows looked at.
    pub candidates: u64,
    /// Rows that stayed.
    pub used: u64,
    /// Rows that did not, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts a row: used, or dropped for a reason.
    pub fn count(&mut self, outcome: Result<(), &str>) {
        self.candidates += 1;
        match outcome {
            Ok(()) => self.used += 1,
            Err(reason) => *self.dropped.entry(reason.to_owned()).or_default() += 1,
        }
    }
}
