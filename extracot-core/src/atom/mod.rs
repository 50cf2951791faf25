//! Atoms: the smallest spans of a think text that are kept or dropped whole.
//!
//! [`segment()`] turns a text into an [`AtomizedCot`]; scorers, selection and rendering work on its
//! atoms. The formula finder is in [`math`].

pub mod anchor;
pub mod math;
mod plain;
pub mod segment;
pub mod window;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::CoreError;

pub use segment::{segment, segment_words};
pub use window::windows;

/// What an atom is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtomKind {
    /// A formula with the punctuation that touches it; never cut.
    Formula,
    /// A number with its sign, currency and unit.
    Number,
    /// Any other run of text without white space, with its punctuation.
    Word,
}

/// One span of the text.
///
/// # Units
///
/// Byte offsets into the text. The white space in front of an atom belongs to it; white space at
/// the end of the text belongs to the last atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Atom {
    /// What it is.
    pub kind: AtomKind,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A text and its atoms, which always tile it: no gap, no overlap, no empty atom, and every
/// boundary between two characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedCot", into = "UncheckedCot")]
pub struct AtomizedCot {
    text: String,
    atoms: Vec<Atom>,
}

#[derive(Serialize, Deserialize)]
struct UncheckedCot {
    text: String,
    atoms: Vec<Atom>,
}

impl TryFrom<UncheckedCot> for AtomizedCot {
    type Error = CoreError;
    fn try_from(cot: UncheckedCot) -> Result<Self, CoreError> {
        Self::try_new(cot.text, cot.atoms)
    }
}

impl From<AtomizedCot> for UncheckedCot {
    fn from(cot: AtomizedCot) -> Self {
        Self {
            text: cot.text,
            atoms: cot.atoms,
        }
    }
}

impl AtomizedCot {
    /// A text with atoms from elsewhere: another atomizer, or a file.
    ///
    /// # Errors
    ///
    /// [`CoreError::AtomTiling`] names the first atom that leaves a gap, overlaps, is empty or cuts
    /// a character, or the end of the list if the text goes on.
    pub fn try_new(text: String, atoms: Vec<Atom>) -> Result<Self, CoreError> {
        let mut covered = 0;
        for (atom_idx, atom) in atoms.iter().enumerate() {
            let fits = atom.start == covered && atom.end > atom.start;
            if !fits || !text.is_char_boundary(atom.end) {
                return Err(CoreError::AtomTiling {
                    atom_idx,
                    covered,
                    n_bytes: text.len(),
                });
            }
            covered = atom.end;
        }
        if covered != text.len() {
            let atom_idx = atoms.len();
            return Err(CoreError::AtomTiling {
                atom_idx,
                covered,
                n_bytes: text.len(),
            });
        }
        Ok(Self { text, atoms })
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The atoms in text order.
    pub fn atoms(&self) -> &[Atom] {
        &self.atoms
    }

    /// Number of atoms.
    pub fn n_atoms(&self) -> usize {
        self.atoms.len()
    }

    /// Text of an atom, its leading white space included.
    ///
    /// # Panics
    ///
    /// If there is no such atom.
    pub fn atom_text(&self, atom_idx: usize) -> &str {
        let atom = self.atoms[atom_idx];
        &self.text[atom.start..atom.end]
    }

    /// Text of an atom without white space around it; empty only if the whole text is white space.
    ///
    /// # Panics
    ///
    /// If there is no such atom.
    pub fn core_text(&self, atom_idx: usize) -> &str {
        self.atom_text(atom_idx).trim()
    }

    /// Byte span of [`AtomizedCot::core_text`] in the text.
    ///
    /// # Panics
    ///
    /// If there is no such atom.
    pub fn core_span(&self, atom_idx: usize) -> Range<usize> {
        let text = self.atom_text(atom_idx);
        let start = self.atoms[atom_idx].start + (text.len() - text.trim_start().len());
        start..start + text.trim().len()
    }

    /// Where sentences end: for each sentence the index one past its last atom, rising; the last
    /// one is the number of atoms. Empty if there are no atoms.
    ///
    /// A sentence ends after `.`, `!`, `?` or their CJK forms, closing quotes and brackets
    /// disregarded, and before a line break. The number of a list item (`2.` at the start of a
    /// line) ends none.
    pub fn sentence_ends(&self) -> Vec<usize> {
        (1..=self.atoms.len())
            .filter(|end| self.ends_sentence(*end))
            .collect()
    }

    fn ends_sentence(&self, end: usize) -> bool {
        if end == self.atoms.len() {
            return true;
        }
        let next = self.atom_text(end);
        let separator = &next[..next.len() - next.trim_start().len()];
        if separator.contains('\n') {
            return true;
        }
        let core = self.core_text(end - 1);
        let closed = core.trim_end_matches(|c| ")]}\"'*$\u{201d}\u{2019}".contains(c));
        let stops = closed.ends_with(|c| ".!?\u{3002}\u{ff01}\u{ff1f}".contains(c));
        stops && !self.is_list_number(end - 1)
    }

    fn is_list_number(&self, atom_idx: usize) -> bool {
        let text = self.atom_text(atom_idx);
        let core = text.trim();
        let opens_line =
            atom_idx == 0 || text[..text.len() - text.trim_start().len()].contains('\n');
        let digits = core.trim_end_matches('.');
        opens_line && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(start: usize, end: usize) -> Atom {
        Atom {
            kind: AtomKind::Word,
            start,
            end,
        }
    }

    #[test]
    fn atoms_that_do_not_tile_are_refused_with_their_index() {
        for (atoms, bad_idx) in [
            (vec![], 0),
            (vec![atom(0, 1), atom(2, 5)], 1),
            (vec![atom(0, 3), atom(2, 5)], 1),
            (vec![atom(0, 0), atom(0, 5)], 0),
            (vec![atom(0, 3)], 1),
            (vec![atom(0, 9)], 0),
            // Byte 4 is inside the two bytes of the accented letter.
            (vec![atom(0, 4), atom(4, 5)], 0),
        ] {
            match AtomizedCot::try_new("abc\u{e9}".to_owned(), atoms) {
                Err(CoreError::AtomTiling { atom_idx, .. }) => assert_eq!(atom_idx, bad_idx),
                other => panic!("{other:?}"),
            }
        }
        assert!(AtomizedCot::try_new("abc\u{e9}".to_owned(), vec![atom(0, 3), atom(3, 5)]).is_ok());
        assert!(AtomizedCot::try_new(String::new(), vec![]).is_ok());
    }

    #[test]
    fn serde_checks_the_tiling() {
        let cot = segment("So $x$ is 5.");
        let json = serde_json::to_string(&cot).unwrap();
        assert_eq!(serde_json::from_str::<AtomizedCot>(&json).unwrap(), cot);
        let broken = json.replace("So $x$", "So");
        assert!(serde_json::from_str::<AtomizedCot>(&broken).is_err());
    }

    #[test]
    fn sentences_end_at_stops_and_line_breaks_but_not_at_list_numbers() {
        let cot = segment("1. Add 3 and 4. We get $7$.\nSo (it is 7!) done");
        let ends = cot.sentence_ends();
        let sentences: Vec<&str> = ends
            .iter()
            .scan(0, |from, end| {
                let start = cot.atoms()[*from].start;
                *from = *end;
                Some(cot.text()[start..cot.atoms()[*end - 1].end].trim())
            })
            .collect();
        assert_eq!(
            sentences,
            ["1. Add 3 and 4.", "We get $7$.", "So (it is 7!)", "done"]
        );
        assert!(segment("").sentence_ends().is_empty());
    }
}
