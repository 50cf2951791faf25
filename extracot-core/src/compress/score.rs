//! How much each atom deserves to be kept.

use serde::{Deserialize, Serialize};

use crate::{AtomizedCot, CoreError};

/// One score per atom; higher means keep. Always finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "Vec<f32>")]
pub struct KeepScores(Vec<f32>);

impl KeepScores {
    /// The scores of `n_atoms` atoms.
    ///
    /// # Errors
    ///
    /// [`CoreError::ScoreCount`] if there are more or fewer scores than atoms,
    /// [`CoreError::NonFiniteScore`] for the first that is NaN or infinite.
    pub fn try_new(scores: Vec<f32>, n_atoms: usize) -> Result<Self, CoreError> {
        if scores.len() != n_atoms {
            return Err(CoreError::ScoreCount {
                found: scores.len(),
                expected: n_atoms,
            });
        }
        Self::try_from(scores)
    }

    /// Number of scores.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no scores.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scores in atom order.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }
}

impl TryFrom<Vec<f32>> for KeepScores {
    type Error = CoreError;
    fn try_from(scores: Vec<f32>) -> Result<Self, CoreError> {
        match scores.iter().position(|score| !score.is_finite()) {
            Some(atom_idx) => Err(CoreError::NonFiniteScore { atom_idx }),
            None => Ok(Self(scores)),
        }
    }
}

impl From<KeepScores> for Vec<f32> {
    fn from(scores: KeepScores) -> Self {
        scores.0
    }
}

/// Scores atoms for a question. No ratio goes in and no text comes out.
///
/// An implementor returns one score per atom of the text, windowing long texts itself
/// ([`crate::atom::windows`]) so that nothing is left out, and the same scores for the same item
/// however items are batched. Any text can be scored; an error means that the scorer itself failed.
pub trait KeepScorer {
    /// Scores the atoms of one think text.
    ///
    /// # Errors
    ///
    /// If the scorer cannot score; see the implementor.
    fn score(&self, question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError>;

    /// Scores many think texts, each with its question, in order.
    ///
    /// # Errors
    ///
    /// The first item's that fails.
    fn score_batch(&self, items: &[(&str, &AtomizedCot)]) -> Result<Vec<KeepScores>, CoreError> {
        items
            .iter()
            .map(|(question, cot)| self.score(question, cot))
            .collect()
    }
}

impl<S: KeepScorer + ?Sized> KeepScorer for Box<S> {
    fn score(&self, question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
        (**self).score(question, cot)
    }

    fn score_batch(&self, items: &[(&str, &AtomizedCot)]) -> Result<Vec<KeepScores>, CoreError> {
        (**self).score_batch(items)
    }
}

impl<S: KeepScorer + ?Sized> KeepScorer for &S {
    fn score(&self, question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
        (**self).score(question, cot)
    }

    fn score_batch(&self, items: &[(&str, &AtomizedCot)]) -> Result<Vec<KeepScores>, CoreError> {
        (**self).score_batch(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_do_not_fit_are_refused() {
        let too_few = KeepScores::try_new(vec![1.0], 2).unwrap_err().to_string();
        assert_eq!(too_few, "1 keep scores for 2 atoms");
        for bad in [f32::NAN, f32::INFINITY] {
            match KeepScores::try_new(vec![0.0, bad], 2) {
                Err(CoreError::NonFiniteScore { atom_idx }) => assert_eq!(atom_idx, 1),
                other => panic!("{other:?}"),
            }
        }
    }
}
