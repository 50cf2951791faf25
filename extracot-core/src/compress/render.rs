//! A mask to text.

use super::KeepMask;
use crate::AtomizedCot;

/// Byte spans `[start, end)` of the kept text, rising, without white space around them.
///
/// Kept neighbors are one span, so a span begins and ends where an atom does. If every atom is kept
/// there is one span, the whole text.
///
/// # Panics
///
/// If the mask is not one choice per atom.
pub fn kept_spans(cot: &AtomizedCot, mask: &KeepMask) -> Vec<(usize, usize)> {
    assert_eq!(mask.as_slice().len(), cot.n_atoms(), "one choice per atom");
    if mask.n_kept() == cot.n_atoms() && cot.n_atoms() > 0 {
        return vec![(0, cot.text().len())];
    }
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut prev_is_kept = false;
    for (atom_idx, is_kept) in mask.as_slice().iter().enumerate() {
        if *is_kept {
            let core = cot.core_span(atom_idx);
            match spans.last_mut() {
                Some(last) if prev_is_kept => last.1 = core.end,
                _ => spans.push((core.start, core.end)),
            }
        }
        prev_is_kept = *is_kept;
    }
    spans
}

/// The kept text: the [`kept_spans`] with one space between them.
///
/// Kept neighbors keep what separated them; if every atom is kept the text comes back byte for
/// byte.
///
/// # Panics
///
/// If the mask is not one choice per atom.
///
/// # Examples
///
/// ```
/// # use extracot_core::segment;
/// # use extracot_core::compress::{KeepMask, render};
/// let cot = segment("Well, we get\n$x$. Then stop.");
/// let mask = KeepMask::new(vec![false, false, true, true, false, true]);
/// assert_eq!(render(&cot, &mask), "get\n$x$. stop.");
/// ```
pub fn render(cot: &AtomizedCot, mask: &KeepMask) -> String {
    render_spans(cot.text(), &kept_spans(cot, mask))
}

pub(super) fn render_spans(text: &str, spans: &[(usize, usize)]) -> String {
    let kept: Vec<&str> = spans
        .iter()
        .map(|(start, end)| &text[*start..*end])
        .collect();
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment;

    #[test]
    fn neighbors_keep_their_separator_and_gaps_become_one_space() {
        let cot = segment("  a\n\nb  c d \n");
        let render = |mask: [bool; 4]| render(&cot, &KeepMask::new(mask.to_vec()));
        assert_eq!(render([true, true, false, true]), "a\n\nb d");
        assert_eq!(render([false, true, true, false]), "b  c");
        assert_eq!(render([false; 4]), "");
        assert_eq!(render([true; 4]), "  a\n\nb  c d \n");
        let mask = KeepMask::new(vec![true, true, false, true]);
        assert_eq!(kept_spans(&cot, &mask), [(2, 6), (10, 11)]);
    }
}
