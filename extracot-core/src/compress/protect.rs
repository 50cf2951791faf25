//! Atoms that are kept before all others, whatever their scores.

use regex::Regex;

use crate::verify::extract::last_box_span;
use crate::{AtomKind, AtomizedCot, CoreError};

/// Which atoms go first, behind the one cheapest atom that every budget keeps ([`super::rank`]). A
/// protection outranks every score, never the budget: the first protected atom without room ends the
/// choice.
///
/// # Source
///
/// Our own choice. The reference can keep the sub-tokens of a box's opening only and does so before
/// everything else; forced digits are an option of LLMLingua-2.
#[derive(Debug, Clone, Default)]
pub struct Protection {
    /// The final answer: the last box, else the last formula or number of the text.
    pub answer: bool,
    /// Every atom that holds a digit.
    pub digits: bool,
    /// Every atom that a match of one of these patterns overlaps.
    pub patterns: Vec<Regex>,
}

impl Protection {
    /// A protection with user patterns.
    ///
    /// # Errors
    ///
    /// [`CoreError::Pattern`] for the first pattern that is no regular expression.
    pub fn try_new(answer: bool, digits: bool, patterns: &[String]) -> Result<Self, CoreError> {
        let compile = |pattern: &String| {
            Regex::new(pattern).map_err(|error| CoreError::Pattern {
                pattern: pattern.clone(),
                message: error.to_string(),
            })
        };
        Ok(Self {
            answer,
            digits,
            patterns: patterns.iter().map(compile).collect::<Result<_, _>>()?,
        })
    }

    /// Per atom whether it is protected.
    pub fn atoms(&self, cot: &AtomizedCot) -> Vec<bool> {
        let mut is_protected = vec![false; cot.n_atoms()];
        if self.answer {
            protect_answer(cot, &mut is_protected);
        }
        if self.digits {
            for (atom_idx, is_protected) in is_protected.iter_mut().enumerate() {
                *is_protected |= cot.core_text(atom_idx).contains(|c: char| c.is_numeric());
            }
        }
        for pattern in &self.patterns {
            for found in pattern.find_iter(cot.text()).filter(|m| !m.is_empty()) {
                protect_span(cot, found.start(), found.end(), &mut is_protected);
            }
        }
        is_protected
    }
}

fn protect_answer(cot: &AtomizedCot, is_protected: &mut [bool]) {
    if let Some(span) = last_box_span(cot.text()) {
        protect_span(cot, span.start, span.end, is_protected);
        return;
    }
    let holds_value = |idx: &usize| cot.atoms()[*idx].kind != AtomKind::Word;
    if let Some(last) = (0..cot.n_atoms()).rfind(holds_value) {
        is_protected[last] = true;
    }
}

/// Protects the atoms whose core a span overlaps.
fn protect_span(cot: &AtomizedCot, start: usize, end: usize, is_protected: &mut [bool]) {
    let first = cot.atoms().partition_point(|atom| atom.end <= start);
    for (atom_idx, is_protected) in is_protected.iter_mut().enumerate().skip(first) {
        let core = cot.core_span(atom_idx);
        if core.start >= end {
            return;
        }
        *is_protected |= core.end > start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment;

    fn protected(protection: &Protection, text: &str) -> Vec<String> {
        let cot = segment(text);
        let atoms = protection.atoms(&cot);
        assert_eq!(atoms.len(), cot.n_atoms());
        (0..cot.n_atoms())
            .filter(|idx| atoms[*idx])
            .map(|idx| cot.core_text(idx).to_owned())
            .collect()
    }

    #[test]
    fn the_answer_is_the_last_box_else_the_last_value() {
        let answer = Protection {
            answer: true,
            ..Protection::default()
        };
        let boxed = r"First $x = 1$. So \boxed{4}, I mean $\boxed{\frac{1}{2}}$. Then $y = 2$.";
        assert_eq!(protected(&answer, boxed), [r"$\boxed{\frac{1}{2}}$."]);
        assert_eq!(protected(&answer, "We get $x = 1$. Done."), ["$x = 1$."]);
        assert_eq!(protected(&answer, "She has 5 apples."), ["5"]);
        assert_eq!(protected(&answer, "no value"), [""; 0]);
        // A box that never closes is no box.
        assert_eq!(protected(&answer, r"so 3 then \boxed{4"), ["3"]);
        assert_eq!(protected(&answer, ""), [""; 0]);
    }

    #[test]
    fn digits_and_patterns_protect_what_they_touch() {
        let digits = Protection {
            digits: true,
            ..Protection::default()
        };
        assert_eq!(
            protected(&digits, "add $x + 2$ to a3 and $y$"),
            ["$x + 2$", "a3"]
        );
        let patterns = ["not".to_owned(), "equal +to|x*".to_owned()];
        let patterns = Protection::try_new(false, false, &patterns).unwrap();
        assert_eq!(
            protected(&patterns, "it is not equal to this"),
            ["not", "equal", "to"]
        );
        match Protection::try_new(false, false, &["(".to_owned()]) {
            Err(CoreError::Pattern { pattern, .. }) => assert_eq!(pattern, "("),
            other => panic!("{other:?}"),
        }
    }
}
