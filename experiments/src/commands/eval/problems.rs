//! The problems of a sweep, and whether they were trained on.

use std::path::Path;

use anyhow::Result;
use extracot_core::dataset::{DatasetKind, leakage, read_problems, verify_problem};
use extracot_core::{CoreError, MathVerifier, Problem, Verdict};
use sha2::{Digest, Sha256};

use super::run_folder::ProblemTexts;
use crate::sweep::{Leakage, Listed, ProblemsUsed};

/// The problems of a file.
#[derive(Debug)]
pub(super) struct ProblemFile {
    /// The first ones, as many as asked for.
    pub(super) problems: Vec<Problem>,
    /// Where they come from.
    pub(super) about: ProblemsUsed,
}

impl ProblemFile {
    /// Reads a file; with `limit` its first problems are taken, the rest is checked all the same.
    ///
    /// # Errors
    ///
    /// As [`read_problems`].
    pub(super) fn read(
        path: &Path,
        kind: Option<DatasetKind>,
        limit: Option<usize>,
    ) -> Result<Self> {
        let dataset = read_problems(path, kind)?;
        let n_in_file = dataset.problems.len();
        let mut problems = dataset.problems;
        problems.truncate(limit.unwrap_or(n_in_file));
        let is_unreadable = |problem: &&Problem| {
            let verdict = verify_problem(&MathVerifier, r"\boxed{0}", problem);
            matches!(verdict, Verdict::Undecided(_))
        };
        let about = ProblemsUsed {
            file: path.display().to_string(),
            kind: dataset.kind.to_string(),
            sha256: file_hash(path)?,
            n: problems.len(),
            n_in_file,
            counts: dataset.counts,
            unreadable_gold: Listed::of(problems.iter().filter(is_unreadable)),
        };
        Ok(Self { problems, about })
    }

    /// Which problems are in a training file.
    ///
    /// # Errors
    ///
    /// As [`read_problems`].
    pub(super) fn leakage(&self, train: &Path) -> Result<Leakage> {
        let known = read_problems(train, None)?.problems;
        let found = leakage(&known, &self.problems);
        Ok(Leakage {
            file: train.display().to_string(),
            sha256: file_hash(train)?,
            n_problems: known.len(),
            n_shared: found.n_shared,
            shared: found.ids,
        })
    }

    /// Question and gold answer by id.
    pub(super) fn texts(&self) -> ProblemTexts {
        let problems = self.problems.iter();
        let pair = |p: &Problem| (p.id.clone(), (p.question.clone(), p.answer.clone()));
        problems.map(pair).collect()
    }
}

/// SHA-256 of a file, in hexadecimal digits.
///
/// # Errors
///
/// If it cannot be read.
pub(super) fn file_hash(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(CoreError::io("read", path))?;
    let digest = Sha256::digest(bytes);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_first_problems_are_taken_and_what_is_wrong_with_them_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("problems.jsonl");
        let row = |id, question, answer| serde_json::json!({"id": id, "question": question, "answer": answer, "difficulty": 2});
        let rows = [
            row("a", "How  many?", "1"),
            row("b", "Why?", "\\frac{1"),
            row("c", "how many?", "2"),
            row("d", "Who?", "3"),
        ];
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        std::fs::write(&path, text).unwrap();
        let file = ProblemFile::read(&path, None, Some(2)).unwrap();
        let ids: Vec<&str> = file.problems.iter().map(|p| p.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(file.problems[0].difficulty, Some(2));
        // `c` asks what `a` asks.
        assert_eq!((file.about.n, file.about.n_in_file), (2, 3));
        assert_eq!(file.about.counts["rows read"], 4);
        assert_eq!(file.about.unreadable_gold.ids, ["b"]);

        let train = folder.path().join("train.jsonl");
        std::fs::write(&train, format!("{}\n", row("t", "HOW many", "7"))).unwrap();
        let leakage = file.leakage(&train).unwrap();
        assert_eq!((leakage.n_problems, leakage.n_shared), (1, 1));
        assert_eq!(leakage.shared[0].test_id, "a");
    }
}
