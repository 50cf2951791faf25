//! How good decisions to keep are.

use serde::{Deserialize, Serialize};

/// How often decisions to keep agree with keep labels; atoms are counted, not tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepConfusion {
    /// Kept and labeled keep.
    pub kept_right: usize,
    /// Kept but labeled drop.
    pub kept_wrong: usize,
    /// Dropped and labeled drop.
    pub dropped_right: usize,
    /// Dropped but labeled keep.
    pub dropped_wrong: usize,
}

/// Quality of one class, each in `[0, 1]`; 0 where nothing could be right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassQuality {
    /// Share of the decisions for the class that are right.
    pub precision: f64,
    /// Share of the class that is found.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

impl KeepConfusion {
    /// Counts the atoms of one think text by their scores: above 0 is kept.
    ///
    /// # Panics
    ///
    /// If there is not one label per score.
    pub fn add(&mut self, scores: &[f32], is_kept: &[bool]) {
        let decisions: Vec<bool> = scores.iter().map(|score| *score > 0.0).collect();
        self.add_decisions(&decisions, is_kept);
    }

    /// Counts the atoms of one think text by whether each is kept.
    ///
    /// # Panics
    ///
    /// If there is not one label per decision.
    pub fn add_decisions(&mut self, decisions: &[bool], is_kept: &[bool]) {
        assert_eq!(decisions.len(), is_kept.len(), "one label per decision");
        for (decision, is_kept) in decisions.iter().zip(is_kept) {
            let counter = match (*decision, *is_kept) {
                (true, true) => &mut self.kept_right,
                (true, false) => &mut self.kept_wrong,
                (false, false) => &mut self.dropped_right,
                (false, true) => &mut self.dropped_wrong,
            };
            *counter += 1;
        }
    }

    /// Quality of the decisions to keep.
    pub fn of_keep(&self) -> ClassQuality {
        quality(self.kept_right, self.kept_wrong, self.dropped_wrong)
    }

    /// Quality of the decisions to drop.
    pub fn of_drop(&self) -> ClassQuality {
        quality(self.dropped_right, self.dropped_wrong, self.kept_wrong)
    }

    /// Mean of the F1 of both classes: a classifier that knows one class only has at most one half.
    pub fn macro_f1(&self) -> f64 {
        0.5 * (self.of_keep().f1 + self.of_drop().f1)
    }
}

fn quality(n_right: usize, n_wrong: usize, n_missed: usize) -> ClassQuality {
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    ClassQuality {
        precision: share(n_right, n_right + n_wrong),
        recall: share(n_right, n_right + n_missed),
        f1: share(2 * n_right, 2 * n_right + n_wrong + n_missed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_is_that_of_the_counts() {
        let mut confusion = KeepConfusion::default();
        confusion.add(
            &[1.0, 2.0, -1.0, 0.5, -2.0],
            &[true, true, true, false, false],
        );
        // Keep: 2 right, 1 wrong, 1 missed. Drop: 1 right, 1 wrong, 1 missed.
        let keep = confusion.of_keep();
        assert_eq!(
            [keep.precision, keep.recall, keep.f1],
            [2.0 / 3.0, 2.0 / 3.0, 4.0 / 6.0]
        );
        assert_eq!(confusion.of_drop().f1, 0.5);
        assert!((confusion.macro_f1() - (2.0 / 3.0 + 0.5) / 2.0).abs() < 1e-12);
        assert_eq!(KeepConfusion::default().of_keep().f1, 0.0);
    }
}
