//! What became of a window, and the labels that its think text gets from all of them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::KeepLabels;

/// What became of asking for one window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum WindowOutcome {
    /// The reply names pieces.
    Labeled {
        /// First and last piece of each run, from 1 within the window; they rise and do not touch.
        ranges: Vec<(usize, usize)>,
    },
    /// The reply names no piece.
    Empty,
    /// The reply holds no JSON object of the form asked for.
    BadJson {
        /// What is wrong with it.
        message: String,
    },
    /// The reply names a piece that the window does not have.
    WrongIndex {
        /// The first such number.
        index: usize,
        /// Number of pieces of the window.
        n_atoms: usize,
    },
    /// The reply was cut at the limit of new tokens.
    Truncated,
    /// The model or its provider declined to reply.
    Refused {
        /// Why.
        message: String,
    },
    /// The endpoint answered with a status that is no success.
    Http {
        /// The status.
        status: u16,
        /// What came with it.
        message: String,
    },
    /// No whole answer came back.
    Transport {
        /// Why.
        message: String,
    },
}

impl WindowOutcome {
    /// A short name, for counts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Labeled { .. } => "labeled",
            Self::Empty => "empty",
            Self::BadJson { .. } => "bad_json",
            Self::WrongIndex { .. } => "wrong_index",
            Self::Truncated => "truncated",
            Self::Refused { .. } => "refused",
            Self::Http { .. } => "http_status",
            Self::Transport { .. } => "transport",
        }
    }

    /// Whether another round may mend it.
    pub fn is_worth_asking_again(&self) -> bool {
        match self {
            Self::Empty | Self::BadJson { .. } | Self::WrongIndex { .. } | Self::Truncated => true,
            Self::Labeled { .. }
            | Self::Refused { .. }
            | Self::Http { .. }
            | Self::Transport { .. } => false,
        }
    }
}

/// Why a think text has no labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unlabeled {
    /// A window was not asked.
    NotAsked,
    /// A window was empty in every round.
    StillEmpty,
    /// A window ended with another outcome, by [`WindowOutcome::name`].
    Window(&'static str),
}

impl Unlabeled {
    /// A short name, for counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::StillEmpty => "still_empty",
            Self::Window(name) => name,
        }
    }
}

/// The labels of a think text from the last outcome of each of its windows, in text order.
///
/// With `empty_drops` a window that stayed empty drops all its atoms.
///
/// # Errors
///
/// The reason of the first window without labels: half a text is not labeled.
pub fn join_windows(
    windows: &[Range<usize>],
    outcomes: &[Option<&WindowOutcome>],
    empty_drops: bool,
) -> Result<KeepLabels, Unlabeled> {
    let n_atoms = windows.last().map_or(0, |window| window.end);
    let mut is_kept = vec![false; n_atoms];
    for (window, outcome) in windows.iter().zip(outcomes) {
        match outcome {
            None => return Err(Unlabeled::NotAsked),
            Some(WindowOutcome::Labeled { ranges }) => {
                for (first, last) in ranges {
                    is_kept[window.clone()][first - 1..*last].fill(true);
                }
            }
            Some(WindowOutcome::Empty) if empty_drops => (),
            Some(WindowOutcome::Empty) => return Err(Unlabeled::StillEmpty),
            Some(other) => return Err(Unlabeled::Window(other.name())),
        }
    }
    Ok(KeepLabels::new(is_kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_windows_count_from_the_window() {
        let (first, second) = (
            WindowOutcome::Labeled {
                ranges: vec![(2, 3)],
            },
            WindowOutcome::Labeled {
                ranges: vec![(1, 1)],
            },
        );
        let labels = join_windows(&[0..3, 3..5], &[Some(&first), Some(&second)], false).unwrap();
        assert_eq!(labels.as_slice(), [false, true, true, true, false]);
    }

    #[test]
    fn one_window_without_labels_leaves_the_text_unlabeled() {
        let labeled = WindowOutcome::Labeled {
            ranges: vec![(1, 1)],
        };
        let refused = WindowOutcome::Refused {
            message: "no".to_owned(),
        };
        let join = |second, empty_drops| {
            let outcomes = [Some(&labeled), second];
            join_windows(&[0..2, 2..4], &outcomes, empty_drops)
        };
        assert_eq!(join(None, true).unwrap_err().name(), "not_asked");
        assert_eq!(join(Some(&refused), true).unwrap_err().name(), "refused");
        let empty = WindowOutcome::Empty;
        assert_eq!(join(Some(&empty), false), Err(Unlabeled::StillEmpty));
        let dropped = join(Some(&empty), true).unwrap();
        assert_eq!(dropped.as_slice(), [true, false, false, false]);
    }
}
