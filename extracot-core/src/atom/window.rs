//! Windows: pieces of an atomized text that a scorer of limited length can take.

use std::ops::Range;

use super::AtomizedCot;

/// Cuts the atoms into consecutive windows that cost at most `max_cost` each.
///
/// A window ends at the last sentence end that fits, else (a sentence longer than a window) at the
/// last atom that fits. An atom that costs more than `max_cost` is a window of its own: nothing is
/// cut and nothing is left out.
///
/// # Units
///
/// `costs` has one entry per atom, in the scorer's tokens, as `max_cost`.
///
/// # Panics
///
/// If the number of costs is not the number of atoms.
pub fn windows(cot: &AtomizedCot, costs: &[usize], max_cost: usize) -> Vec<Range<usize>> {
    assert_eq!(costs.len(), cot.n_atoms(), "one cost per atom");
    let ends = cot.sentence_ends();
    let mut windows = Vec::new();
    let mut start = 0;
    while start < costs.len() {
        let mut cost = 0_usize;
        let n_fitting = costs[start..]
            .iter()
            .take_while(|atom_cost| {
                cost = cost.saturating_add(**atom_cost);
                cost <= max_cost
            })
            .count();
        let limit = start + n_fitting.max(1);
        let sentence_end = ends[..ends.partition_point(|end| *end <= limit)].last();
        let end = sentence_end
            .copied()
            .filter(|end| *end > start)
            .unwrap_or(limit);
        windows.push(start..end);
        start = end;
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atom::segment;
    use proptest::prelude::*;

    #[test]
    fn windows_end_at_sentences_and_an_oversized_atom_stands_alone() {
        let cot = segment("a b. c d e. $f$ g");
        assert_eq!(windows(&cot, &[1; 7], 4), [0..2, 2..5, 5..7]);
        assert_eq!(
            windows(&cot, &[1; 7], 7).as_slice(),
            std::slice::from_ref(&(0..7))
        );
        // The second sentence does not fit, so it is cut between atoms.
        assert_eq!(windows(&cot, &[1; 7], 2), [0..2, 2..4, 4..5, 5..7]);
        assert_eq!(
            windows(&cot, &[1, 1, 9, 1, 1, 1, 1], 3),
            [0..2, 2..3, 3..5, 5..7]
        );
        assert!(windows(&segment(""), &[], 3).is_empty());
    }

    proptest! {
        #[test]
        fn windows_cover_everything_once(
            text in "([a-z]{1,4}[.]? ){0,40}",
            costs in prop::collection::vec(0_usize..9, 41),
            max_cost in 0_usize..20,
        ) {
            let cot = segment(&text);
            let costs = &costs[..cot.n_atoms()];
            let windows = windows(&cot, costs, max_cost);
            let covered: Vec<usize> = windows.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..cot.n_atoms()).collect::<Vec<_>>());
            for window in windows {
                let cost: usize = costs[window.clone()].iter().sum();
                prop_assert!(cost <= max_cost || window.len() == 1);
            }
        }
    }
}
