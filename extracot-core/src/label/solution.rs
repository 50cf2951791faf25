//! Labels by a worked solution.

use std::collections::BTreeSet;

use super::{Annotator, KeepLabels};
use crate::atom::anchor::{equations, holds_answer};
use crate::{AtomKind, AtomizedCot, CoreError, Problem};

/// Labels by the worked solution ([`Problem::solution`]).
///
/// Kept are the formulas with an equation that the solution has too, the first time each, and what
/// carries the gold answer in the last sentence that states it. Equations are compared in one
/// spelling ([`equations`]).
///
/// # Source
///
/// Our own: labels without a labeling model, for data with worked solutions.
#[derive(Debug, Clone, Copy, Default)]
pub struct SolutionAnnotator;

impl Annotator for SolutionAnnotator {
    /// Labels the atoms of one think text of `problem`.
    ///
    /// # Errors
    ///
    /// [`CoreError::NothingToAnnotate`] if the problem has no worked solution.
    fn annotate(&self, problem: &Problem, cot: &AtomizedCot) -> Result<KeepLabels, CoreError> {
        let solution = problem
            .solution
            .as_deref()
            .ok_or_else(|| CoreError::NothingToAnnotate {
                problem_id: problem.id.clone(),
                wanted: "worked solution",
            })?;
        let mut wanted: BTreeSet<String> = equations(solution).into_iter().collect();
        let mut is_kept = vec![false; cot.n_atoms()];
        for (atom_idx, atom) in cot.atoms().iter().enumerate() {
            if atom.kind == AtomKind::Formula {
                for equation in equations(cot.core_text(atom_idx)) {
                    is_kept[atom_idx] |= wanted.remove(&equation);
                }
            }
        }
        keep_conclusion(cot, &problem.answer, &mut is_kept);
        Ok(KeepLabels(is_kept))
    }

    fn name(&self) -> &'static str {
        "solution"
    }
}

/// Keeps the atoms with the answer in the last sentence that has one.
fn keep_conclusion(cot: &AtomizedCot, answer: &str, is_kept: &mut [bool]) {
    let ends = cot.sentence_ends();
    for (sentence_idx, end) in ends.iter().enumerate().rev() {
        let start = sentence_idx.checked_sub(1).map_or(0, |prev| ends[prev]);
        let mut is_conclusion = false;
        for (offset, is_kept) in is_kept[start..*end].iter_mut().enumerate() {
            let holds = holds_answer(cot.core_text(start + offset), answer);
            *is_kept |= holds;
            is_conclusion |= holds;
        }
        if is_conclusion {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::testing::{kept, problem};
    use crate::segment;

    #[test]
    fn the_solution_picks_its_equations_once_and_the_answer() {
        let solved = problem(Some(
            "She sold 48/2 = <<48/2=24>>24 clips in May.\nIn all 48+24 = <<48+24=72>>72 clips.",
        ));
        let think = "Half of 48 is $48 / 2 = 24$. Or $48 - 24 = 24$? Again, $48/2=24$. \
                     So \\(48 + 24 = 72\\). Hence she sold 72 clips. Done.";
        assert_eq!(
            kept(&SolutionAnnotator, &solved, think),
            ["$48 / 2 = 24$.", "\\(48 + 24 = 72\\).", "72"]
        );
        match SolutionAnnotator.annotate(&problem(None), &segment(think)) {
            Err(CoreError::NothingToAnnotate { problem_id, .. }) => assert_eq!(problem_id, "p"),
            other => panic!("{other:?}"),
        }
    }
}
