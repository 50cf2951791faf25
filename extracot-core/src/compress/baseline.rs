//! Scorers without a model: baselines to compare with, and test doubles.

use std::collections::BTreeMap;

use rand::RngExt;

use super::{KeepScorer, KeepScores};
use crate::label::HeuristicAnnotator;
use crate::{Annotator, AtomizedCot, CoreError, KeepLabels, Problem, Seed};

/// Independent uniform scores in [0, 1), the same for the same seed and think text.
#[derive(Debug, Clone, Copy)]
pub struct RandomScorer {
    seed: Seed,
}

impl RandomScorer {
    /// A scorer of this seed.
    pub fn new(seed: Seed) -> Self {
        Self { seed }
    }
}

impl KeepScorer for RandomScorer {
    fn score(&self, _question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
        // The text is the label, so that no score depends on the order of the items.
        let mut rng = self
            .seed
            .derive("random-scorer", 0)
            .derive(cot.text(), 0)
            .rng();
        let scores = (0..cot.n_atoms()).map(|_| rng.random::<f32>()).collect();
        KeepScores::try_new(scores, cot.n_atoms())
    }
}

/// Scores by place alone: keeps one end of the think text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PositionScorer {
    /// Earlier atoms score higher: what is kept is a beginning.
    #[default]
    First,
    /// Later atoms score higher: what is kept is an end.
    Last,
}

impl KeepScorer for PositionScorer {
    fn score(&self, _question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
        let n_atoms = cot.n_atoms();
        let scores = (0..n_atoms).map(|atom_idx| {
            let n_before = match self {
                Self::First => n_atoms - atom_idx,
                Self::Last => atom_idx + 1,
            };
            n_before as f32 / n_atoms as f32
        });
        KeepScores::try_new(scores.collect(), n_atoms)
    }
}

/// Scores 1 what [`HeuristicAnnotator`] keeps and 0 the rest: formulas, numbers, the last sentence.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeuristicScorer;

impl KeepScorer for HeuristicScorer {
    fn score(&self, question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
        let problem = Problem {
            id: String::new(),
            question: question.to_owned(),
            solution: None,
            answer: String::new(),
            difficulty: None,
            options: Vec::new(),
        };
        let labels = HeuristicAnnotator.annotate(&problem, cot)?;
        KeepScores::try_new(zero_or_one(&labels), cot.n_atoms())
    }
}

fn zero_or_one(labels: &KeepLabels) -> Vec<f32> {
    let labels = labels.as_slice().iter();
    labels
        .map(|is_kept| f32::from(u8::from(*is_kept)))
        .collect()
}

/// Scores 1 what is labeled to be kept and 0 the rest: the best a scorer can learn from the labels.
#[derive(Debug, Clone, Default)]
pub struct LabelScorer {
    labels: BTreeMap<String, KeepLabels>,
}

impl LabelScorer {
    /// A scorer that knows the labels of these think texts.
    pub fn new(labels: impl IntoIterator<Item = (String, KeepLabels)>) -> Self {
        Self {
            labels: labels.into_iter().collect(),
        }
    }
}

impl KeepScorer for LabelScorer {
    /// Scores one think text by its labels.
    ///
    /// # Errors
    ///
    /// [`CoreError::Scorer`] if the text has no labels, [`CoreError::ScoreCount`] if they are for
    /// another number of atoms.
    fn score(&self, _question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
        let labels = self
            .labels
            .get(cot.text())
            .ok_or_else(|| CoreError::Scorer {
                what: "label scorer",
                message: format!("no labels for a text of {} bytes", cot.text().len()),
            })?;
        KeepScores::try_new(zero_or_one(labels), cot.n_atoms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment;

    #[test]
    fn random_scores_depend_on_seed_and_text_only() {
        let (a, b) = (segment("one two three"), segment("one two four"));
        let scorer = RandomScorer::new(Seed(1));
        let alone = scorer.score("q", &b).unwrap();
        assert_eq!(
            scorer.score_batch(&[("x", &a), ("y", &b)]).unwrap()[1],
            alone
        );
        assert_ne!(scorer.score("q", &a).unwrap(), alone);
        assert_ne!(RandomScorer::new(Seed(2)).score("q", &b).unwrap(), alone);
        assert!(
            alone
                .as_slice()
                .iter()
                .all(|score| (0.0..1.0).contains(score))
        );
    }

    #[test]
    fn the_heuristic_scores_what_it_keeps() {
        let cot = segment("add 2 well. So done.");
        let scores = HeuristicScorer.score("", &cot).unwrap();
        assert_eq!(scores.as_slice(), [0.0, 1.0, 0.0, 1.0, 1.0]);
    }

    #[test]
    fn positions_score_in_order() {
        let cot = segment("a b c d");
        let first = PositionScorer::First.score("", &cot).unwrap();
        assert_eq!(first.as_slice(), [1.0, 0.75, 0.5, 0.25]);
        let last = PositionScorer::Last.score("", &cot).unwrap();
        assert_eq!(last.as_slice(), [0.25, 0.5, 0.75, 1.0]);
        assert!(
            PositionScorer::First
                .score("", &segment(""))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn labels_become_scores_and_unknown_texts_are_errors() {
        let cot = segment("a b");
        let labels = KeepLabels::new(vec![false, true]);
        let scorer =
            LabelScorer::new([("a b".to_owned(), labels.clone()), ("c".to_owned(), labels)]);
        assert_eq!(scorer.score("", &cot).unwrap().as_slice(), [0.0, 1.0]);
        assert!(matches!(
            scorer.score("", &segment("z")),
            Err(CoreError::Scorer { .. })
        ));
        assert!(matches!(
            scorer.score("", &segment("c")),
            Err(CoreError::ScoreCount { .. })
        ));
    }
}
