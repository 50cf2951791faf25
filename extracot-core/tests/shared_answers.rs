//! Answers of others' data sets, against what others say of them.
//!
//! Reads the folder that `EXTRACOT_SHARED` names. `docs/answers.md` explains every disagreement that is
//! listed here.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests, which may fail and print"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use extracot_core::Verdict;
use extracot_core::jsonl::read_jsonl;
use extracot_core::verify::{AnswerVerifier, ExtractionRule, MathVerifier, Method, extract_answer};
use serde_json::Value;

/// Pairs on which the rule differs from the expectation on purpose.
const PAIR_MISSES: [&str; 2] = ["mv-254", "mv-264"];
/// Responses on which the rule differs from math-verify on purpose.
const RESPONSE_MISSES: [&str; 2] = [
    "qwen25math-ex-3/0",
    "sky-Sky-T1-math-correct-5K-27B-math500-313",
];

fn rows(file: &str) -> Vec<Value> {
    let Some(shared) = std::env::var_os("EXTRACOT_SHARED") else {
        panic!("EXTRACOT_SHARED is not set; see \"Optional tests\" in CONTRIBUTING.md");
    };
    read_jsonl(&PathBuf::from(shared).join("data").join(file)).unwrap()
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap()
}

fn show(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    chars[chars.len().saturating_sub(160)..].iter().collect()
}

#[test]
#[ignore = "needs EXTRACOT_SHARED"]
fn pairs_of_math_verify_are_judged_as_expected() {
    let rows = rows("answer_pairs/math_verify_even.jsonl");
    let mut misses = Vec::new();
    for row in &rows {
        let judgement = MathVerifier.explain(text(row, "pred"), text(row, "gold"));
        let is_correct = judgement.verdict.is_correct();
        if is_correct != row["expected"].as_bool().unwrap() {
            misses.push(text(row, "id"));
            eprintln!(
                "{} expected {}: {judgement:?}\n  gold {}\n  pred {}",
                text(row, "id"),
                row["expected"],
                show(text(row, "gold")),
                show(text(row, "pred")),
            );
            assert!(!is_correct, "a false positive");
        }
    }
    eprintln!(
        "{} of {} pairs as expected",
        rows.len() - misses.len(),
        rows.len()
    );
    assert_eq!(misses, PAIR_MISSES);
}

#[test]
#[ignore = "needs EXTRACOT_SHARED"]
fn model_answers_are_judged_as_math_verify_does() {
    let rows = rows("real_cot/extraction_dev.jsonl");
    let mut misses = Vec::new();
    for row in &rows {
        let found = extract_answer(text(row, "response"));
        let judgement = found.map(|found| MathVerifier.explain(found.text, text(row, "gold")));
        let is_correct = judgement.as_ref().is_some_and(|j| j.verdict.is_correct());
        if is_correct != row["math_verify_correct"].as_bool().unwrap() {
            misses.push(text(row, "id"));
            eprintln!(
                "{} gold {} {found:?} {judgement:?}\n  {}",
                text(row, "id"),
                text(row, "gold"),
                show(text(row, "response")),
            );
        }
    }
    eprintln!(
        "{} of {} responses agree",
        rows.len() - misses.len(),
        rows.len()
    );
    assert_eq!(misses, RESPONSE_MISSES);
}

#[test]
#[ignore = "needs EXTRACOT_SHARED"]
fn every_gold_answer_of_gsm8k_is_recovered() {
    let rows = rows("gsm8k/train.jsonl");
    let mut n_from_last_number = 0;
    for row in &rows {
        let (solution, answer) = (text(row, "solution"), text(row, "answer"));
        // The form in which the data set comes.
        let full = format!("{solution}\n#### {answer}");
        let found = extract_answer(&full).unwrap();
        assert_eq!((found.text, found.rule), (answer, ExtractionRule::HashLine));
        assert_eq!(
            MathVerifier.verify(&full, answer),
            Verdict::Correct,
            "{answer}"
        );
        assert_eq!(
            MathVerifier.verify_answer(answer, &full),
            Verdict::Correct,
            "{answer}"
        );
        n_from_last_number +=
            usize::from(MathVerifier.verify_answer(solution, answer).is_correct());
    }
    let n_rows = rows.len();
    eprintln!("{n_rows} answers recovered; {n_from_last_number} without their line");
    assert_eq!(n_rows, 7473);
    // Without the line nothing marks the answer; the last number is right in most cases.
    assert!(n_from_last_number * 100 > n_rows * 95);
}

#[test]
#[ignore = "needs EXTRACOT_SHARED"]
fn gold_answers_of_math_equal_themselves() {
    let rows = rows("math_test_minus500/test.jsonl");
    let mut methods = BTreeMap::new();
    let mut n_words = 0;
    for row in &rows {
        let solution = text(row, "solution");
        let judgement = MathVerifier.explain_visible(solution, solution);
        let key = format!("{:?} by {}", judgement.verdict, judgement.how);
        *methods.entry(key).or_insert(0) += 1;
        assert_eq!(judgement.verdict, Verdict::Correct, "{judgement:?}");
        // An answer that is read differs from itself plus one.
        let answer = judgement.answer.unwrap();
        let other = MathVerifier.explain(&format!("({answer})+1"), solution);
        n_words += usize::from(other.how == Method::Kinds || other.how == Method::Words);
        assert!(!other.verdict.is_correct(), "{answer}: {other:?}");
    }
    eprintln!(
        "{methods:#?}, {n_words} of {} are no single expressions",
        rows.len()
    );
}
