//! Text to atoms: formulas first, then numbers and words between them.

mod glue;
mod words;

use std::ops::Range;

use super::math::formula_spans;
use super::{Atom, AtomKind, AtomizedCot};
use glue::{closer_len, opener_len};
use words::push_words;

/// Cuts a text into atoms. Total: any text gives atoms that tile it, in linear time.
///
/// - Formulas ([`formula_spans`]) are one atom each. Punctuation that touches a formula belongs to
///   its atom: the stop of `$x$.`, the brackets of `($x$)`, the ending of `$n$th`.
/// - What is left is cut at white space into words with their punctuation, and inside Chinese and
///   Japanese text at every character.
/// - A word that is a number is a [`AtomKind::Number`], together with a unit behind it: `5 cm`.
/// - White space in front of an atom belongs to it; a text of white space only is one word.
///
/// # Examples
///
/// ```
/// # use extracot_core::atom::{AtomKind, segment};
/// let cot = segment("So $2 + 3 = 5$, i.e. 5 cm.");
/// let cores: Vec<&str> = (0..cot.n_atoms()).map(|idx| cot.core_text(idx)).collect();
/// assert_eq!(cores, ["So", "$2 + 3 = 5$,", "i.e.", "5 cm."]);
/// assert_eq!(cot.atoms()[1].kind, AtomKind::Formula);
/// assert_eq!(cot.atom_text(1), " $2 + 3 = 5$,");
/// ```
pub fn segment(text: &str) -> AtomizedCot {
    let cores = find_cores(text);
    let n_cores = cores.len();
    let mut atoms = Vec::with_capacity(n_cores.max(1));
    let mut start = 0;
    for (core_idx, (kind, core)) in cores.into_iter().enumerate() {
        let end = if core_idx + 1 == n_cores {
            text.len()
        } else {
            core.end
        };
        atoms.push(Atom { kind, start, end });
        start = end;
    }
    if atoms.is_empty() && !text.is_empty() {
        atoms.push(Atom {
            kind: AtomKind::Word,
            start: 0,
            end: text.len(),
        });
    }
    AtomizedCot {
        text: text.to_owned(),
        atoms,
    }
}

/// Cuts a text at white space only: formulas fall into words.
///
/// # Source
///
/// What is compared with [`segment()`] in ablations; compressors that know no formulas work so.
pub fn segment_words(text: &str) -> AtomizedCot {
    let mut atoms: Vec<Atom> = Vec::new();
    let mut prev_is_space = true;
    for (at, c) in text.char_indices() {
        // The space in front of a word is its own, but for that at the beginning of the text.
        let opens = c.is_whitespace() && !prev_is_space;
        if opens || atoms.is_empty() {
            atoms.push(Atom {
                kind: AtomKind::Word,
                start: at,
                end: at,
            });
        }
        if let Some(last) = atoms.last_mut() {
            last.end = at + c.len_utf8();
        }
        prev_is_space = c.is_whitespace();
    }
    // White space at the end belongs to the last word.
    if atoms.len() > 1
        && let Some(last) = atoms.pop_if(|atom| text[atom.start..atom.end].trim().is_empty())
        && let Some(before) = atoms.last_mut()
    {
        before.end = last.end;
    }
    AtomizedCot {
        text: text.to_owned(),
        atoms,
    }
}

type Core = (AtomKind, Range<usize>);

/// The atoms without white space, in order.
fn find_cores(text: &str) -> Vec<Core> {
    let mut formulas = formula_spans(text);
    for idx in 0..formulas.len() {
        let gap_start = idx.checked_sub(1).map_or(0, |prev| formulas[prev].end);
        formulas[idx].start -= opener_len(&text[gap_start..formulas[idx].start]);
        let next_start = formulas.get(idx + 1).map(|next| next.start);
        let gap = &text[formulas[idx].end..next_start.unwrap_or(text.len())];
        formulas[idx].end += closer_len(gap, next_start.is_some());
    }
    let mut cores = Vec::new();
    let mut from = 0;
    for formula in formulas {
        push_words(text, from..formula.start, &mut cores);
        from = formula.end;
        cores.push((AtomKind::Formula, formula));
    }
    push_words(text, from..text.len(), &mut cores);
    cores
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cores(text: &str) -> Vec<String> {
        let cot = segment(text);
        (0..cot.n_atoms())
            .map(|idx| cot.core_text(idx).to_owned())
            .collect()
    }

    #[test]
    fn punctuation_that_touches_a_formula_belongs_to_it() {
        assert_eq!(
            cores("So ($x$), then $y$."),
            ["So", "($x$),", "then", "$y$."]
        );
        assert_eq!(
            cores("the $n$th and $x$-axis: f"),
            ["the", "$n$th", "and", "$x$-axis:", "f"]
        );
        assert_eq!(
            cores("**$x$** is $a$($b$)"),
            ["**$x$**", "is", "$a$", "($b$)"]
        );
        assert_eq!(cores("word($x$)more"), ["word", "($x$)", "more"]);
    }

    #[test]
    fn numbers_take_their_unit() {
        let cot = segment("He ran 5 km in 30 minutes. 7 apples for $3.50, 12%");
        let numbers: Vec<&str> = (0..cot.n_atoms())
            .filter(|idx| cot.atoms()[*idx].kind == AtomKind::Number)
            .map(|idx| cot.core_text(idx))
            .collect();
        assert_eq!(numbers, ["5 km", "30 minutes.", "7", "$3.50,", "12%"]);
    }

    #[test]
    fn cjk_text_is_cut_by_character_and_white_space_is_never_lost() {
        let text = "\u{56e0}\u{4e3a}$x=1$\u{3002}\u{6240}\u{4ee5} ok";
        let expected = [
            "\u{56e0}",
            "\u{4e3a}",
            "$x=1$\u{3002}",
            "\u{6240}",
            "\u{4ee5}",
            "ok",
        ];
        assert_eq!(cores(text), expected);
        assert_eq!(segment(" \n ").n_atoms(), 1);
        assert_eq!(segment("").n_atoms(), 0);
        let padded = segment("  a\n\nb \n");
        assert_eq!(
            (padded.atom_text(0), padded.atom_text(1)),
            ("  a", "\n\nb \n")
        );
    }

    /// Text made of the fragments that decide where formulas are.
    pub(crate) fn soup() -> impl Strategy<Value = String> {
        let fragments = [
            "$",
            "$$",
            "\\",
            "\\(",
            "\\)",
            "\\[",
            "\\]",
            "{",
            "}",
            "\\begin{a}",
            "\\end{a}",
            "```math",
            "```",
            "<<",
            ">>",
            "\n",
            "\n\n",
            " ",
            "x",
            "ab",
            "5",
            "= ",
            "+",
            "-",
            "*",
            "|",
            "(",
            ")",
            ",",
            ".",
            "\\frac",
            "\\$",
            "\u{e9}",
            "\u{4e2d}",
            "\u{2009}",
            "th",
            "%",
        ];
        prop::collection::vec(prop::sample::select(fragments.to_vec()), 0..40)
            .prop_map(|parts| parts.concat())
    }

    #[test]
    fn words_ignore_formulas() {
        let cot = segment_words(" a $x + 1$.\n\nb \n");
        let texts: Vec<&str> = (0..cot.n_atoms()).map(|idx| cot.atom_text(idx)).collect();
        assert_eq!(texts, [" a", " $x", " +", " 1$.", "\n\nb \n"]);
        assert_eq!(segment_words("").n_atoms(), 0);
        assert_eq!(segment_words(" \n").n_atoms(), 1);
    }

    proptest! {
        #[test]
        fn words_tile_any_text(text in prop_oneof![any::<String>(), soup()]) {
            let cot = segment_words(&text);
            let n_words = text.split_whitespace().count();
            prop_assert_eq!(cot.n_atoms(), n_words.max(usize::from(!text.is_empty())));
            let atoms = cot.atoms().to_vec();
            prop_assert!(AtomizedCot::try_new(text, atoms).is_ok());
        }

        #[test]
        fn atoms_tile_any_text(text in prop_oneof![any::<String>(), soup()]) {
            let cot = segment(&text);
            let atoms = cot.atoms().to_vec();
            prop_assert!(AtomizedCot::try_new(text.clone(), atoms).is_ok());
            let joined: String = (0..cot.n_atoms()).map(|idx| cot.atom_text(idx)).collect();
            prop_assert_eq!(&joined, &text);
            if !text.trim().is_empty() {
                prop_assert!((0..cot.n_atoms()).all(|idx| !cot.core_text(idx).is_empty()));
            }
        }

        #[test]
        fn every_formula_lies_inside_one_formula_atom(text in soup()) {
            let cot = segment(&text);
            for span in formula_spans(&text) {
                let holders = cot.atoms().iter().filter(|atom| {
                    let holds = atom.start <= span.start && span.end <= atom.end;
                    atom.kind == AtomKind::Formula && holds
                });
                prop_assert_eq!(holders.count(), 1);
            }
        }
    }
}
