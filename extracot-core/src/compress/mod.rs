//! Compression of think texts: segment, score, select, render.
//!
//! A [`KeepScorer`] scores the atoms of a think text once; from the scores every ratio is served
//! without the scorer. [`quality`] rejects results that are no use as training text.

pub mod baseline;
pub mod fidelity;
pub mod llmlingua2;
pub mod lost_step;
pub mod protect;
pub mod quality;
pub mod render;
pub mod score;
pub mod select;
pub mod sentence_context;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AtomizedCot, CoreError, KeepRatio, Tokenizer, segment};

pub use baseline::{HeuristicScorer, LabelScorer, PositionScorer, RandomScorer};
pub use fidelity::{Fidelity, FidelitySum};
pub use lost_step::lost_number;
pub use protect::Protection;
pub use quality::{Degenerate, QualityConfig};
pub use render::{kept_spans, render};
pub use score::{KeepScorer, KeepScores};
pub use select::{KeepMask, rank, rank_protected, select, select_ranked};
pub use sentence_context::SentenceContextScorer;

/// Compresses think texts with one scorer and one tokenizer.
///
/// # Examples
///
/// ```
/// # use extracot_core::{ByteTokenizer, Compressor, KeepRatio};
/// # use extracot_core::compress::PositionScorer;
/// let compressor = Compressor::new(PositionScorer::Last, &ByteTokenizer);
/// let scored = compressor.score("How many?", "First we add, so $2 + 3 = 5$.")?;
/// // Of 29 bytes 17: the formula with its space is 13, " so" is 3, " add," is over the budget.
/// assert_eq!(scored.at(KeepRatio::try_new(0.6)?).text, "so $2 + 3 = 5$.");
/// assert_eq!(scored.at(KeepRatio::FULL).text, "First we add, so $2 + 3 = 5$.");
/// # Ok::<(), extracot_core::CoreError>(())
/// ```
pub struct Compressor<'a, S> {
    scorer: S,
    tokenizer: &'a dyn Tokenizer,
    atomize: fn(&str) -> AtomizedCot,
    protection: Protection,
}

impl<S: fmt::Debug> fmt::Debug for Compressor<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor")
            .field("scorer", &self.scorer)
            .finish_non_exhaustive()
    }
}

impl<'a, S: KeepScorer> Compressor<'a, S> {
    /// A compressor that counts cost in tokens of `tokenizer`, which has to be the policy's.
    pub fn new(scorer: S, tokenizer: &'a dyn Tokenizer) -> Self {
        Self {
            scorer,
            tokenizer,
            atomize: segment,
            protection: Protection::default(),
        }
    }

    /// Cuts texts with `atomize` instead of [`segment()`]: atoms of other domains.
    #[must_use]
    pub fn with_atomizer(mut self, atomize: fn(&str) -> AtomizedCot) -> Self {
        self.atomize = atomize;
        self
    }

    /// Keeps some atoms before all others; without this none.
    #[must_use]
    pub fn with_protection(mut self, protection: Protection) -> Self {
        self.protection = protection;
        self
    }

    /// Scores a think text once; [`ScoredCot::at`] then serves any ratio.
    ///
    /// # Errors
    ///
    /// The scorer's, and [`CoreError::ScoreCount`] if it scores another number of atoms.
    pub fn score(&self, question: &str, think: &str) -> Result<ScoredCot, CoreError> {
        let cot = (self.atomize)(think);
        let scores = self.scorer.score(question, &cot)?;
        self.scored(cot, scores)
    }

    fn scored(&self, cot: AtomizedCot, scores: KeepScores) -> Result<ScoredCot, CoreError> {
        let is_protected = self.protection.atoms(&cot);
        Ok(ScoredCot::try_new(cot, scores, self.tokenizer)?.protecting(is_protected))
    }

    /// Scores many `(question, think)` pairs in one call of the scorer, in order.
    ///
    /// # Errors
    ///
    /// As [`Compressor::score`], for the first pair that fails.
    pub fn score_batch(&self, items: &[(&str, &str)]) -> Result<Vec<ScoredCot>, CoreError> {
        let cots: Vec<AtomizedCot> = items
            .iter()
            .map(|(_, think)| (self.atomize)(think))
            .collect();
        let asked: Vec<(&str, &AtomizedCot)> = items
            .iter()
            .zip(&cots)
            .map(|((question, _), cot)| (*question, cot))
            .collect();
        let scores = self.scorer.score_batch(&asked)?;
        if scores.len() != cots.len() {
            return Err(CoreError::Scorer {
                what: "keep scorer",
                message: format!("{} results for {} texts", scores.len(), cots.len()),
            });
        }
        cots.into_iter()
            .zip(scores)
            .map(|(cot, scores)| self.scored(cot, scores))
            .collect()
    }
}

/// A think text with its scores and costs, ready for any ratio.
#[derive(Debug, Clone)]
pub struct ScoredCot {
    cot: AtomizedCot,
    scores: KeepScores,
    costs: Vec<usize>,
    is_protected: Vec<bool>,
    order: Vec<usize>,
}

impl ScoredCot {
    /// Puts scores and atoms together and counts what each atom costs.
    ///
    /// # Errors
    ///
    /// [`CoreError::ScoreCount`] if there is not one score per atom.
    pub fn try_new(
        cot: AtomizedCot,
        scores: KeepScores,
        tokenizer: &dyn Tokenizer,
    ) -> Result<Self, CoreError> {
        if scores.len() != cot.n_atoms() {
            return Err(CoreError::ScoreCount {
                found: scores.len(),
                expected: cot.n_atoms(),
            });
        }
        let costs: Vec<usize> = (0..cot.n_atoms())
            .map(|atom_idx| tokenizer.n_tokens(cot.atom_text(atom_idx)))
            .collect();
        let order = rank(&scores, &costs);
        Ok(Self {
            is_protected: vec![false; cot.n_atoms()],
            cot,
            scores,
            costs,
            order,
        })
    }

    /// The same text with some atoms before all others.
    ///
    /// # Panics
    ///
    /// If there is not one choice per atom.
    #[must_use]
    pub fn protecting(mut self, is_protected: Vec<bool>) -> Self {
        self.order = rank_protected(&self.scores, &self.costs, &is_protected);
        self.is_protected = is_protected;
        self
    }

    /// Protected atoms that a mask leaves out, because the budget has no room for them.
    pub fn n_protected_lost(&self, mask: &KeepMask) -> usize {
        let choices = self.is_protected.iter().zip(mask.as_slice());
        choices
            .filter(|(is_protected, is_kept)| **is_protected && !**is_kept)
            .count()
    }

    /// The atoms.
    pub fn cot(&self) -> &AtomizedCot {
        &self.cot
    }

    /// The scores, one per atom.
    pub fn scores(&self) -> &KeepScores {
        &self.scores
    }

    /// Tokens of each atom, its leading white space included.
    pub fn costs(&self) -> &[usize] {
        &self.costs
    }

    /// Which atoms are kept at a ratio; the guarantees are those of [`select()`].
    pub fn mask(&self, target_ratio: KeepRatio) -> KeepMask {
        select_ranked(&self.order, &self.costs, target_ratio)
    }

    /// Which atoms score above a threshold or are protected: as many as there are, whatever they
    /// cost. With the scores of a token classifier (log odds), 0 keeps what it would keep.
    pub fn mask_above(&self, threshold: f32) -> KeepMask {
        let scores = self.scores.as_slice().iter().zip(&self.is_protected);
        KeepMask::new(
            scores
                .map(|(score, is_protected)| *score > threshold || *is_protected)
                .collect(),
        )
    }

    /// The text at a ratio.
    pub fn at(&self, target_ratio: KeepRatio) -> CompressedCot {
        self.compressed(&self.mask(target_ratio), Some(target_ratio))
    }

    /// The text of a threshold ([`ScoredCot::mask_above`]).
    pub fn above(&self, threshold: f32) -> CompressedCot {
        self.compressed(&self.mask_above(threshold), None)
    }

    fn compressed(&self, mask: &KeepMask, target_ratio: Option<KeepRatio>) -> CompressedCot {
        let kept_spans = kept_spans(&self.cot, mask);
        let kept_costs = self
            .costs
            .iter()
            .zip(mask.as_slice())
            .filter(|(_, is_kept)| **is_kept);
        CompressedCot {
            text: render::render_spans(self.cot.text(), &kept_spans),
            target_ratio,
            kept_tokens: kept_costs.map(|(cost, _)| cost).sum(),
            total_tokens: self.costs.iter().sum(),
            kept_spans,
        }
    }
}

/// A compressed think text.
///
/// # Units
///
/// Token counts are sums over atoms, each tokenized alone with its leading white space. Tokens that
/// span two atoms make the count of the joined text differ by a few; whoever needs that count takes
/// it from the ids that are trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompressedCot {
    /// The kept text.
    pub text: String,
    /// What was asked for; none where a threshold chose.
    pub target_ratio: Option<KeepRatio>,
    /// Tokens of the kept atoms.
    pub kept_tokens: usize,
    /// Tokens of all atoms.
    pub total_tokens: usize,
    /// Kept byte spans `[start, end)` of the original, rising; `text` is their text with one space
    /// between them (but see [`llmlingua2::compress_words`]).
    pub kept_spans: Vec<(usize, usize)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atom::segment::tests::soup;
    use crate::{AtomKind, ByteTokenizer, Seed};
    use proptest::prelude::*;

    #[test]
    fn scoring_alone_and_in_a_batch_agree() {
        let compressor = Compressor::new(RandomScorer::new(Seed(3)), &ByteTokenizer);
        let ratio = KeepRatio::try_new(0.4).unwrap();
        let items = [
            ("a", "One and two make $3$."),
            ("b", ""),
            ("c", "x = 5, so y = 2."),
        ];
        let batch = compressor.score_batch(&items).unwrap();
        for ((question, think), scored) in items.iter().zip(&batch) {
            assert_eq!(
                compressor.score(question, think).unwrap().at(ratio),
                scored.at(ratio)
            );
        }
        assert_eq!(batch[1].at(ratio).text, "");
    }

    #[test]
    fn boxed_scorers_are_scorers() {
        let boxed: Box<dyn KeepScorer> = Box::new(PositionScorer::First);
        let scored = Compressor::new(boxed, &ByteTokenizer)
            .score("", "ab cd ef gh")
            .unwrap();
        let half = scored.at(KeepRatio::try_new(0.5).unwrap());
        assert_eq!(
            (half.text.as_str(), half.kept_tokens, half.total_tokens),
            ("ab cd", 5, 11)
        );
        let json = serde_json::to_string(&half).unwrap();
        assert!(
            json.contains(r#""target_ratio":0.5,"kept_tokens":5,"total_tokens":11"#),
            "{json}"
        );
        assert!(json.contains(r#""kept_spans":[[0,5]]"#), "{json}");
    }

    proptest! {
        #[test]
        fn compression_keeps_its_promises(
            think in prop_oneof![any::<String>(), soup()],
            seed in any::<u64>(),
            ratio in 0.001_f64..=1.0,
        ) {
            let compressor = Compressor::new(RandomScorer::new(Seed(seed)), &ByteTokenizer);
            let scored = compressor.score("", &think).unwrap();
            prop_assert_eq!(&scored.at(KeepRatio::FULL).text, &think);

            let ratio = KeepRatio::try_new(ratio).unwrap();
            let compressed = scored.at(ratio);
            let spans = &compressed.kept_spans;
            let cot = scored.cot();
            let starts: Vec<usize> =
                (0..cot.n_atoms()).map(|idx| cot.core_span(idx).start).chain([0]).collect();
            let ends: Vec<usize> =
                (0..cot.n_atoms()).map(|idx| cot.core_span(idx).end).chain([think.len()]).collect();
            for (start, end) in spans {
                prop_assert!(start <= end && starts.contains(start) && ends.contains(end));
            }
            prop_assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0));
            let joined: Vec<&str> = spans.iter().map(|(start, end)| &think[*start..*end]).collect();
            prop_assert_eq!(joined.join(" "), compressed.text.clone());
            if compressed.kept_tokens < compressed.total_tokens {
                prop_assert_eq!(compressed.text.trim(), compressed.text.as_str());
            }
            // A formula is inside one kept span or outside all of them.
            for (idx, atom) in cot.atoms().iter().enumerate() {
                if atom.kind == AtomKind::Formula {
                    let core = cot.core_span(idx);
                    for (start, end) in spans.iter().copied() {
                        let is_inside = start <= core.start && core.end <= end;
                        prop_assert!(is_inside || core.end <= start || end <= core.start);
                    }
                }
            }
        }
    }
}
