//! What the tests of the annotators share.

use super::Annotator;
use crate::{Problem, segment};

pub(super) fn problem(solution: Option<&str>) -> Problem {
    Problem {
        id: "p".to_owned(),
        question: "How many clips?".to_owned(),
        solution: solution.map(str::to_owned),
        answer: "72".to_owned(),
        difficulty: None,
        options: Vec::new(),
    }
}

pub(super) fn kept(annotator: &dyn Annotator, problem: &Problem, think: &str) -> Vec<String> {
    let cot = segment(think);
    let labels = annotator.annotate(problem, &cot).unwrap();
    let is_kept = |idx: &usize| labels.as_slice()[*idx];
    (0..cot.n_atoms())
        .filter(is_kept)
        .map(|idx| cot.core_text(idx).to_owned())
        .collect()
}
