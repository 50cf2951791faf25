//! Whether problems of a test set are in a training set.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::Problem;

/// Problems that two sets share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leakage {
    /// Test problems that are in the training set.
    pub n_shared: usize,
    /// Which, in the order of the test set.
    pub ids: Vec<SharedProblem>,
}

/// A test problem and the first training problem with its question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedProblem {
    /// Id in the test set.
    pub test_id: String,
    /// Id in the training set.
    pub train_id: String,
}

/// Compares questions as texts without case, white space and the punctuation of prose. Numbers and
/// mathematical signs count: `3 + 4` is not `3 - 4`, and `3.5` not `35`.
///
/// It finds copies, not paraphrases.
pub fn leakage(train: &[Problem], test: &[Problem]) -> Leakage {
    let mut known: HashMap<String, &str> = HashMap::new();
    for problem in train {
        let key = folded(&problem.question);
        known.entry(key).or_insert(&problem.id);
    }
    let shared = |problem: &Problem| {
        let train_id = known.get(&folded(&problem.question))?;
        Some(SharedProblem {
            test_id: problem.id.clone(),
            train_id: (*train_id).to_owned(),
        })
    };
    let ids: Vec<SharedProblem> = test.iter().filter_map(shared).collect();
    Leakage {
        n_shared: ids.len(),
        ids,
    }
}

/// The question without what is no difference. Between two digits everything counts, so that
/// numbers stay apart.
fn folded(question: &str) -> String {
    const PROSE: &[char] = &[
        '.', ',', ';', ':', '!', '?', '\'', '"', '`', '$', '\u{2018}', '\u{2019}', '\u{201c}',
        '\u{201d}',
    ];
    let mut out = String::with_capacity(question.len());
    let mut passed = String::new();
    for c in question.chars().flat_map(char::to_lowercase) {
        if c.is_whitespace() {
            // Any run of white space is one.
            if !passed.ends_with(' ') {
                passed.push(' ');
            }
        } else if PROSE.contains(&c) {
            passed.push(c);
        } else {
            let between_digits = c.is_ascii_digit() && out.ends_with(|c: char| c.is_ascii_digit());
            if between_digits {
                out.push_str(&passed);
            }
            passed.clear();
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::convert::of_question;
    use super::*;

    fn set(prefix: &str, questions: &[&str]) -> Vec<Problem> {
        let numbered = questions.iter().enumerate();
        numbered
            .map(|(idx, question)| Problem {
                id: format!("{prefix}{idx}"),
                ..of_question((*question).to_owned())
            })
            .collect()
    }

    #[test]
    fn copies_are_found_through_case_space_and_punctuation() {
        let train = set(
            "train",
            &["What is $3 + 4$?", "Tom has 3.5 kg.", "What is 3+4"],
        );
        let test = set(
            "test",
            &[
                "Other",
                "what  is 3+4 ?",
                "TOM has 3.5\nkg",
                "Tom's \u{2019}x\u{2018}.",
            ],
        );
        let found = leakage(&train, &test);
        assert_eq!(found.n_shared, 2);
        let ids: Vec<_> = found
            .ids
            .iter()
            .map(|shared| (shared.test_id.as_str(), shared.train_id.as_str()))
            .collect();
        assert_eq!(ids, [("test1", "train0"), ("test2", "train1")]);
        assert_eq!(leakage(&[], &test).n_shared, 0);
    }

    #[test]
    fn numbers_and_signs_count() {
        for (a, b) in [
            ("Add 3.5", "Add 35"),
            ("Of 1 2 and 3", "Of 12 and 3"),
            ("3 + 4", "3 - 4"),
            ("(1, 2)", "(12)"),
            ("x^2", "x2"),
            ("48 friends", "49 friends"),
        ] {
            assert_ne!(folded(a), folded(b));
        }
        assert_eq!(folded("1,  2"), folded("1, 2"));
        assert_eq!(folded("a - b"), folded("a-b"));
    }
}
