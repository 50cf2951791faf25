//! Labels from ranges that were written before.

use std::collections::BTreeMap;

use super::{Annotator, KeepLabels, KeepRangeRow};
use crate::{AtomizedCot, CoreError, Problem};

/// Labels from ranges of atoms that a labeling run has written.
///
/// # Source
///
/// The format of the reference's labeling: 1-based closed ranges, padded with zeros.
#[derive(Debug, Clone, Default)]
pub struct RangeAnnotator {
    rows: BTreeMap<String, KeepRangeRow>,
}

impl RangeAnnotator {
    /// An annotator that knows the ranges of these problems.
    ///
    /// # Errors
    ///
    /// [`CoreError::KeepRangeText`] if a range cannot be read or an id comes twice.
    pub fn try_new(rows: impl IntoIterator<Item = KeepRangeRow>) -> Result<Self, CoreError> {
        let mut by_id = BTreeMap::new();
        for row in rows {
            row.parsed()?;
            if let Some(earlier) = by_id.insert(row.id.clone(), row) {
                return Err(CoreError::KeepRangeText {
                    problem_id: earlier.id,
                    message: "the id comes twice".to_owned(),
                });
            }
        }
        Ok(Self { rows: by_id })
    }
}

impl Annotator for RangeAnnotator {
    /// Labels the atoms of one think text of `problem`.
    ///
    /// # Errors
    ///
    /// [`CoreError::NothingToAnnotate`] if the problem is unknown, and what
    /// [`KeepRangeRow::labels`] fails with: above all ranges of another text.
    fn annotate(&self, problem: &Problem, cot: &AtomizedCot) -> Result<KeepLabels, CoreError> {
        self.rows
            .get(&problem.id)
            .ok_or_else(|| CoreError::NothingToAnnotate {
                problem_id: problem.id.clone(),
                wanted: "keep ranges",
            })?
            .labels(cot.n_atoms())
    }

    fn name(&self) -> &'static str {
        "ranges"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::testing::{kept, problem};
    use crate::segment;

    #[test]
    fn ranges_count_from_one_and_include_both_ends() {
        let row = |ranges: &[&str]| KeepRangeRow {
            id: "p".to_owned(),
            annotator: None,
            n_atoms: None,
            ranges: ranges.iter().map(|range| (*range).to_owned()).collect(),
        };
        let annotator = RangeAnnotator::try_new([row(&["001-002", "004-004", "5"])]).unwrap();
        assert_eq!(
            kept(&annotator, &problem(None), "a b c d e f"),
            ["a", "b", "d", "e"]
        );

        let too_far = annotator
            .annotate(&problem(None), &segment("a b c"))
            .unwrap_err();
        assert!(matches!(
            too_far,
            CoreError::KeepRange {
                start: 4,
                end: 4,
                n_atoms: 3
            }
        ));
        let mut stranger = problem(None);
        stranger.id = "q".to_owned();
        let unknown = annotator
            .annotate(&stranger, &segment("a"))
            .unwrap_err()
            .to_string();
        assert_eq!(unknown, "problem `q` has no keep ranges");
        for bad in ["000-002", "3-2", "a-b", "", "1-2-3", "-4", "+4"] {
            let error = RangeAnnotator::try_new([row(&[bad])]).unwrap_err();
            assert!(matches!(error, CoreError::KeepRangeText { .. }), "{bad}");
        }
        assert!(RangeAnnotator::try_new([row(&[]), row(&[])]).is_err());
    }
}
