//! Problem files of known kinds as [`Problem`]s.

mod convert;
mod kind;
mod leakage;
mod options;
mod row;
pub(crate) mod source;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

pub use kind::DatasetKind;
pub use leakage::{Leakage, SharedProblem, leakage};
pub use options::{accepted_answers, option_text, verify_problem};

use crate::digest::sha256;
use crate::{CoreError, Problem};
use row::Row;

/// The problems of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// The problems, in the order of the file.
    pub problems: Vec<Problem>,
    /// What the file is.
    pub kind: DatasetKind,
    /// Rows by what became of them: `rows read` is the sum of `used` and of everything `dropped`;
    /// `blank lines` come on top.
    pub counts: BTreeMap<String, u64>,
    /// The first 8 bytes of the SHA-256 of the file's bytes, in hexadecimal.
    pub hash: String,
}

/// Reads a file of problems: JSON lines, or one JSON array of objects.
///
/// Without `kind` the first row decides what the file is: of the kinds in [`DatasetKind::ALL`] the
/// first that it fits. An id is `id`,
/// `unique_id` or `ID`, else `line-N`, or `row-N` in an array, with N from 1. A row is dropped, and counted, if it is blank, if
/// its question is that of an earlier row but for case and white space, or, of a model-made kind, if
/// the model gave no answer.
///
/// # Errors
///
/// [`CoreError::Io`]; [`CoreError::JsonLine`] for a row that is no object or holds a value that cannot
/// be meant, [`CoreError::MissingField`], [`CoreError::DoubledId`], each with file and line;
/// [`CoreError::UnknownDataset`] and [`CoreError::WrongDataset`] if the first row is of no known kind,
/// or not of the one asked for; [`CoreError::EmptyDataset`] if no problem is left.
pub fn read_problems(path: &Path, kind: Option<DatasetKind>) -> Result<Dataset, CoreError> {
    let bytes = std::fs::read(path).map_err(CoreError::io("read", path))?;
    let source = source::rows(&bytes, path)?;
    let mut counts = BTreeMap::new();
    let mut count = |reason: &str, n: u64| *counts.entry(reason.to_owned()).or_insert(0) += n;
    if source.n_blank > 0 {
        count("blank lines", source.n_blank);
    }
    let is_array = source.is_array;
    let rows: Vec<Row<'_>> = source
        .rows
        .into_iter()
        .map(|(line, fields)| Row { path, line, fields })
        .collect();
    let first = rows.iter().find(|row| !row.is_blank());
    let Some(first) = first else {
        return Err(empty(path, &counts));
    };
    let kind = kind::decide(first, kind)?;

    let mut problems: Vec<Problem> = Vec::new();
    let mut ids = HashSet::new();
    let mut seen: HashMap<String, String> = HashMap::new();
    for (row_idx, row) in rows.iter().enumerate() {
        count("rows read", 1);
        if row.is_blank() {
            count("dropped: blank row", 1);
            continue;
        }
        let id = row.id()?.unwrap_or_else(|| match is_array {
            true => format!("row-{}", row_idx + 1),
            false => format!("line-{}", row.line),
        });
        if !ids.insert(id.clone()) {
            return Err(CoreError::DoubledId {
                path: path.to_owned(),
                line: row.line,
                id,
            });
        }
        let problem = match convert::problem(kind, row, id)? {
            Ok(problem) => problem,
            Err(reason) => {
                count(reason, 1);
                continue;
            }
        };
        match seen.get(&same_question_key(&problem.question)) {
            None => {}
            Some(answer) if *answer == problem.answer => {
                count("dropped: same question as an earlier row", 1);
                continue;
            }
            Some(_) => {
                count(
                    "dropped: same question as an earlier row, another answer",
                    1,
                );
                continue;
            }
        }
        seen.insert(same_question_key(&problem.question), problem.answer.clone());
        count("used", 1);
        problems.push(problem);
    }
    if problems.is_empty() {
        return Err(empty(path, &counts));
    }
    Ok(Dataset {
        problems,
        kind,
        counts,
        hash: sha256(&bytes)[..16].to_owned(),
    })
}

/// Questions with one key are one: not more is folded, as in mathematics a sign is a difference.
fn same_question_key(question: &str) -> String {
    let words: Vec<&str> = question.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

fn empty(path: &Path, counts: &BTreeMap<String, u64>) -> CoreError {
    let counts: Vec<String> = counts
        .iter()
        .map(|(reason, n)| format!("{reason}: {n}"))
        .collect();
    CoreError::EmptyDataset {
        path: path.to_owned(),
        counts: counts.join(", "),
    }
}
