//! Filters for compressed texts that are no use as training text, each with its reason.

use serde::{Deserialize, Serialize};

use super::{CompressedCot, lost_number};
use crate::atom::anchor::holds_answer;
use crate::{AtomKind, AtomizedCot, CoreError};

/// Limits of the filters.
///
/// # Source
///
/// The rules are the reference's in outline (shortest length, longest run of one n-gram, anchors
/// kept), but for the sources of numbers (`docs/decisions/0010`); the values are our own choice,
/// loose enough for think texts of a few dozen tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QualityConfig {
    /// Longest phrase, in words, whose repetition is looked for.
    pub max_phrase_words: usize,
    /// How often a phrase may stand in a row.
    pub max_repeats: usize,
    /// Fewest tokens that may be kept.
    pub min_tokens: usize,
    /// Whether the answer has to be kept.
    pub requires_anchor: bool,
    /// Whether every number that a kept formula builds on needs its source ([`lost_number`]).
    pub requires_sources: bool,
}

impl Default for QualityConfig {
    fn default() -> Self {
        Self {
            max_phrase_words: 4,
            max_repeats: 4,
            min_tokens: 4,
            requires_anchor: true,
            requires_sources: true,
        }
    }
}

impl QualityConfig {
    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if `max_repeats` or `max_phrase_words` is 0.
    pub fn check(&self) -> Result<(), CoreError> {
        for (key, found) in [
            ("max_repeats", self.max_repeats),
            ("max_phrase_words", self.max_phrase_words),
        ] {
            if found == 0 {
                let (found, allowed) = (found.to_string(), "at least 1");
                return Err(CoreError::Setting {
                    key,
                    found,
                    allowed,
                });
            }
        }
        Ok(())
    }
}

/// Why a compressed text is no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Degenerate {
    /// A phrase stands in a row too often.
    #[error("`{phrase}` stands {n_repeats} times in a row")]
    Repetition {
        /// The phrase.
        phrase: String,
        /// How often it stands in a row.
        n_repeats: usize,
    },
    /// Too little is left.
    #[error("{kept_tokens} tokens are left, {min_tokens} are needed")]
    TooShort {
        /// Tokens kept.
        kept_tokens: usize,
        /// Fewest allowed.
        min_tokens: usize,
    },
    /// What the text leads to is gone.
    #[error("`{anchor}` is lost")]
    LostAnchor {
        /// The gold answer, or the last formula.
        anchor: String,
    },
    /// A formula builds on a number whose own formula is gone.
    #[error("what `{number}` comes from is lost")]
    LostStep {
        /// The number, as it is written.
        number: String,
    },
}

impl Degenerate {
    /// A name to count by.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Repetition { .. } => "repetition",
            Self::TooShort { .. } => "too_short",
            Self::LostAnchor { .. } => "lost_anchor",
            Self::LostStep { .. } => "lost_step",
        }
    }
}

/// Applies every filter.
///
/// # Errors
///
/// The first reason found, in the order length, anchor, sources, repetition.
pub fn check(
    original: &AtomizedCot,
    compressed: &CompressedCot,
    question: &str,
    gold: &str,
    config: &QualityConfig,
) -> Result<(), Degenerate> {
    check_length(compressed, config.min_tokens)?;
    if config.requires_anchor {
        check_anchor(original, compressed, gold)?;
    }
    if config.requires_sources
        && let Some(number) = lost_number(original, compressed, question, gold)
    {
        return Err(Degenerate::LostStep { number });
    }
    check_repetition(
        &compressed.text,
        config.max_phrase_words,
        config.max_repeats,
    )
}

/// Refuses texts of fewer than `min_tokens` tokens.
///
/// # Errors
///
/// [`Degenerate::TooShort`].
pub fn check_length(compressed: &CompressedCot, min_tokens: usize) -> Result<(), Degenerate> {
    let kept_tokens = compressed.kept_tokens;
    if kept_tokens < min_tokens {
        return Err(Degenerate::TooShort {
            kept_tokens,
            min_tokens,
        });
    }
    Ok(())
}

/// Refuses texts that lost what the original leads to: the gold answer if the original states it,
/// else its last formula.
///
/// # Errors
///
/// [`Degenerate::LostAnchor`].
pub fn check_anchor(
    original: &AtomizedCot,
    compressed: &CompressedCot,
    gold: &str,
) -> Result<(), Degenerate> {
    let (is_lost, anchor) = if holds_answer(original.text(), gold) {
        (!holds_answer(&compressed.text, gold), gold.to_owned())
    } else {
        let is_formula = |idx: &usize| original.atoms()[*idx].kind == AtomKind::Formula;
        let Some(last) = (0..original.n_atoms()).rfind(is_formula) else {
            return Ok(());
        };
        let core = original.core_span(last);
        let is_kept = compressed
            .kept_spans
            .iter()
            .any(|(start, end)| *start <= core.start && core.end <= *end);
        (!is_kept, original.core_text(last).to_owned())
    };
    if is_lost {
        Err(Degenerate::LostAnchor { anchor })
    } else {
        Ok(())
    }
}

/// Refuses texts in which a phrase of up to `max_phrase_words` words stands more than `max_repeats`
/// times in a row.
///
/// # Errors
///
/// [`Degenerate::Repetition`] with the shortest such phrase.
pub fn check_repetition(
    text: &str,
    max_phrase_words: usize,
    max_repeats: usize,
) -> Result<(), Degenerate> {
    let words: Vec<&str> = text.split_whitespace().collect();
    for n_words in 1..=max_phrase_words.min(words.len()) {
        // A phrase of n words stands k times in a row where n * (k - 1) words in a row equal the
        // word n places before.
        let mut n_equal = 0;
        let mut longest = (0, 0);
        for idx in n_words..words.len() {
            n_equal = if words[idx] == words[idx - n_words] {
                n_equal + 1
            } else {
                0
            };
            longest = longest.max((n_equal, idx));
        }
        let n_repeats = longest.0 / n_words + 1;
        if n_repeats > max_repeats {
            let phrase = words[longest.1 + 1 - n_words..=longest.1].join(" ");
            return Err(Degenerate::Repetition { phrase, n_repeats });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::{KeepMask, kept_spans, render};
    use crate::{KeepRatio, segment};

    fn keep(original: &AtomizedCot, mask: &[bool]) -> CompressedCot {
        let mask = KeepMask::new(mask.to_vec());
        CompressedCot {
            text: render(original, &mask),
            target_ratio: Some(KeepRatio::FULL),
            kept_tokens: mask.n_kept(),
            total_tokens: original.n_atoms(),
            kept_spans: kept_spans(original, &mask),
        }
    }

    #[test]
    fn a_phrase_in_a_row_is_counted() {
        assert_eq!(check_repetition("a a a b", 4, 3), Ok(()));
        let found = check_repetition("so a b a b a b a c", 4, 2).unwrap_err();
        let expected = Degenerate::Repetition {
            phrase: "b a".to_owned(),
            n_repeats: 3,
        };
        assert_eq!(found, expected);
        assert!(check_repetition("a a a a", 1, 3).is_err());
        assert_eq!(check_repetition("", 4, 1), Ok(()));
    }

    #[test]
    fn the_answer_or_the_last_formula_must_stay() {
        let original = segment("So $3 + 4 = 7$ and done");
        let with = keep(&original, &[false, true, false, true]);
        let without = keep(&original, &[true, false, true, true]);
        assert_eq!(check_anchor(&original, &with, "7"), Ok(()));
        let lost = check_anchor(&original, &without, "7").unwrap_err();
        assert_eq!(
            lost,
            Degenerate::LostAnchor {
                anchor: "7".to_owned()
            }
        );
        // The original never states 9, so its last formula counts.
        assert_eq!(check_anchor(&original, &with, "9"), Ok(()));
        let lost = check_anchor(&original, &without, "9").unwrap_err();
        assert_eq!(
            lost,
            Degenerate::LostAnchor {
                anchor: "$3 + 4 = 7$".to_owned()
            }
        );
    }

    #[test]
    fn each_rule_is_applied_and_named() {
        let original = segment("$x = 7$ b b b b b b");
        let config = QualityConfig::default();
        let reason = |mask: &[bool]| {
            check(&original, &keep(&original, mask), "", "7", &config)
                .unwrap_err()
                .reason()
        };
        assert_eq!(
            reason(&[true, false, false, false, false, false, false]),
            "too_short"
        );
        assert_eq!(
            reason(&[false, true, true, true, true, true, true]),
            "lost_anchor"
        );
        assert_eq!(
            reason(&[true, true, true, true, true, true, true]),
            "repetition"
        );
        let fine = keep(&original, &[true, true, true, true, false, false, false]);
        assert_eq!(check(&original, &fine, "", "7", &config), Ok(()));
        // The second formula builds on the 7 of the first.
        let original = segment("so $3+4=7$ then $7-2=5$ done");
        let lost = keep(&original, &[true, false, true, true, true]);
        let found = check(&original, &lost, "3 and 4, 2", "5", &config).unwrap_err();
        assert_eq!(found.reason(), "lost_step");
        let lenient = QualityConfig {
            requires_sources: false,
            ..config
        };
        assert_eq!(check(&original, &lost, "", "5", &lenient), Ok(()));
        assert!(config.check().is_ok());
        assert!(
            QualityConfig {
                max_repeats: 0,
                ..config
            }
            .check()
            .is_err()
        );
    }
}
