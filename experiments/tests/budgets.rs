//! `extracot budgets` as a program, on the shipped base model.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn base() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base")
}

fn budgets(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_extracot"))
        .args(["budgets", "--model"])
        .arg(base())
        .args(["--in", "problems.jsonl", "--samples", "2"])
        .args(
            ["--max-new-tokens", "60"]
                .iter()
                .filter(|_| !arguments.contains(&"--max-new-tokens")),
        )
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

const QUESTIONS: [&str; 3] = [
    "Mia has 12 eggs. Then she finds 9 more. How many eggs does Mia have now?",
    "Tom has 30 pens. He loses 4 of them. How many pens does Tom have now?",
    "At first Sam owns 77 apples. Sam gives away 8 apples. How many apples are left?",
];

fn problems(folder: &Path) {
    let row = |(idx, question): (usize, &&str)| {
        let answer = ["21", "26", "69"][idx];
        json!({"id": format!("p{idx}"), "question": question, "answer": answer}).to_string() + "\n"
    };
    let text: String = QUESTIONS.iter().enumerate().map(row).collect();
    fs::write(folder.join("problems.jsonl"), text).unwrap();
}

fn rows(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn traces(folder: &Path) {
    let row = |idx: usize| json!({"id": format!("p{idx}"), "think": "a b c"}).to_string() + "\n";
    fs::write(
        folder.join("traces.jsonl"),
        (0..3).map(row).collect::<String>(),
    )
    .unwrap();
}

#[test]
fn every_problem_has_its_outcomes_and_a_killed_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    problems(folder);
    traces(folder);
    let arguments = [
        "--out",
        "budgets.jsonl",
        "--traces",
        "traces.jsonl",
        "--threads",
        "1",
    ];
    let (is_ok, errors) = budgets(folder, &arguments);
    assert!(is_ok, "{errors}");
    let out = folder.join("budgets.jsonl");
    let found = rows(&out);
    // The base model knows no levels: the pool that no level solves is kept.
    assert_eq!(found.len(), 3);
    for (idx, row) in found.iter().enumerate() {
        assert_eq!(row["id"], format!("p{idx}"));
        assert_eq!(row["question"], QUESTIONS[idx]);
        let outcomes = row["outcomes"].as_array().unwrap();
        let levels: Vec<u64> = outcomes
            .iter()
            .map(|o| o["level"].as_u64().unwrap())
            .collect();
        assert_eq!(levels, [20, 40, 60, 80, 100]);
        assert!(outcomes.iter().all(|o| o["n"] == 2));
        assert!(row["reference_tokens"].as_u64().unwrap() > 0);
    }
    let report = fs::read(folder.join("budgets.jsonl.report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(
        (&report["written"], &report["samples"]["20"]["all"]),
        (&json!(3), &json!(6))
    );
    assert!(!folder.join("budgets.jsonl.unfinished").exists());

    // What a killed run kept is not sampled again: a row of it that was changed shows.
    let bytes = fs::read(&out).unwrap();
    fs::remove_file(&out).unwrap();
    let full = [
        "--out",
        "budgets.jsonl",
        "--traces",
        "missing.jsonl",
        "--threads",
        "2",
    ];
    let (is_ok, errors) = budgets(folder, &full);
    assert!(!is_ok && errors.contains("missing.jsonl"), "{errors}");
    let again = [
        "--out",
        "budgets.jsonl",
        "--traces",
        "traces.jsonl",
        "--threads",
        "2",
    ];
    assert!(budgets(folder, &again).0);
    assert!(
        fs::read(&out).unwrap() == bytes,
        "two threads give other bytes than one"
    );
}

#[test]
fn samples_that_were_kept_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    problems(folder);
    traces(folder);
    // Without reference tokens nothing can be written, and the samples stay.
    let bare = ["--out", "b.jsonl", "--max-new-tokens", "1"];
    let (is_ok, errors) = budgets(folder, &bare);
    assert!(
        !is_ok && errors.contains("dropped, no_reference: 3"),
        "{errors}"
    );
    assert!(errors.contains("no problem is left"), "{errors}");
    let kept = folder.join("b.jsonl.unfinished");
    let text = fs::read_to_string(&kept).unwrap();
    assert_eq!(text.lines().count(), 1 + 15);
    // Say that problem p1 was solved at level 40: place 1 * 3 + 1.
    let right = text.replace(
        "{\"place\":4,\"row\":{\"outcome\":{\"level\":40,\"n_correct\":0",
        "{\"place\":4,\"row\":{\"outcome\":{\"level\":40,\"n_correct\":2",
    );
    assert_ne!(right, text);
    fs::write(&kept, &right).unwrap();
    let with_traces = [
        &bare[..],
        &["--traces", "traces.jsonl", "--quota", "none=1"],
    ]
    .concat();
    let (is_ok, errors) = budgets(folder, &with_traces);
    assert!(is_ok, "{errors}");
    let found = rows(&folder.join("b.jsonl"));
    let named: Vec<_> = found
        .iter()
        .map(|row| (&row["id"], &row["budget"]))
        .collect();
    assert_eq!(
        named,
        [(&json!("p0"), &Value::Null), (&json!("p1"), &json!(40))]
    );
    assert_eq!(found[1]["reference_source"], "trace");
    assert!(
        errors.contains("budget none: 2 problems, 1 written"),
        "{errors}"
    );
    // A strict budget needs the larger levels too.
    fs::write(&kept, &right).unwrap();
    assert!(budgets(folder, &[&with_traces[..], &["--rule", "strict"]].concat()).0);
    assert!(
        rows(&folder.join("b.jsonl"))
            .iter()
            .all(|row| row["budget"].is_null())
    );
    // Other samples are another run.
    fs::write(&kept, &right).unwrap();
    let (is_ok, errors) = budgets(folder, &[&with_traces[..], &["--seed", "2"]].concat());
    assert!(!is_ok && errors.contains("remove it"), "{errors}");
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    problems(folder);
    let cases: [(&[&str], &str); 5] = [
        (
            &["--rule", "best"],
            "known are smallest, strict and majority",
        ),
        (&["--temperature", "0"], "--temperature has to be"),
        (&["--kind", "gsm"], "gsm"),
        (&["--quota", "50=1"], "quota = 50=1"),
        (&["--max-new-tokens", "100000"], "no prompt leaves room"),
    ];
    for (arguments, message) in cases {
        let arguments = [&["--out", "b.jsonl"], arguments].concat();
        let (is_ok, errors) = budgets(folder, &arguments);
        assert!(
            !is_ok && errors.contains(message),
            "{arguments:?}: {errors}"
        );
    }
    assert!(!folder.join("b.jsonl").exists());
}

#[cfg(feature = "parquet")]
#[test]
fn verl_gets_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    problems(folder);
    traces(folder);
    let arguments = [
        "--out",
        "rl.parquet",
        "--format",
        "verl",
        "--traces",
        "traces.jsonl",
    ];
    let (is_ok, errors) = budgets(folder, &arguments);
    assert!(is_ok, "{errors}");
    let bytes = fs::read(folder.join("rl.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
}
