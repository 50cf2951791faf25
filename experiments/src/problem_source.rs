//! The problems of a run: from the generator, or from a file of JSON lines.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use extracot_core::dataset::read_problems;
use extracot_core::{Problem, Seed};

use crate::config::{EvaluationSplit, ProblemsConfig};
use crate::word_problems::{Split, WordProblem, problem_set};

/// The problem sets of a run.
#[derive(Debug, Clone)]
pub struct ProblemSets {
    /// For traces and fine-tuning.
    pub train: Vec<Problem>,
    /// For reinforcement learning.
    pub reinforce: Vec<Problem>,
    /// For the table.
    pub evaluation: Vec<Problem>,
    /// Rows by what became of them.
    pub counts: BTreeMap<String, u64>,
    /// `generator`, or the file's name and content hash.
    pub source: String,
    /// Whether the problems come from a file: then worked solutions serve as chains of thought.
    pub from_file: bool,
}

impl ProblemSets {
    /// Problems of the generator.
    ///
    /// # Errors
    ///
    /// If a split has fewer problems than asked for.
    pub fn generate(config: &ProblemsConfig, seed: Seed) -> Result<Self> {
        let set = |split: Split, n| -> Result<Vec<Problem>> {
            let items = problem_set(split, n, seed.derive(split.name(), 0))?;
            Ok(items
                .into_iter()
                .map(|WordProblem { problem, .. }| problem)
                .collect())
        };
        let train = set(Split::Train, config.n_train)?;
        let reinforce = set(Split::Reinforce, config.n_reinforce)?;
        let split = match config.evaluate_on {
            EvaluationSplit::Develop => Split::Develop,
            EvaluationSplit::Test => Split::Test,
        };
        let evaluation = set(split, config.n_evaluate)?;
        let total = (train.len() + reinforce.len() + evaluation.len()) as u64;
        Ok(Self {
            train,
            reinforce,
            evaluation,
            counts: BTreeMap::from([("generated".to_owned(), total)]),
            source: format!("generator, table on the {} split", split.name()),
            from_file: false,
        })
    }

    /// Problems of a file that [`read_problems`] knows, those with a worked solution. A split is decided
    /// by a hash of the question alone (60 percent train, 20 reinforce, 8 develop, 12 test), so no
    /// problem is in two of them.
    ///
    /// # Errors
    ///
    /// What [`read_problems`] refuses, and a split that would be empty.
    pub fn read(path: &Path, config: &ProblemsConfig) -> Result<Self> {
        let file = read_problems(path, None)?;
        let (hash, mut counts) = (file.hash, file.counts);
        counts.remove("used");
        let mut count = |reason: &str| *counts.entry(reason.to_owned()).or_insert(0) += 1;
        let develops = config.evaluate_on == EvaluationSplit::Develop;
        let mut other = Vec::new();
        let (mut train, mut reinforce, mut evaluation) = (Vec::new(), Vec::new(), Vec::new());
        for problem in file.problems {
            let solution = problem.solution.as_deref().unwrap_or_default();
            if solution.trim().is_empty() {
                count("dropped: no worked solution");
                continue;
            }
            let words: Vec<&str> = problem.question.split_whitespace().collect();
            let key = words.join(" ").to_lowercase();
            let (set, limit) = match Seed(0).derive(&key, 0).0 % 100 {
                0..60 => (&mut train, config.n_train),
                60..80 => (&mut reinforce, config.n_reinforce),
                80..88 if develops => (&mut evaluation, config.n_evaluate),
                88.. if !develops => (&mut evaluation, config.n_evaluate),
                _ => (&mut other, 0),
            };
            if set.len() < limit {
                set.push(problem);
                count("used");
            } else {
                count("not needed at this size");
            }
        }
        if train.is_empty() || reinforce.is_empty() || evaluation.is_empty() {
            bail!(
                "{}: {} train, {} reinforce and {} {} problems; every split needs at least one \
                 (counts: {counts:?})",
                path.display(),
                train.len(),
                reinforce.len(),
                evaluation.len(),
                config.evaluate_on.name()
            );
        }
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let source = format!(
            "{} ({hash}), table on the {} split",
            name.unwrap_or_default(),
            config.evaluate_on.name()
        );
        Ok(Self {
            train,
            reinforce,
            evaluation,
            counts,
            source,
            from_file: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SIZES: ProblemsConfig = ProblemsConfig {
        n_train: 50,
        n_warmup: 1,
        n_reinforce: 20,
        reinforce_quota: 20,
        n_evaluate: 20,
        evaluate_on: EvaluationSplit::Test,
    };

    fn read(text: &str) -> Result<ProblemSets> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("problems.jsonl");
        std::fs::write(&path, text).unwrap();
        ProblemSets::read(&path, &SIZES)
    }

    #[test]
    fn rows_are_split_by_question_and_every_row_is_counted() {
        let mut text = String::new();
        for i in 0..200 {
            text += &format!(
                "{{\"question\":\"q{}\",\"solution\":\"s\",\"answer\":{i}}}\n",
                i % 150
            );
        }
        text += "{\"question\":\"no solution\",\"answer\":\"1\"}\n";
        let sets = read(&text).unwrap();
        let all: Vec<_> = [&sets.train, &sets.reinforce, &sets.evaluation]
            .into_iter()
            .flatten()
            .collect();
        let questions: HashSet<_> = all.iter().map(|p| &p.question).collect();
        assert_eq!(questions.len(), all.len());
        let doubled = "dropped: same question as an earlier row, another answer";
        assert_eq!(sets.counts[doubled], 50);
        assert_eq!(sets.counts["dropped: no worked solution"], 1);
        let total: u64 = sets.counts.values().sum();
        assert_eq!(total, 2 * 201, "{:?}", sets.counts);
    }

    #[test]
    fn bad_rows_are_named() {
        let message = |text: &str| format!("{:#}", read(text).unwrap_err());
        let good = "{\"question\":\"q\",\"solution\":\"s\",\"answer\":\"1\"}\n";
        // Blank lines count as lines.
        let found = message(&format!("\n{good}{{\"question\":\"q\"}}"));
        assert!(
            found.contains("problems.jsonl:3") && found.contains("answer"),
            "{found}"
        );
        assert!(message(&format!("{good}not json")).contains("problems.jsonl:2:"));
        assert!(message(good).contains("every split needs at least one"));
    }
}
