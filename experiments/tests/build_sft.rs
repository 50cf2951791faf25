//! `extracot build-sft` as a program.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use extracot_core::Tokenizer;
use extracot_core::sft::SftExample;
use extracot_models::HfTokenizer;
use serde_json::{Value, json};

fn base() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base")
}

fn extracot(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_extracot"))
        .args(arguments)
        .output()
        .unwrap()
}

/// Runs the command in a folder that holds `in.jsonl` and gives stderr.
fn build(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_extracot"))
        .args(["build-sft", "--out", "out", "--tokenizer"])
        .arg(base())
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

const THINK: &str = "Well, she has $3$ boxes of pens. Let me see how many pens there are in all of \
                     them. So $3 \\times 4 = 12$ pens. Thus there are $12$ pens in all of the boxes.";
const VISIBLE: &str = "She has **12** pens:\n\\boxed{12} ";

fn trace(id: &str, think: &str, visible: &str, answer: Value) -> Value {
    let question = "Mia has 3 boxes of 4 pens. How many pens?";
    json!({"id": id, "question": question, "think": think, "visible": visible, "answer": answer})
}

fn write_rows(path: &Path, rows: &[Value]) {
    fs::write(
        path,
        rows.iter()
            .map(|row| format!("{row}\n"))
            .collect::<String>(),
    )
    .unwrap();
}

fn traces(folder: &Path) {
    let rows = [
        trace("good", THINK, VISIBLE, json!(12)),
        trace("wrong", THINK, "\\boxed{13}", json!("12")),
        trace("silent", THINK, "That is it.", json!("12")),
        trace("marked", "a </think> b", VISIBLE, json!("12")),
        // At 20 % nothing but a few tokens is left.
        trace("short", "So $3 \\times 4 = 12$.", VISIBLE, json!("12")),
    ];
    write_rows(&folder.join("in.jsonl"), &rows);
}

fn report(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("out/sft.report.json")).unwrap()).unwrap()
}

fn examples(folder: &Path) -> Vec<SftExample> {
    let text = fs::read_to_string(folder.join("out/sft.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Every row of a tally is used or dropped for a reason.
fn assert_adds_up(tally: &Value) {
    let dropped = tally["dropped"]
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap());
    let sum = tally["used"].as_u64().unwrap() + dropped.sum::<u64>();
    assert_eq!(tally["candidates"], sum, "{tally}");
}

#[test]
fn traces_become_both_queues_and_all_that_is_dropped_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    traces(folder);
    let budgets = [
        json!({"id": "good", "budget": 60, "outcomes": []}),
        json!({"id": "short", "budget": null}),
        json!({"id": "wrong", "budget": 20}),
    ];
    write_rows(&folder.join("budgets.jsonl"), &budgets);
    let arguments = [
        "--in",
        "in.jsonl",
        "--scorer",
        "heuristic",
        "--budgets",
        "budgets.jsonl",
    ];
    let (is_ok, errors) = build(folder, &arguments);
    assert!(is_ok, "{errors}");
    assert!(
        errors.contains("traces: 2 of 5 used, 1 incorrect, 1 marker, 1 no_answer"),
        "{errors}"
    );

    let report = report(folder);
    for level in ["20", "40", "60", "80", "100"] {
        assert_adds_up(&report["fixed"][level]);
        assert_eq!(report["fixed"][level]["candidates"], 2);
    }
    // A fifth of the long one has no room for its last formula, the short one is a formula and a word.
    assert_eq!(
        report["fixed"]["20"]["dropped"],
        json!({"lost_anchor": 1, "too_short": 1})
    );
    assert_eq!(report["fixed"]["60"]["dropped"], json!({"too_short": 1}));
    assert_eq!(report["fixed"]["100"]["used"], 2);
    assert_adds_up(&report["policy"]);
    assert_eq!(report["policy"]["dropped"], json!({"no_budget": 1}));
    assert_eq!(report["policy_levels"], json!({"60": 1}));
    assert_eq!(report["budgets_without_trace"], 1);

    let tokenizer = HfTokenizer::load(&base()).unwrap();
    let found = examples(folder);
    assert_eq!(report["examples"], found.len());
    let mut longest = 0;
    for example in &found {
        let prompt = tokenizer.decode(&example.prompt_ids);
        let completion = tokenizer.decode(&example.completion_ids);
        let (control, level) = (example.control.unwrap(), example.level.unwrap());
        assert!(
            prompt.contains(&format!("How many pens? {control}<|im_end|>")),
            "{prompt}"
        );
        assert!(
            completion.starts_with(&format!("<COMP_{level}>\n<think>\n")),
            "{completion}"
        );
        assert!(
            completion.ends_with(&format!("\n</think>\n{VISIBLE}<|im_end|>")),
            "{completion}"
        );
        let n_tokens = example.prompt_ids.len() + example.completion_ids.len();
        longest = longest.max(n_tokens);
    }
    assert_eq!(report["longest"], longest);
    let last = found.last().unwrap();
    assert_eq!(last.control.unwrap().to_string(), "<COMP_POLICY>");
    let full = found
        .iter()
        .find(|example| example.level.unwrap().percent() == 100)
        .unwrap();
    assert!(tokenizer.decode(&full.completion_ids).contains(THINK));

    // An example of one token more than allowed is dropped, not cut.
    let limit = (longest - 1).to_string();
    let same = [&arguments[..], &["--levels", "60,100", "--same-problems"]].concat();
    assert!(build(folder, &same).0);
    assert!(
        examples(folder)
            .iter()
            .all(|example| example.problem_id == "good")
    );
    assert_eq!(
        self::report(folder)["fixed"]["100"]["dropped"],
        json!({"other_level_dropped": 1})
    );
    let limited = [&same[..], &["--max-tokens", limit.as_str()]].concat();
    let (is_ok, errors) = build(folder, &limited);
    assert!(!is_ok && errors.contains("no example is left"), "{errors}");
    let limited = [&arguments[..], &["--max-tokens", limit.as_str()]].concat();
    assert!(build(folder, &limited).0);
    let cut = self::report(folder);
    assert_eq!(cut["fixed"]["100"]["dropped"]["too_long"], 1, "{cut}");
    assert_eq!(
        cut["examples"].as_u64().unwrap() + 1,
        report["examples"].as_u64().unwrap()
    );
}

#[test]
fn compressed_texts_give_the_same_examples_as_their_scorer() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    traces(folder);
    let (source, out) = (folder.join("in.jsonl"), folder.join("compressed.jsonl"));
    let output = extracot(&[
        "compress",
        "--in",
        source.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
        "--scorer",
        "heuristic",
        "--tokenizer",
        base().to_str().unwrap(),
        "--ratios",
        "0.2,0.3,0.4,0.6,0.8",
    ]);
    assert!(output.status.success(), "{output:?}");
    assert!(build(folder, &["--in", "in.jsonl", "--scorer", "heuristic"]).0);
    let (by_scorer, counts) = (examples(folder), report(folder));
    let (is_ok, errors) = build(
        folder,
        &["--in", "in.jsonl", "--compressed", "compressed.jsonl"],
    );
    assert!(is_ok, "{errors}");
    assert_eq!(examples(folder), by_scorer);
    let found = report(folder);
    assert_eq!(found["fixed"], counts["fixed"]);
    assert_adds_up(&found["compressed"]);
    // Five ratios of five traces: three traces are not used, one ratio is no level.
    assert_eq!(
        found["compressed"]["dropped"],
        json!({"no_level": 2, "no_trace": 15})
    );

    let quota = [
        "--in",
        "in.jsonl",
        "--compressed",
        "compressed.jsonl",
        "--quota",
        "1,100=0",
    ];
    assert!(build(folder, &quota).0);
    let found = report(folder);
    assert_eq!(found["fixed"]["80"]["used"], 1);
    assert_eq!(found["fixed"]["100"]["dropped"]["over_quota"], 2);
}

#[test]
fn both_formats_of_llama_factory_come_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    traces(folder);
    let source = ["--in", "in.jsonl", "--scorer", "heuristic"];
    assert!(build(folder, &source).0);
    let ours = fs::read(folder.join("out/sft.jsonl")).unwrap();
    for (format, formatting) in [("llamafactory", "alpaca"), ("sharegpt", "sharegpt")] {
        let name = format!("data_{format}");
        let written = [&source[..], &["--format", format, "--name", &name]].concat();
        assert!(build(folder, &written).0);
        let info = fs::read(folder.join("out/dataset_info.json")).unwrap();
        let info: Value = serde_json::from_slice(&info).unwrap();
        assert_eq!(info[&name]["file_name"], format!("{name}.jsonl"));
        assert_eq!(info[&name]["formatting"], formatting);
        let file = format!("out/{name}.jsonl");
        let (is_ok, errors) = build(folder, &["--from", &file, "--name", "back"]);
        assert!(is_ok, "{errors}");
        assert!(
            fs::read(folder.join("out/back.jsonl")).unwrap() == ours,
            "{format}"
        );
    }
    let (is_ok, errors) = build(folder, &["--from", "out/sft.jsonl"]);
    assert!(
        !is_ok && errors.contains("out/sft.jsonl:1: a row needs one of"),
        "{errors}"
    );
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let message = |arguments: &[&str]| {
        let (is_ok, errors) = build(folder, arguments);
        assert!(!is_ok, "{errors}");
        errors
    };
    let good = trace("a", THINK, VISIBLE, json!("12"));
    let path = folder.join("in.jsonl");
    write_rows(&path, &[good.clone(), good.clone()]);
    let source = ["--in", "in.jsonl", "--scorer", "heuristic"];
    assert!(message(&source).contains("in.jsonl:2: the id `a` is that of line 1"));
    write_rows(
        &path,
        &[json!({"id": 1, "question": "q", "think": "t", "answer": "1"})],
    );
    assert!(message(&source).contains("in.jsonl:1: missing field `visible`"));
    write_rows(&path, &[trace("a", THINK, "\\boxed{1}", json!("12"))]);
    assert!(message(&source).contains("no example is left"));
    assert_eq!(report(folder)["traces"]["dropped"], json!({"incorrect": 1}));
    write_rows(&path, &[good]);
    assert!(message(&["--in", "in.jsonl"]).contains("need --scorer or --compressed"));
    assert!(build(folder, &["--in", "in.jsonl", "--levels", "100"]).0);
    assert!(message(&["--in", "in.jsonl", "--levels", "50"]).contains("50 is not one of"));
    assert!(message(&[&source[..], &["--quota", "x"]].concat()).contains("quota = x"));
    let other = json!({"id": "a", "target_ratio": 0.2, "compressed": "x", "kept_tokens": 1,
        "total_tokens": 9, "kept_spans": [[0, 999]]});
    write_rows(&folder.join("compressed.jsonl"), &[other]);
    let errors = message(&["--in", "in.jsonl", "--compressed", "compressed.jsonl"]);
    assert!(
        errors.contains("compressed.jsonl:1: kept_spans do not lie on"),
        "{errors}"
    );
}
