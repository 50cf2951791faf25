//! What a scorer wants kept first, then the rest as it stands.

use super::{KeepScorer, KeepScores};
use crate::{AtomizedCot, CoreError};

/// Leaves the order of the atoms that another scorer wants kept (a score above 0) and puts all
/// others behind them in reading order.
///
/// A classifier that learned to keep or drop was never asked to rank what it drops: the small
/// differences of those scores pick scattered words, which no model can learn to write. In reading
/// order a larger budget keeps a longer beginning of the text in full, and the formulas of the rest.
/// Where no score is above 0 the scores stay as they are.
///
/// # Source
///
/// Our own choice: `docs/decisions/0009`.
#[derive(Debug, Clone, Copy)]
pub struct KeptFirstScorer<S> {
    inner: S,
}

impl<S: KeepScorer> KeptFirstScorer<S> {
    /// Puts the rest behind what `inner` wants kept. Its scores have to be above 0 exactly where an
    /// atom is to be kept, as the differences of a classifier's logits are.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: KeepScorer> KeepScorer for KeptFirstScorer<S> {
    fn score(&self, question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
        rest_in_reading_order(self.inner.score(question, cot)?)
    }

    fn score_batch(&self, items: &[(&str, &AtomizedCot)]) -> Result<Vec<KeepScores>, CoreError> {
        let scores = self.inner.score_batch(items)?;
        scores.into_iter().map(rest_in_reading_order).collect()
    }
}

fn rest_in_reading_order(scores: KeepScores) -> Result<KeepScores, CoreError> {
    let found = scores.as_slice();
    if !found.iter().any(|score| *score > 0.0) {
        return Ok(scores);
    }
    let placed = found.iter().enumerate().map(|(atom_idx, score)| {
        if *score > 0.0 {
            *score
        } else {
            -(atom_idx as f32)
        }
    });
    KeepScores::try_new(placed.collect(), found.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment;

    struct Fixed(Vec<f32>);

    impl KeepScorer for Fixed {
        fn score(&self, _question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
            KeepScores::try_new(self.0.clone(), cot.n_atoms())
        }
    }

    fn scores(inner: &[f32]) -> Vec<f32> {
        let text = vec!["word"; inner.len()].join(" ");
        let scorer = KeptFirstScorer::new(Fixed(inner.to_vec()));
        let cot = segment(&text);
        let one = scorer.score("q", &cot).unwrap();
        assert_eq!(scorer.score_batch(&[("q", &cot)]).unwrap()[0], one);
        one.as_slice().to_vec()
    }

    #[test]
    fn what_is_dropped_is_ranked_by_its_place() {
        let found = scores(&[-9.0, -0.1, 2.0, -3.0, 1.5, -0.2]);
        assert_eq!(found, [0.0, -1.0, 2.0, -3.0, 1.5, -5.0]);
    }

    #[test]
    fn without_anything_to_keep_the_scores_stay() {
        assert_eq!(scores(&[-0.5, 0.0, -2.0]), [-0.5, 0.0, -2.0]);
        assert!(scores(&[]).is_empty());
    }
}
