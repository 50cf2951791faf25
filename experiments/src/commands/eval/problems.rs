//! The problems of a sweep, and whether they were trained on.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use extracot_core::jsonl::read_numbered_jsonl;
use extracot_core::{AnswerVerifier, CoreError, MathVerifier, Problem, Verdict};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::run_folder::ProblemTexts;
use crate::sweep::{Leakage, Listed};

/// The problems of a file.
#[derive(Debug)]
pub(super) struct ProblemFile {
    /// The first ones, as many as asked for.
    pub(super) problems: Vec<Problem>,
    /// Their lines, from 1.
    pub(super) lines: Vec<usize>,
    /// Problems in the whole file.
    pub(super) n_in_file: usize,
    /// SHA-256 of the file.
    pub(super) sha256: String,
}

impl ProblemFile {
    /// Reads a file; with `limit` its first problems are taken, the rest is checked all the same.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is empty; by file and line if a row lacks its question or gold
    /// answer, or has the id of an earlier one.
    pub(super) fn read(path: &Path, limit: Option<usize>) -> Result<Self> {
        let rows: Vec<(usize, Map<String, Value>)> = read_numbered_jsonl(path)?;
        let n_in_file = rows.len();
        let (mut problems, mut lines) = (Vec::new(), Vec::new());
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (line, row) in rows {
            let place = || format!("{}:{line}", path.display());
            let problem = problem(&row, line).with_context(place)?;
            if let Some(first) = seen.insert(problem.id.clone(), line) {
                bail!(
                    "{}: id `{}` is that of line {first} too",
                    place(),
                    problem.id
                );
            }
            if limit.is_none_or(|limit| problems.len() < limit) {
                problems.push(problem);
                lines.push(line);
            }
        }
        if problems.is_empty() {
            bail!("{} has no problems", path.display());
        }
        Ok(Self {
            problems,
            lines,
            n_in_file,
            sha256: file_hash(path)?,
        })
    }

    /// Problems whose gold answer the verifier cannot read: nothing will be said of their answers.
    pub(super) fn unreadable_gold(&self) -> Listed {
        let is_unreadable = |problem: &&Problem| {
            let verdict = MathVerifier.verify(r"\boxed{0}", &problem.answer);
            matches!(verdict, Verdict::Undecided(_))
        };
        Listed::of(self.problems.iter().filter(is_unreadable))
    }

    /// Which problems have the question of a row of `train`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, has no rows or one without a question, by file and line.
    pub(super) fn leakage(&self, train: &Path) -> Result<Leakage> {
        let rows: Vec<(usize, Map<String, Value>)> = read_numbered_jsonl(train)?;
        if rows.is_empty() {
            bail!("{} has no rows", train.display());
        }
        let mut known = HashSet::new();
        for (line, row) in &rows {
            let place = || format!("{}:{line}", train.display());
            known.insert(same_question(&question(row).with_context(place)?));
        }
        let is_shared = |problem: &&Problem| known.contains(&same_question(&problem.question));
        Ok(Leakage {
            file: train.display().to_string(),
            sha256: file_hash(train)?,
            n_rows: rows.len(),
            shared: Listed::of(self.problems.iter().filter(is_shared)),
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

/// A question without what does not make another one of it.
fn same_question(question: &str) -> String {
    let words: Vec<&str> = question.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

fn question(row: &Map<String, Value>) -> Result<String> {
    match row.get("question") {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
        _ => bail!("a problem without `question` ({})", keys(row)),
    }
}

fn problem(row: &Map<String, Value>, line: usize) -> Result<Problem> {
    let text = |value: &Value| match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let question = question(row)?;
    let Some(answer) = row.get("answer").and_then(text) else {
        bail!("a problem without a gold `answer` ({})", keys(row));
    };
    let id = match row.get("id") {
        None => format!("line-{line}"),
        Some(id) => text(id).context("`id` is neither a text nor a number")?,
    };
    let difficulty = match row.get("difficulty") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let number = value.as_u64().and_then(|number| number.try_into().ok());
            Some(number.with_context(|| format!("difficulty {value} is no whole number"))?)
        }
    };
    Ok(Problem {
        id,
        question,
        solution: None,
        answer,
        difficulty,
        options: vec![],
    })
}

fn keys(row: &Map<String, Value>) -> String {
    match row.is_empty() {
        true => "it has no keys".to_owned(),
        false => {
            let keys: Vec<&str> = row.keys().map(String::as_str).collect();
            format!("its keys: {}", keys.join(", "))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn read(text: &str, limit: Option<usize>) -> Result<ProblemFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("problems.jsonl");
        std::fs::write(&path, text).unwrap();
        ProblemFile::read(&path, limit)
    }

    const GOOD: &str = "{\"id\":1,\"question\":\"q\",\"answer\":4,\"difficulty\":2}\n";

    #[test]
    fn ids_and_answers_may_be_numbers_and_the_first_problems_are_taken() {
        let text = format!("{GOOD}\n{{\"question\":\"r\",\"answer\":\"x\"}}\n");
        let file = read(&text, None).unwrap();
        let ids: Vec<&str> = file.problems.iter().map(|p| p.id.as_str()).collect();
        assert_eq!((ids, file.lines.clone()), (vec!["1", "line-3"], vec![1, 3]));
        assert_eq!(file.problems[0].answer, "4");
        assert_eq!(file.problems[0].difficulty, Some(2));
        let file = read(&text, Some(1)).unwrap();
        assert_eq!((file.problems.len(), file.n_in_file), (1, 2));
    }

    #[test]
    fn bad_rows_are_named_even_behind_the_limit() {
        for (row, wanted) in [
            (GOOD, "jsonl:2: id `1` is that of line 1 too"),
            (
                "{\"id\":2,\"problem\":\"q\",\"answer\":4}",
                "jsonl:2: a problem without `question` (its keys: answer, id, problem)",
            ),
            (
                "{\"id\":2,\"question\":\"q\",\"answer\":\" \"}",
                "jsonl:2: a problem without a gold `answer`",
            ),
            (
                "{\"id\":2,\"question\":\"q\",\"answer\":4,\"difficulty\":\"Level 3\"}",
                "is no whole number",
            ),
            ("not json", "jsonl:2:"),
        ] {
            let error = read(&format!("{GOOD}{row}"), Some(1)).unwrap_err();
            assert!(format!("{error:#}").contains(wanted), "{error:#}");
        }
        let error = read("\n", None).unwrap_err();
        assert!(error.to_string().contains("has no problems"), "{error}");
    }

    #[test]
    fn leaked_questions_are_found_whatever_their_spacing() {
        let file = read("{\"id\":\"a\",\"question\":\"How  many?\",\"answer\":1}\n{\"id\":\"b\",\"question\":\"Why?\",\"answer\":1}", None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let train = folder.path().join("train.jsonl");
        std::fs::write(
            &train,
            "{\"question\":\"how many? \"}\n{\"question\":\"x\"}",
        )
        .unwrap();
        let leakage = file.leakage(&train).unwrap();
        assert_eq!((leakage.n_rows, leakage.shared.n), (2, 1));
        assert_eq!(leakage.shared.ids, ["a"]);
    }

    #[test]
    fn an_unreadable_gold_answer_is_known_before_anything_is_sampled() {
        let file = read(
            "{\"id\":\"a\",\"question\":\"q\",\"answer\":\"\\\\frac{1\"}\n",
            None,
        );
        assert_eq!(file.unwrap().unreadable_gold().ids, ["a"]);
    }
}
