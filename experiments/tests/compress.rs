//! `extracot compress` as a program.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn base() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base")
}

fn compress(input: &str, arguments: &[&str]) -> (Output, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("out.jsonl"),
    );
    std::fs::write(&source, input).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_extracot"))
        .args(["compress", "--in"])
        .arg(&source)
        .arg("--out")
        .arg(&out)
        .arg("--tokenizer")
        .arg(base())
        .args(arguments)
        .output()
        .unwrap();
    let rows = std::fs::read_to_string(&out).unwrap_or_default();
    let rows = rows.lines().map(|line| serde_json::from_str(line).unwrap());
    (output, rows.collect())
}

const THINK: &str = "Well, she has $3$ boxes. So $3 \\times 4 = 12$ pens. Thus 12 pens in all.";

fn row(think: &str) -> String {
    let row = serde_json::json!({"id": 7, "question": "How many pens?", "think": think});
    format!("{row}\n")
}

#[test]
fn every_scorer_without_files_gives_nested_texts_within_the_budget() {
    for scorer in ["heuristic", "position", "position-last", "random"] {
        let (output, rows) = compress(
            &row(THINK),
            &["--scorer", scorer, "--ratios", "0.2,0.6,1.0"],
        );
        assert!(output.status.success(), "{scorer}: {output:?}");
        assert_eq!(rows.len(), 3);
        let total = rows[0]["total_tokens"].as_u64().unwrap();
        let spans = |idx: usize| -> Vec<(usize, usize)> {
            serde_json::from_value(rows[idx]["kept_spans"].clone()).unwrap()
        };
        for (idx, ratio) in [0.2, 0.6].into_iter().enumerate() {
            let kept = rows[idx]["kept_tokens"].as_u64().unwrap();
            assert!(
                kept as f64 <= ratio * total as f64,
                "{scorer}: {kept} of {total}"
            );
            let texts: Vec<&str> = spans(idx).iter().map(|(s, e)| &THINK[*s..*e]).collect();
            assert_eq!(rows[idx]["compressed"], texts.join(" "));
        }
        let covers = |(start, end): &(usize, usize)| {
            spans(1)
                .iter()
                .any(|span| span.0 <= *start && *end <= span.1)
        };
        assert!(spans(0).iter().all(covers), "{scorer}");
        assert_eq!(rows[2]["compressed"], THINK);
    }
}

#[test]
fn protections_go_first_and_what_has_no_room_is_counted() {
    let (output, rows) = compress(
        &row(THINK),
        &[
            "--scorer",
            "position",
            "--ratios",
            "0.5",
            "--protect",
            "Thus",
        ],
    );
    assert!(
        rows[0]["compressed"].as_str().unwrap().contains("Thus"),
        "{rows:?}"
    );
    assert_eq!(rows[0]["lost_protected"], 0);
    assert!(output.status.success());
    let (output, rows) = compress(
        &row(THINK),
        &[
            "--scorer",
            "position",
            "--ratios",
            "0.2",
            "--protect-digits",
        ],
    );
    assert!(rows[0]["lost_protected"].as_u64().unwrap() > 0, "{rows:?}");
    let report = String::from_utf8(output.stderr).unwrap();
    assert!(report.contains("protected atoms without room"), "{report}");
}

#[test]
fn a_threshold_takes_what_scores_above_it() {
    let (_, rows) = compress(
        &row(THINK),
        &["--scorer", "heuristic", "--threshold", "0.5"],
    );
    let expected = "$3$ $3 \\times 4 = 12$ Thus 12 pens in all.";
    assert_eq!(rows[0]["compressed"], expected);
    assert_eq!(rows[0]["target_ratio"], Value::Null);
}

#[test]
fn degenerate_texts_are_named_or_left_out() {
    let loops = row("wait wait wait wait wait wait wait wait wait wait");
    let arguments = ["--scorer", "position", "--ratios", "0.8"];
    let (output, rows) = compress(&loops, &arguments);
    assert_eq!(rows[0]["degenerate"], "repetition", "{output:?}");
    let (output, rows) = compress(&loops, &[&arguments[..], &["--drop-degenerate"]].concat());
    assert!(rows.is_empty());
    let report = String::from_utf8(output.stderr).unwrap();
    assert!(report.contains("1 repetition, 1 left out"), "{report}");
}

#[test]
fn bad_input_is_named_and_leaves_no_output() {
    let fails = |input: &str, arguments: &[&str], message: &str| {
        let (output, rows) = compress(input, arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && rows.is_empty(), "{message}");
        assert!(error.contains(message), "`{message}` is not in: {error}");
    };
    let heuristic = ["--scorer", "heuristic"];
    let two = row(THINK) + "{\"id\": 8, \"question\": \"q\"}\n";
    fails(&two, &heuristic, "in.jsonl:2: missing field `think`");
    fails("{", &heuristic, "in.jsonl:1: EOF");
    // The rows before the bad one are not left behind, and an old file stays.
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (
        folder.path().join("in.jsonl"),
        folder.path().join("out.jsonl"),
    );
    std::fs::write(&source, &two).unwrap();
    std::fs::write(&out, "old").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_extracot"))
        .args([
            "compress",
            "--scorer",
            "heuristic",
            "--batch-rows",
            "1",
            "--in",
        ])
        .arg(&source)
        .arg("--out")
        .arg(&out)
        .arg("--tokenizer")
        .arg(base())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);

    for ratio in ["0", "1.5", "NaN", "x"] {
        fails(
            &row(THINK),
            &["--scorer", "heuristic", "--ratios", ratio],
            "ratio",
        );
    }
    fails(
        &row(THINK),
        &["--scorer", "nowhere"],
        "neither a folder nor one of",
    );
    let pattern = ["--scorer", "heuristic", "--protect", "("];
    fails(&row(THINK), &pattern, "no regular expression");
}

#[test]
fn empty_and_huge_think_texts_are_rows_like_others() {
    let numbered = "{\"id\": 1, \"question\": \"\", \"think\": \"so 12\", \"answer\": 12}\n";
    let (output, rows) = compress(numbered, &["--scorer", "heuristic", "--ratios", "1"]);
    assert!(
        output.status.success() && rows[0]["compressed"] == "so 12",
        "{output:?}"
    );
    let huge = "so $1 + 1 = 2$ and ".repeat(50_000);
    let input = row("") + &row(" \n") + &row(&huge);
    let arguments = ["--scorer", "heuristic", "--ratios", "0.2"];
    let (output, rows) = compress(&input, &arguments);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["compressed"], "");
    assert!(rows[2]["compressed"].as_str().unwrap().len() > 100_000);
    let report = String::from_utf8(output.stderr).unwrap();
    assert!(
        report.contains("3 think texts, 2 of them empty"),
        "{report}"
    );
}
