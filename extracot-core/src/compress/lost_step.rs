//! Compressed texts that use a number whose source they dropped.

use std::collections::BTreeSet;

use super::CompressedCot;
use crate::{AtomKind, AtomizedCot};

/// The first number that a kept formula builds on although neither the question nor what is kept
/// before it states it, while the original had stated it by then; or `gold`, if the original has a
/// formula with that result and the compressed text has none.
///
/// Numbers are runs of digits, compared as they are written: `1,000` is two of them, and a gold answer
/// with a sign, a comma or a fraction is never found as a result. A number that the original itself
/// introduces in the formula, such as a constant, needs no source; one that it had before does, also
/// where that was a list marker.
pub fn lost_number(
    original: &AtomizedCot,
    compressed: &CompressedCot,
    question: &str,
    gold: &str,
) -> Option<String> {
    let is_kept = |idx: usize| {
        let core = original.core_span(idx);
        compressed
            .kept_spans
            .iter()
            .any(|(start, end)| *start <= core.start && core.end <= *end)
    };
    let mut known: BTreeSet<&str> = numbers(question).collect();
    let mut stated: BTreeSet<&str> = BTreeSet::new();
    let (mut has_gold, mut keeps_gold) = (false, false);
    for idx in 0..original.n_atoms() {
        let text = original.core_text(idx);
        let (is_formula, is_kept) = (
            original.atoms()[idx].kind == AtomKind::Formula,
            is_kept(idx),
        );
        if is_formula {
            let (operands, result) = text.rsplit_once('=').unwrap_or((text, ""));
            let is_gold = numbers(result).eq([gold]);
            has_gold |= is_gold;
            keeps_gold |= is_gold && is_kept;
            let lost = numbers(operands)
                .find(|number| is_kept && !known.contains(number) && stated.contains(number));
            if let Some(number) = lost {
                return Some(number.to_owned());
            }
        }
        stated.extend(numbers(text));
        if is_kept {
            known.extend(numbers(text));
        }
    }
    (has_gold && !keeps_gold).then(|| gold.to_owned())
}

/// Runs of digits, with a point between digits.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|run| run.trim_matches('.'))
        .filter(|run| !run.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::{KeepMask, kept_spans, render};
    use crate::{KeepRatio, segment};

    const QUESTION: &str = "Mia has 12 eggs, finds 9 and gives a third away.";
    const THINK: &str = "So $12+9=21$. Then $21\\div 3=7$. Last $21-7=14$. It is 14.";

    /// What is lost if the formulas at `dropped` (in order) are.
    fn lost(dropped: &[usize]) -> Option<String> {
        let original = segment(THINK);
        let is_formula = |idx: usize| original.atoms()[idx].kind == AtomKind::Formula;
        let formulas: Vec<usize> = (0..original.n_atoms()).filter(|i| is_formula(*i)).collect();
        assert_eq!(formulas.len(), 3);
        let mask: Vec<bool> = (0..original.n_atoms())
            .map(|idx| !dropped.iter().any(|place| formulas[*place] == idx))
            .collect();
        let mask = KeepMask::new(mask);
        let compressed = CompressedCot {
            text: render(&original, &mask),
            target_ratio: Some(KeepRatio::FULL),
            kept_tokens: mask.n_kept(),
            total_tokens: original.n_atoms(),
            kept_spans: kept_spans(&original, &mask),
        };
        lost_number(&original, &compressed, QUESTION, "14")
    }

    #[test]
    fn a_number_needs_its_source() {
        assert_eq!(lost(&[]), None);
        // The 3 of the second formula is new there: only 21 lacks its source.
        assert_eq!(lost(&[0]), Some("21".to_owned()));
        assert_eq!(lost(&[1]), Some("7".to_owned()));
        // The answer is still stated, but not what it comes from.
        assert_eq!(lost(&[2]), Some("14".to_owned()));
    }

    #[test]
    fn numbers_are_digits_with_inner_points() {
        let found: Vec<&str> = numbers(r"$3.5\times 2=7.$ and 1,000").collect();
        assert_eq!(found, ["3.5", "2", "7", "1", "000"]);
    }
}
