//! What a scorer wants kept first, then the sentences around it, nearest first.

use super::{KeepScorer, KeepScores};
use crate::{AtomizedCot, CoreError};

/// Leaves the order of the atoms that another scorer wants kept (a score above 0) and ranks all
/// others by the distance of their sentence from one that holds such an atom.
///
/// ```text
/// same sentence < one before < one after < two before < two after < ...   (ties: the later first)
/// ```
///
/// A classifier that learned to keep or drop was never asked to rank what it drops: the small
/// differences of those scores pick scattered words, which no model can learn to write. Here a larger
/// budget keeps more whole sentences around every kept formula: the same kinds of sentence in every
/// step of a regular text, so that the level decides at each step what comes next. What is left of a
/// budget goes to the end of the text, where the last steps and the conclusion are.
/// Where no score is above 0 the scores stay as they are.
///
/// # Source
///
/// Our own choice: `docs/decisions/0009` and `0012`.
#[derive(Debug, Clone, Copy)]
pub struct SentenceContextScorer<S> {
    inner: S,
}

impl<S: KeepScorer> SentenceContextScorer<S> {
    /// Puts the rest behind what `inner` wants kept. Its scores have to be above 0 exactly where an
    /// atom is to be kept, as the differences of a classifier's logits are.
    pub fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: KeepScorer> KeepScorer for SentenceContextScorer<S> {
    fn score(&self, question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
        rest_by_sentence(self.inner.score(question, cot)?, cot)
    }

    fn score_batch(&self, items: &[(&str, &AtomizedCot)]) -> Result<Vec<KeepScores>, CoreError> {
        let scores = self.inner.score_batch(items)?;
        scores
            .into_iter()
            .zip(items)
            .map(|(scores, (_, cot))| rest_by_sentence(scores, cot))
            .collect()
    }
}

fn rest_by_sentence(scores: KeepScores, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
    let mut scores: Vec<f32> = scores.into();
    if !scores.iter().any(|score| *score > 0.0) {
        return KeepScores::try_new(scores, cot.n_atoms());
    }
    let distance = distances(&scores, cot);
    let mut rest: Vec<usize> = (0..scores.len())
        .rev()
        .filter(|idx| scores[*idx] <= 0.0)
        .collect();
    // Stable, so the order of equals stays: from the end of the text.
    rest.sort_by_key(|atom_idx| distance[*atom_idx]);
    for (place, atom_idx) in rest.into_iter().enumerate() {
        scores[atom_idx] = -(place as f32);
    }
    KeepScores::try_new(scores, cot.n_atoms())
}

/// For every atom how far its sentence is from a kept atom's: 0 the same sentence, `2 d - 1` for `d`
/// sentences before one, `2 d` for `d` after, whichever is less.
fn distances(scores: &[f32], cot: &AtomizedCot) -> Vec<usize> {
    let ends = cot.sentence_ends();
    let starts = [0].into_iter().chain(ends.iter().copied());
    let sentences: Vec<_> = starts.zip(&ends).map(|(start, end)| start..*end).collect();
    let is_kept: Vec<bool> = sentences
        .iter()
        .map(|atoms| scores[atoms.clone()].iter().any(|score| *score > 0.0))
        .collect();

    let mut distance = vec![usize::MAX; sentences.len()];
    let mut last_kept = None;
    for idx in 0..sentences.len() {
        last_kept = if is_kept[idx] { Some(idx) } else { last_kept };
        if let Some(kept_idx) = last_kept {
            distance[idx] = 2 * (idx - kept_idx);
        }
    }
    let mut next_kept = None;
    for idx in (0..sentences.len()).rev() {
        next_kept = if is_kept[idx] { Some(idx) } else { next_kept };
        if let Some(kept_idx) = next_kept {
            distance[idx] = distance[idx].min((2 * (kept_idx - idx)).saturating_sub(1));
        }
    }
    let repeated = sentences.iter().zip(distance);
    repeated
        .flat_map(|(atoms, distance)| std::iter::repeat_n(distance, atoms.len()))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::segment;

    struct Fixed(Vec<f32>);

    impl KeepScorer for Fixed {
        fn score(&self, _question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
            KeepScores::try_new(self.0.clone(), cot.n_atoms())
        }
    }

    fn scores(text: &str, inner: &[f32]) -> Vec<f32> {
        let scorer = SentenceContextScorer::new(Fixed(inner.to_vec()));
        let cot = segment(text);
        let one = scorer.score("q", &cot).unwrap();
        assert_eq!(scorer.score_batch(&[("q", &cot)]).unwrap()[0], one);
        one.as_slice().to_vec()
    }

    /// The texts at rising budgets, one atom more each time.
    fn grown(text: &str, inner: &[f32]) -> Vec<String> {
        let scores = scores(text, inner);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let words: Vec<&str> = text.split(' ').collect();
        let names = order.iter().map(|atom_idx| words[*atom_idx].to_owned());
        names.collect()
    }

    #[test]
    fn the_sentences_around_what_is_kept_come_nearest_first() {
        let text = "a0 a1. b0 b1. c0 $c$ c2. d0. e0. f0. g0 $g$ g2. h0.";
        let mut inner = [-1.0; 14];
        inner[5] = 3.0; // $c$
        inner[11] = 5.0; // $g$
        let expected = [
            "$g$", "$c$", // by score
            "g2.", "g0", "c2.", "c0", // the same sentence
            "f0.", "b1.", "b0", // one before
            "h0.", "d0.", // one after
            "e0.", "a1.", "a0", // two before
        ];
        assert_eq!(grown(text, &inner), expected);
    }

    #[test]
    fn without_anything_to_keep_the_scores_stay() {
        assert_eq!(scores("a b c", &[-0.5, 0.0, -2.0]), [-0.5, 0.0, -2.0]);
        assert!(scores("", &[]).is_empty());
    }

    proptest! {
        #[test]
        fn kept_scores_stay_and_the_rest_is_ranked_without_ties(
            words in prop::collection::vec(("[a-z]{1,3}[.]?", -3_i8..3), 1..40),
        ) {
            let (words, inner): (Vec<_>, Vec<_>) = words.into_iter().unzip();
            let inner: Vec<f32> = inner.into_iter().map(f32::from).collect();
            prop_assume!(inner.iter().any(|score| *score > 0.0));
            let found = scores(&words.join(" "), &inner);
            let mut places: Vec<usize> = Vec::new();
            for (found, inner) in found.iter().zip(&inner) {
                if *inner > 0.0 {
                    prop_assert_eq!(found, inner);
                } else {
                    places.push(-*found as usize);
                }
            }
            places.sort_unstable();
            prop_assert_eq!(&places, &(0..places.len()).collect::<Vec<_>>());
        }
    }
}
