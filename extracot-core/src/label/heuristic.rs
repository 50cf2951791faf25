//! Labels by kind and place.

use super::{Annotator, KeepLabels};
use crate::{AtomKind, AtomizedCot, CoreError, Problem};

/// Labels by kind and place alone: formulas, numbers and the last sentence.
///
/// It knows neither the question nor the solution, so it is the floor that every other annotator
/// has to beat, not labels to report results with.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeuristicAnnotator;

impl Annotator for HeuristicAnnotator {
    /// Labels the atoms of one think text of `problem`; never fails.
    fn annotate(&self, _problem: &Problem, cot: &AtomizedCot) -> Result<KeepLabels, CoreError> {
        let ends = cot.sentence_ends();
        let last_start = ends.len().checked_sub(2).map_or(0, |idx| ends[idx]);
        let is_kept = cot.atoms().iter().enumerate().map(|(atom_idx, atom)| {
            atom_idx >= last_start || matches!(atom.kind, AtomKind::Formula | AtomKind::Number)
        });
        Ok(KeepLabels(is_kept.collect()))
    }

    fn name(&self) -> &'static str {
        "heuristic"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::testing::{kept, problem};

    #[test]
    fn the_heuristic_keeps_formulas_numbers_and_the_last_sentence() {
        let think = "Well, we add $a + b$ to 5 m. It is hard. The end is near.";
        let expected = ["$a + b$", "5 m.", "The", "end", "is", "near."];
        assert_eq!(kept(&HeuristicAnnotator, &problem(None), think), expected);
        assert_eq!(kept(&HeuristicAnnotator, &problem(None), ""), [""; 0]);
    }
}
