//! Scores, costs and a ratio to a choice of atoms.

use serde::{Deserialize, Serialize};

use super::KeepScores;
use crate::KeepRatio;

/// One choice per atom: `true` keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeepMask(Vec<bool>);

impl KeepMask {
    /// A mask in atom order.
    pub fn new(is_kept: Vec<bool>) -> Self {
        Self(is_kept)
    }

    /// The choices in atom order.
    pub fn as_slice(&self) -> &[bool] {
        &self.0
    }

    /// Number of atoms kept.
    pub fn n_kept(&self) -> usize {
        self.0.iter().filter(|is_kept| **is_kept).count()
    }
}

/// Chooses atoms by score within `floor(target_ratio * total cost)`.
///
/// ```text
/// order = the best of the cheapest atoms, then all others by falling score (ties: earlier first)
/// kept  = the longest beginning of `order` whose cost is within the budget, at least one atom
/// ```
///
/// This is [`rank`] followed by [`select_ranked`]. It guarantees, for every input:
///
/// - the same input gives the same mask;
/// - a smaller ratio keeps a subset of what a larger one keeps;
/// - the cost is within the budget, unless no atom at all is; then one cheapest atom is kept;
/// - what is left of the budget is less than the cost of the next atom in `order`;
/// - ratio 1 keeps everything.
///
/// Subsets need an order that does not depend on the ratio and a choice that stops at the first
/// atom that does not fit: going on to cheaper atoms fills a small budget better, but a larger
/// budget then spends on the skipped atom and drops the cheaper ones. Never an empty choice, never
/// over a budget that some atom fits, and subsets together leave one way: what is kept for the
/// smallest budget is a cheapest atom, and it is kept for every budget. It is the best-scoring of
/// those, so among the many atoms of one token it rarely changes anything.
///
/// # Units
///
/// `costs` are tokens, one per atom. The floor is taken with a tolerance of 1e-9 relative, because
/// 0.29 * 100 is 28.999.. in binary.
///
/// # Panics
///
/// If the number of costs is not the number of scores.
///
/// # Examples
///
/// ```
/// # use extracot_core::KeepRatio;
/// # use extracot_core::compress::{KeepScores, select};
/// let scores = KeepScores::try_new(vec![0.1, 0.9, 0.4, 0.5], 4)?;
/// // Of ten tokens five: the cheap third atom, then the best one; the fourth is over the budget.
/// let mask = select(&scores, &[2, 4, 1, 3], KeepRatio::try_new(0.5)?);
/// assert_eq!(mask.as_slice(), [false, true, true, false]);
/// # Ok::<(), extracot_core::CoreError>(())
/// ```
///
/// # Source
///
/// Our own choice; the reference keeps the k best sub-tokens, which cuts words and formulas.
pub fn select(scores: &KeepScores, costs: &[usize], target_ratio: KeepRatio) -> KeepMask {
    select_ranked(&rank(scores, costs), costs, target_ratio)
}

/// The order in which [`select()`] takes atoms, for any ratio: a permutation of the atom indices.
///
/// # Panics
///
/// If the number of costs is not the number of scores.
pub fn rank(scores: &KeepScores, costs: &[usize]) -> Vec<usize> {
    rank_protected(scores, costs, &vec![false; scores.len()])
}

/// As [`rank`], but the protected atoms go before all others, among themselves by score.
///
/// # Panics
///
/// If the number of costs or of `is_protected` is not the number of scores.
pub fn rank_protected(scores: &KeepScores, costs: &[usize], is_protected: &[bool]) -> Vec<usize> {
    assert_eq!(costs.len(), scores.len(), "one cost per score");
    assert_eq!(is_protected.len(), scores.len(), "one choice per score");
    let scores = scores.as_slice();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // The sort is stable, so equal scores stay in text order; -0.0 and 0.0 are equal as scores.
    order.sort_by(|a, b| (scores[*b] + 0.0).total_cmp(&(scores[*a] + 0.0)));
    order.sort_by_key(|atom_idx| !is_protected[*atom_idx]);
    let cheapest = costs.iter().min();
    if let Some(first) = order
        .iter()
        .position(|atom_idx| Some(&costs[*atom_idx]) == cheapest)
    {
        order[..=first].rotate_right(1);
    }
    order
}

/// [`select()`] with the order already known: one ranking serves all ratios.
///
/// # Panics
///
/// If `order` is not a permutation of the indices of `costs`, as far as it is looked at.
pub fn select_ranked(order: &[usize], costs: &[usize], target_ratio: KeepRatio) -> KeepMask {
    assert_eq!(costs.len(), order.len(), "one cost per ranked atom");
    let mut is_kept = vec![target_ratio == KeepRatio::FULL; costs.len()];
    if target_ratio < KeepRatio::FULL {
        let budget = budget(costs.iter().sum(), target_ratio);
        let mut cost = 0;
        for (n_kept, atom_idx) in order.iter().enumerate() {
            cost += costs[*atom_idx];
            if cost > budget && n_kept > 0 {
                break;
            }
            is_kept[*atom_idx] = true;
        }
    }
    KeepMask(is_kept)
}

/// Tokens that may be kept of `total`.
fn budget(total: usize, target_ratio: KeepRatio) -> usize {
    (target_ratio.value() * total as f64 * (1.0 + 1e-9)).floor() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(scores: &[f32], costs: &[usize], target_ratio: f64) -> Vec<bool> {
        let scores = KeepScores::try_new(scores.to_vec(), costs.len()).unwrap();
        select(&scores, costs, KeepRatio::try_new(target_ratio).unwrap())
            .as_slice()
            .to_vec()
    }

    #[test]
    fn ties_go_to_the_earlier_atom() {
        assert_eq!(mask(&[0.5; 4], &[1; 4], 0.5), [true, true, false, false]);
        assert_eq!(mask(&[-0.0, 0.0], &[1; 2], 0.5), [true, false]);
    }

    #[test]
    fn selection_stops_at_the_first_atom_that_does_not_fit() {
        // Budget 5 of 10: the cheapest atom, the best one (3); then 5 does not fit, though 1 would.
        assert_eq!(
            mask(&[0.9, 0.8, 0.1, 0.7], &[3, 5, 1, 1], 0.5),
            [true, false, false, true]
        );
    }

    #[test]
    fn one_atom_is_kept_if_none_fits_and_it_is_the_best_of_the_cheapest() {
        assert_eq!(
            mask(&[0.9, 0.1, 0.2], &[9, 4, 4], 0.01),
            [false, false, true]
        );
        assert_eq!(mask(&[], &[], 0.5), [false; 0]);
    }

    #[test]
    fn the_budget_is_not_short_of_a_token_by_rounding() {
        assert_eq!(budget(100, KeepRatio::try_new(0.29).unwrap()), 29);
        assert_eq!(budget(99, KeepRatio::try_new(0.2).unwrap()), 19);
    }

    #[test]
    fn protected_atoms_come_first_within_the_budget() {
        let scores = KeepScores::try_new(vec![0.9, 0.1, 0.2, 0.8], 4).unwrap();
        let order = rank_protected(&scores, &[1; 4], &[false, true, true, false]);
        assert_eq!(order, [2, 1, 0, 3]);
        // A single cheapest atom still opens the order: no budget is exceeded for a protection.
        let order = rank_protected(&scores, &[2, 2, 2, 1], &[false, true, false, false]);
        assert_eq!(order, [3, 1, 0, 2]);
    }

    fn atoms() -> impl Strategy<Value = Vec<(f32, usize)>> {
        prop::collection::vec(((0_u8..6).prop_map(f32::from), 0_usize..12), 1..40)
    }

    proptest! {
        #[test]
        fn masks_are_nested_within_budget_and_full(
            atoms in atoms(),
            a in 0.001_f64..=1.0,
            b in 0.001_f64..=1.0,
        ) {
            let (scores, costs): (Vec<f32>, Vec<usize>) = atoms.into_iter().unzip();
            let total: usize = costs.iter().sum();
            let (small, large) = (mask(&scores, &costs, a.min(b)), mask(&scores, &costs, a.max(b)));
            prop_assert!(small.iter().zip(&large).all(|(small, large)| !small || *large));
            prop_assert!(mask(&scores, &costs, 1.0).iter().all(|is_kept| *is_kept));

            let kept = |keep: bool| costs.iter().zip(&small).filter(move |(_, k)| **k == keep);
            let cost: usize = kept(true).map(|(cost, _)| cost).sum();
            let budget = budget(total, KeepRatio::try_new(a.min(b)).unwrap());
            let cheapest = costs.iter().min().copied().unwrap_or(0);
            prop_assert!(cost <= budget.max(cheapest));
            prop_assert!(kept(true).count() >= 1);
            // Within one atom: the best atom that is left out does not fit.
            if let Some(dearest) = kept(false).map(|(cost, _)| *cost).max() {
                prop_assert!(budget < cost + dearest);
            }
        }

        #[test]
        fn what_is_kept_scores_no_less_than_what_is_not(atoms in atoms(), ratio in 0.001_f64..1.0) {
            let (scores, costs): (Vec<f32>, Vec<usize>) = atoms.into_iter().unzip();
            let kept = mask(&scores, &costs, ratio);
            let all = KeepScores::try_new(scores.clone(), costs.len()).unwrap();
            let first = rank(&all, &costs)[0];
            let pick = |keep: bool| {
                let picked = (0..costs.len()).filter(|idx| kept[*idx] == keep && *idx != first);
                picked.map(|idx| scores[idx]).collect::<Vec<_>>()
            };
            let worst = pick(true).into_iter().fold(f32::INFINITY, f32::min);
            let best_left = pick(false).into_iter().fold(f32::NEG_INFINITY, f32::max);
            prop_assert!(worst >= best_left);
        }
    }
}
