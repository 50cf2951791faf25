//! Keep labels: which atoms of a think text carry the solution. They are what a compressor learns.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::atom::anchor::{equations, holds_answer};
use crate::{AtomKind, AtomizedCot, CoreError, Problem};

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

/// Keep ranges of one problem, as a labeling run writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepRangeRow {
    /// The problem's id.
    pub id: String,
    /// Ranges of atoms, `"005-012"` or `"7"`: 1-based, both ends included.
    pub ranges: Vec<String>,
}

/// Labels from ranges of atoms that a labeling run has written.
///
/// # Source
///
/// The format of the reference's labeling: 1-based closed ranges, padded with zeros.
#[derive(Debug, Clone, Default)]
pub struct RangeAnnotator {
    ranges: BTreeMap<String, Vec<(usize, usize)>>,
}

impl RangeAnnotator {
    /// An annotator that knows the ranges of these problems.
    ///
    /// # Errors
    ///
    /// [`CoreError::KeepRangeText`] if a range cannot be read or an id comes twice.
    pub fn try_new(rows: impl IntoIterator<Item = KeepRangeRow>) -> Result<Self, CoreError> {
        let mut ranges = BTreeMap::new();
        for row in rows {
            let fail = |message: String| CoreError::KeepRangeText {
                problem_id: row.id.clone(),
                message,
            };
            let parsed = row
                .ranges
                .iter()
                .map(|text| parse_range(text))
                .collect::<Result<Vec<_>, String>>()
                .map_err(fail)?;
            if ranges.insert(row.id.clone(), parsed).is_some() {
                return Err(fail("the id comes twice".to_owned()));
            }
        }
        Ok(Self { ranges })
    }
}

fn parse_range(text: &str) -> Result<(usize, usize), String> {
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    let index = |part: &str| {
        part.trim()
            .parse::<usize>()
            .map_err(|_| format!("`{text}` is not a range such as 005-012"))
    };
    let (start, end) = (index(start)?, index(end)?);
    if start == 0 || end < start {
        return Err(format!("`{text}` has to rise from 1"));
    }
    Ok((start, end))
}

impl Annotator for RangeAnnotator {
    /// Labels the atoms of one think text of `problem`.
    ///
    /// # Errors
    ///
    /// [`CoreError::NothingToAnnotate`] if the problem is unknown, [`CoreError::KeepRange`] if a
    /// range goes past the last atom.
    fn annotate(&self, problem: &Problem, cot: &AtomizedCot) -> Result<KeepLabels, CoreError> {
        let ranges = self
            .ranges
            .get(&problem.id)
            .ok_or_else(|| CoreError::NothingToAnnotate {
                problem_id: problem.id.clone(),
                wanted: "keep ranges",
            })?;
        let n_atoms = cot.n_atoms();
        let mut is_kept = vec![false; n_atoms];
        for (start, end) in ranges.iter().copied() {
            is_kept
                .get_mut(start - 1..end)
                .ok_or(CoreError::KeepRange {
                    start,
                    end,
                    n_atoms,
                })?
                .fill(true);
        }
        Ok(KeepLabels(is_kept))
    }

    fn name(&self) -> &'static str {
        "ranges"
    }
}

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
    use crate::segment;

    fn problem(solution: Option<&str>) -> Problem {
        Problem {
            id: "p".to_owned(),
            question: "How many clips?".to_owned(),
            solution: solution.map(str::to_owned),
            answer: "72".to_owned(),
            difficulty: None,
        }
    }

    fn kept(annotator: &dyn Annotator, problem: &Problem, think: &str) -> Vec<String> {
        let cot = segment(think);
        let labels = annotator.annotate(problem, &cot).unwrap();
        let is_kept = |idx: &usize| labels.as_slice()[*idx];
        (0..cot.n_atoms())
            .filter(is_kept)
            .map(|idx| cot.core_text(idx).to_owned())
            .collect()
    }

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

    #[test]
    fn ranges_count_from_one_and_include_both_ends() {
        let row = |ranges: &[&str]| KeepRangeRow {
            id: "p".to_owned(),
            ranges: ranges.iter().map(|range| (*range).to_owned()).collect(),
        };
        let annotator = RangeAnnotator::try_new([row(&["001-002", "004-004", "5"])]).unwrap();
        assert_eq!(
            kept(&annotator, &problem(None), "a b c d e f"),
            ["a", "b", "d", "e"]
        );

        let too_far = annotator
            .annotate(&problem(None), &segment("a b c"))
            .unwrap_err();
        assert!(matches!(
            too_far,
            CoreError::KeepRange {
                start: 4,
                end: 4,
                n_atoms: 3
            }
        ));
        let mut stranger = problem(None);
        stranger.id = "q".to_owned();
        let unknown = annotator
            .annotate(&stranger, &segment("a"))
            .unwrap_err()
            .to_string();
        assert_eq!(unknown, "problem `q` has no keep ranges");
        for bad in ["000-002", "3-2", "a-b", "", "1-2-3", "-4"] {
            let error = RangeAnnotator::try_new([row(&[bad])]).unwrap_err();
            assert!(matches!(error, CoreError::KeepRangeText { .. }), "{bad}");
        }
        assert!(RangeAnnotator::try_new([row(&[]), row(&[])]).is_err());
    }

    #[test]
    fn the_heuristic_keeps_formulas_numbers_and_the_last_sentence() {
        let think = "Well, we add $a + b$ to 5 m. It is hard. The end is near.";
        let expected = ["$a + b$", "5 m.", "The", "end", "is", "near."];
        assert_eq!(kept(&HeuristicAnnotator, &problem(None), think), expected);
        assert_eq!(kept(&HeuristicAnnotator, &problem(None), ""), [""; 0]);
    }
}
