//! The labels format: one row per think text with the ranges of atoms to keep.

use serde::{Deserialize, Deserializer, Serialize};

use super::KeepLabels;
use crate::CoreError;

/// Keep labels of one think text, as every annotator writes them and a labeling run from elsewhere
/// may.
///
/// `annotator` and `n_atoms` may be absent in a file from elsewhere; [`KeepRangeRow::new`] has both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepRangeRow {
    /// The problem's id; a number is read as its text.
    #[serde(deserialize_with = "text_or_number")]
    pub id: String,
    /// Who made the labels.
    #[serde(default)]
    pub annotator: Option<String>,
    /// Number of atoms of the text that the labels are for.
    #[serde(default)]
    pub n_atoms: Option<usize>,
    /// Ranges of atoms, `"005-012"` or `"7"`: 1-based, both ends included.
    pub ranges: Vec<String>,
}

/// Reads an id that may be written as a number, which stands for its digits.
///
/// # Errors
///
/// If it is neither.
pub fn text_or_number<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "an id is a text or a number")]
    enum Id {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(match Id::deserialize(source)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}

impl KeepRangeRow {
    /// The row of these labels. Ranges rise and do not touch; indices are padded with zeros to the
    /// digits of the number of atoms, three at least.
    pub fn new(id: impl Into<String>, annotator: impl Into<String>, labels: &KeepLabels) -> Self {
        let is_kept = labels.as_slice();
        let width = index_width(is_kept.len());
        let mut ranges = Vec::new();
        let mut start = 0;
        for run in is_kept.chunk_by(|a, b| a == b) {
            let end = start + run.len();
            if run[0] {
                ranges.push(match run.len() {
                    1 => format!("{end:0width$}"),
                    _ => format!("{:0width$}-{end:0width$}", start + 1),
                });
            }
            start = end;
        }
        Self {
            id: id.into(),
            annotator: Some(annotator.into()),
            n_atoms: Some(is_kept.len()),
            ranges,
        }
    }

    /// The labels of a text of `n_atoms` atoms.
    ///
    /// # Errors
    ///
    /// [`CoreError::KeepRangeAtoms`] if the row is for a text of another number of atoms,
    /// [`CoreError::KeepRangeText`] if a range cannot be read, [`CoreError::KeepRange`] if one goes
    /// past the last atom.
    pub fn labels(&self, n_atoms: usize) -> Result<KeepLabels, CoreError> {
        if let Some(recorded) = self.n_atoms.filter(|recorded| *recorded != n_atoms) {
            return Err(CoreError::KeepRangeAtoms {
                problem_id: self.id.clone(),
                recorded,
                n_atoms,
            });
        }
        let mut is_kept = vec![false; n_atoms];
        for (start, end) in self.parsed()? {
            is_kept
                .get_mut(start - 1..end)
                .ok_or(CoreError::KeepRange {
                    start,
                    end,
                    n_atoms,
                })?
                .fill(true);
        }
        Ok(KeepLabels::new(is_kept))
    }

    /// The ranges as numbers: first and last atom, from 1.
    pub(super) fn parsed(&self) -> Result<Vec<(usize, usize)>, CoreError> {
        let parse = |text: &String| match parse_bounds(text) {
            None => Err(format!("`{text}` is not a range such as 005-012")),
            Some((start, end)) if start == 0 || end < start => {
                Err(format!("`{text}` has to rise from 1"))
            }
            Some(bounds) => Ok(bounds),
        };
        let parsed: Result<_, String> = self.ranges.iter().map(parse).collect();
        parsed.map_err(|message| CoreError::KeepRangeText {
            problem_id: self.id.clone(),
            message,
        })
    }
}

/// Digits of an index among `n_atoms` atoms, three at least.
pub(super) fn index_width(n_atoms: usize) -> usize {
    n_atoms.to_string().len().max(3)
}

/// `"005-012"` or `"7"` as two numbers in the order in which they stand. A number beyond the range
/// of its type is the greatest one, which lies on no text.
pub(super) fn parse_bounds(text: &str) -> Option<(usize, usize)> {
    let (first, second) = text.split_once('-').unwrap_or((text, text));
    let index = |part: &str| {
        let digits = part.trim();
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| digits.parse().unwrap_or(usize::MAX))
    };
    Some((index(first)?, index(second)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_row_is_padded_and_says_who_made_it_for_how_many_atoms() {
        let labels = KeepLabels::new(vec![true, true, false, true, false]);
        let row = KeepRangeRow::new("p", "heuristic", &labels);
        assert_eq!(
            serde_json::to_string(&row).unwrap(),
            r#"{"id":"p","annotator":"heuristic","n_atoms":5,"ranges":["001-002","004"]}"#
        );
        let mut long = vec![false; 1000];
        long[998..].fill(true);
        let row = KeepRangeRow::new("p", "heuristic", &KeepLabels::new(long));
        assert_eq!(row.ranges, ["0999-1000"]);
    }

    #[test]
    fn a_row_from_elsewhere_needs_id_and_ranges_only() {
        let row: KeepRangeRow =
            serde_json::from_str(r#"{"id":17,"ranges":["2-3"],"model":"x"}"#).unwrap();
        assert_eq!((row.id.as_str(), row.n_atoms), ("17", None));
        assert_eq!(
            row.labels(4).unwrap().as_slice(),
            [false, true, true, false]
        );
        let error = serde_json::from_str::<KeepRangeRow>(r#"{"id":[],"ranges":[]}"#).unwrap_err();
        assert!(error.to_string().contains("text or a number"), "{error}");
    }

    #[test]
    fn a_row_of_another_text_is_refused_with_both_numbers() {
        let row = KeepRangeRow::new("p", "solution", &KeepLabels::new(vec![true; 5]));
        match row.labels(6) {
            Err(CoreError::KeepRangeAtoms {
                recorded, n_atoms, ..
            }) => assert_eq!((recorded, n_atoms), (5, 6)),
            other => panic!("{other:?}"),
        }
        let huge = KeepRangeRow {
            n_atoms: None,
            ranges: vec!["1-99999999999999999999999".to_owned()],
            ..row
        };
        assert!(matches!(huge.labels(6), Err(CoreError::KeepRange { .. })));
    }

    proptest! {
        #[test]
        fn labels_survive_the_row(is_kept in prop::collection::vec(any::<bool>(), 0..1200)) {
            let labels = KeepLabels::new(is_kept);
            let row = KeepRangeRow::new("p", "ranges", &labels);
            let json = serde_json::to_string(&row).unwrap();
            let read: KeepRangeRow = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&read, &row);
            prop_assert_eq!(read.labels(labels.as_slice().len()).unwrap(), labels);
            // Ranges rise and leave a gap of at least one atom.
            let bounds = read.parsed().unwrap();
            prop_assert!(bounds.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }
}
