//! `extracot annotate` without a network: its annotators, its labels and wrong input.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// Runs the command in a folder, `--in in.jsonl --out out.jsonl` unless told otherwise.
fn annotate(folder: &Path, annotator: &str, further: &[&str]) -> Output {
    let files = [("--in", "in.jsonl"), ("--out", "out.jsonl")];
    let files = files.iter().filter(|(name, _)| !further.contains(name));
    Command::new(env!("CARGO_BIN_EXE_extracot"))
        .current_dir(folder)
        .args(["annotate", "--annotator", annotator])
        .args(files.flat_map(|(name, file)| [*name, *file]))
        .args(further)
        .output()
        .unwrap()
}

fn folder_with(rows: &[Value]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path().join("in.jsonl"), rows);
    folder
}

fn write(path: PathBuf, rows: &[Value]) {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    fs::write(path, lines.join("\n")).unwrap();
}

fn rows(path: PathBuf) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn labels_of_one_annotator_are_ranges_for_another() {
    let think = "Well, we add $a + b$ to 5 m. It is hard. The end is near.";
    let trace = |id: Value| json!({"id": id, "question": "?", "think": think});
    let folder = folder_with(&[trace(json!("x")), trace(json!(7))]);
    let place = |name: &str| folder.path().join(name);
    assert!(annotate(folder.path(), "heuristic", &[]).status.success());
    let labels = rows(place("out.jsonl"));
    // Well, | we | add | $a + b$ | to | 5 m. | It | is | hard. | The | end | is | near.
    let want = json!({"id": "x", "annotator": "heuristic", "n_atoms": 13,
        "ranges": ["004", "006", "010-013"]});
    assert_eq!(labels[0], want);
    assert_eq!(labels[1]["id"], "7");
    let report: Value =
        serde_json::from_slice(&fs::read(place("out.jsonl.report.json")).unwrap()).unwrap();
    let atoms = &report["atoms"];
    // The formula `$a + b$`, the number `5 m.` and eleven words.
    let totals = ["formula", "number", "word"].map(|kind| report["by_kind"][kind]["total"].clone());
    assert_eq!(json!(totals), json!([2, 2, 22]));
    assert_eq!((&atoms["kept"], &atoms["total"]), (&json!(12), &json!(26)));
    assert!((atoms["share"].as_f64().unwrap() - 12.0 / 26.0).abs() < 1e-12);
    assert!(report.get("chat").is_none() && !place("out.jsonl.unfinished").exists());

    let again = annotate(folder.path(), "ranges:out.jsonl", &["--out", "copy.jsonl"]);
    assert!(again.status.success(), "{}", error(&again));
    for (copy, row) in rows(place("copy.jsonl")).iter().zip(&labels) {
        assert_eq!((&copy["id"], &copy["ranges"]), (&row["id"], &row["ranges"]));
        assert_eq!(copy["annotator"], "ranges");
    }

    // The same labels for another text.
    let longer = json!({"id": "x", "question": "?", "think": format!("{think} Bye.")});
    write(place("in.jsonl"), &[longer]);
    let output = annotate(folder.path(), "ranges:out.jsonl", &["--out", "other.jsonl"]);
    let text = error(&output);
    assert!(text.contains("in.jsonl:1: "), "{text}");
    assert!(
        text.contains("for 13 atoms, its think text has 14"),
        "{text}"
    );
    assert!(!place("other.jsonl").exists());
}

#[test]
fn traces_that_cannot_be_labeled_are_counted_and_labeled_once_they_can() {
    let trace = |id: &str, further: Value| {
        let mut row = json!({"id": id, "question": "?", "think": "So $1 + 1 = 2$. It is 2."});
        for (key, value) in further.as_object().unwrap() {
            row[key] = value.clone();
        }
        row
    };
    let solved = json!({"solution": "1 + 1 = 2", "answer": 2});
    let mut input = [
        trace("a", solved.clone()),
        trace("b", json!({"answer": "2"})),
        trace("c", json!({"solution": "1 + 1 = 2"})),
        trace("d", json!({"think": " \n", "answer": "2"})),
    ];
    let folder = folder_with(&input);
    let text = error(&annotate(folder.path(), "solution", &[]));
    let wanted = "3 of 4 traces have no labels (empty_think 1, no_gold_answer 1, \
                  no_worked_solution 1); go on with: extracot annotate --annotator solution";
    assert!(text.contains(wanted), "{text}");
    assert!(text.trim().ends_with("--resume"), "{text}");
    assert_eq!(rows(folder.path().join("out.jsonl")).len(), 1);
    let text = error(&annotate(folder.path(), "solution", &[]));
    assert!(text.contains("out.jsonl exists; add --resume"), "{text}");

    input[1] = trace("b", solved.clone());
    input[2] = trace("c", solved);
    write(folder.path().join("in.jsonl"), &input);
    let text = error(&annotate(folder.path(), "solution", &["--resume"]));
    assert!(
        text.contains("3 of 4 traces labeled, 1 of them before"),
        "{text}"
    );
    assert!(
        text.contains("1 of 4 traces have no labels (empty_think 1)"),
        "{text}"
    );
    let labels = rows(folder.path().join("out.jsonl"));
    assert!(
        labels
            .iter()
            .all(|row| row["ranges"] == labels[0]["ranges"])
    );
    assert_eq!(labels[2]["id"], "c");

    let text = error(&annotate(folder.path(), "heuristic", &["--resume"]));
    assert!(
        text.contains("the labels are of solution, not of heuristic"),
        "{text}"
    );
}

#[test]
fn wrong_input_says_what_and_where() {
    let good = json!({"id": "a", "question": "?", "think": "b"}).to_string();
    let huge = format!(
        "{{\"id\": \"h\", \"question\": \"{}\"}}",
        "x".repeat(1 << 20)
    );
    for (second, wanted) in [
        (
            "{\"id\": \"b\", \"think\": \"c\"}",
            "in.jsonl:2: missing field `question`",
        ),
        (
            "{\"id\": \"b\", \"question\": \"c\"}",
            "in.jsonl:2: missing field `think`",
        ),
        (
            "{\"question\": \"b\", \"think\": \"c\"}",
            "in.jsonl:2: missing field `id`",
        ),
        (huge.as_str(), "in.jsonl:2: missing field `think`"),
        (
            "{\"id\": [], \"question\": \"b\", \"think\": \"c\"}",
            "in.jsonl:2: `id` is neither",
        ),
        (good.as_str(), "in.jsonl:2: id \"a\" is that of line 1 too"),
        ("{\"id\"", "in.jsonl:2: EOF"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("in.jsonl"),
            format!("{good}\n{second}\n"),
        )
        .unwrap();
        let text = error(&annotate(folder.path(), "heuristic", &[]));
        assert!(text.contains(wanted), "{}", &text[..text.len().min(500)]);
        assert!(!folder.path().join("out.jsonl").exists());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = good.clone().into_bytes();
    bytes.extend(b"\n{\"id\": \"\xff\"}\n");
    fs::write(folder.path().join("in.jsonl"), bytes).unwrap();
    let text = error(&annotate(folder.path(), "heuristic", &[]));
    assert!(text.contains("in.jsonl:2: not valid UTF-8"), "{text}");
    fs::write(folder.path().join("in.jsonl"), "\n").unwrap();
    let text = error(&annotate(folder.path(), "heuristic", &[]));
    assert!(text.contains("in.jsonl has no rows"), "{text}");
}

#[test]
fn a_long_line_is_labeled_as_any_other() {
    let think = "We add $1 + 2 = 3$ here. ".repeat(50_000);
    let folder = folder_with(&[json!({"id": "a", "question": "?", "think": think})]);
    let output = annotate(folder.path(), "heuristic", &[]);
    assert!(output.status.success(), "{}", error(&output));
    assert_eq!(rows(folder.path().join("out.jsonl"))[0]["n_atoms"], 200_000);
}

fn attribution_by_the_base() -> String {
    format!("attribution:{}/assets/base", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn attribution_labels_what_has_an_answer_and_counts_what_has_none() {
    let think = "I compute $2+3=5$. Well, well. The answer is 5.";
    let folder = folder_with(&[
        json!({"id": "a", "question": "2 and 3?", "think": think, "answer": "5"}),
        json!({"id": "b", "question": "2 and 3?", "think": think}),
        // One formula of more tokens than the model has positions.
        json!({"id": "c", "question": "2 and 3?", "answer": "5",
            "think": format!("Well, ${}5$ it is.", "2+".repeat(1000))}),
    ]);
    let text = error(&annotate(folder.path(), &attribution_by_the_base(), &[]));
    assert!(text.contains("no_gold_answer"), "{text}");
    assert!(text.contains("no_room"), "{text}");
    let labels = rows(folder.path().join("out.jsonl"));
    assert_eq!(labels.len(), 1);
    assert_eq!(labels[0]["annotator"], "attribution");
    assert!(!labels[0]["ranges"].as_array().unwrap().is_empty());
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_written() {
    let folder = folder_with(&[json!({"id": "a", "question": "?", "think": "b"})]);
    let chat = "openai:m@http://127.0.0.1:9/v1";
    let base = attribution_by_the_base();
    let cases: [(&str, &[&str], &str); 10] = [
        ("magic", &[], "known are heuristic, solution"),
        ("openai:m@https://h/v1", &[], "--features https"),
        ("openai:m", &[], "no URL behind an @"),
        ("heuristic", &["--out", "-"], "needs a file"),
        (chat, &["--api-key-env", "EXTRACOT_UNSET"], "EXTRACOT_UNSET"),
        (chat, &["--min-share", "0"], "--min-share"),
        ("ranges:absent.jsonl", &[], "absent.jsonl"),
        ("attribution:absent", &[], "absent"),
        (
            "attribution:absent",
            &["--min-drop", "nan"],
            "a finite number is needed",
        ),
        (&base, &["--keep-share", "0"], "--keep-share"),
    ];
    for (annotator, further, wanted) in cases {
        if cfg!(feature = "https") && annotator.contains("https") {
            continue;
        }
        let output = annotate(folder.path(), annotator, further);
        assert!(!output.status.success(), "{annotator}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(wanted), "{annotator}: {text}");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "{annotator}"
        );
    }
}
