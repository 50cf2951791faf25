//! The row-wise commands of `extracot`, on the shipped base model.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn extracot(command: &str, arguments: &[&str], input: &str) -> Output {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base");
    extracot_on(&model, command, arguments, input)
}

fn extracot_on(model: &Path, command: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_extracot"))
        .args([command, "--model"])
        .arg(model)
        .args(["--quiet"].iter().filter(|_| command != "doctor"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{output:?}");
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    rows.collect()
}

const QUESTION: &str = "Mia has 12 eggs. Then she finds 9 more. How many eggs does Mia have now?";

#[test]
fn generate_answers_in_order_and_score_agrees_with_it() {
    let questions = format!(
        "{}\n{}\n",
        json!({"id": "b", "question": QUESTION}),
        json!({"id": 1, "prompt": "Mia has 12 eggs."})
    );
    let answers = rows(&extracot(
        "generate",
        &["--max-new-tokens", "200"],
        &questions,
    ));
    assert_eq!(
        (&answers[0]["id"], &answers[1]["id"]),
        (&json!("b"), &json!(1))
    );
    let text = answers[0]["text"].as_str().unwrap();
    assert!(text.contains("\\boxed{21}"), "{text}");
    assert_eq!(answers[0]["finish_reason"], "end_token");
    assert_eq!(answers[0]["control"], Value::Null);

    // What is generated greedily is what scoring finds most likely, token by token.
    let ids = answers[0]["output_ids"].as_array().unwrap();
    let split = ids.len() / 2;
    let inputs = json!({"id": 0, "input_ids": ids[..split]}).to_string();
    let shorter = rows(&extracot("generate", &["--max-new-tokens", "1"], &inputs));
    let scored = rows(&extracot("score", &[], &inputs));
    assert_eq!(scored[0]["last_top"][0][0], shorter[0]["output_ids"][0]);
    assert_eq!(
        scored[0]["token_logprobs"].as_array().unwrap().len(),
        split - 1
    );
    let with_next = json!({"id": 0, "input_ids": ids[..=split]}).to_string();
    let next = rows(&extracot("score", &[], &with_next));
    let logprobs = next[0]["token_logprobs"].as_array().unwrap();
    let shared = scored[0]["token_logprobs"].as_array().unwrap();
    for (a, b) in logprobs.iter().zip(shared) {
        assert!((a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-4);
    }

    // Half precision is near, and not the same.
    let half = rows(&extracot("score", &["--dtype", "bf16"], &with_next));
    let half = half[0]["token_logprobs"].as_array().unwrap();
    let pairs = logprobs.iter().zip(half);
    let differences = pairs.map(|(a, b)| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs());
    let mean = differences.sum::<f64>() / half.len() as f64;
    assert!(mean > 1e-6 && mean < 0.2, "{mean}");

    let stopped = rows(&extracot("generate", &["--stop", "eggs."], &questions));
    assert_eq!(stopped[0]["finish_reason"], "stop_string");
    assert!(stopped[0]["text"].as_str().unwrap().ends_with("eggs."));
    let limited = rows(&extracot(
        "generate",
        &["--max-new-tokens", "3"],
        &questions,
    ));
    assert_eq!(limited[0]["finish_reason"], "max_tokens");
}

#[test]
fn a_wrong_row_or_argument_is_named() {
    let row = json!({"id": 1, "question": "q"}).to_string();
    let cases: [(&str, &[&str], &str, i32, &str); 9] = [
        ("generate", &[], "{\"id\": 1}", 1, "-:1: a row needs one of"),
        (
            "generate",
            &[],
            "{\"question\": \"q\"}",
            1,
            "-:1: missing field `id`",
        ),
        (
            "generate",
            &[],
            &format!("{row}\n{row}"),
            1,
            "-:2: id 1 is that of line 1",
        ),
        (
            "generate",
            &[],
            "{\"id\": 1, \"input_ids\": [99999]}",
            1,
            "token id 99999",
        ),
        (
            "generate",
            &[],
            "{\"id\": 1, \"input_ids\": []}",
            1,
            "-:1: `1` has no token",
        ),
        (
            "generate",
            &["--temperature", "NaN"],
            &row,
            1,
            "--temperature",
        ),
        ("generate", &["--ratio", "30"], &row, 2, "known are 20, 40"),
        ("generate", &["--stop", ""], &row, 2, "--stop"),
        (
            "score",
            &["--in", "absent.jsonl"],
            "",
            1,
            "cannot read absent.jsonl",
        ),
    ];
    for (command, arguments, input, code, message) in cases {
        let output = extracot(command, arguments, input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(message), "`{message}` is not in: {error}");
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(output.stdout.is_empty());
    }
}

fn assert_golden_logits(folder: &Path) {
    let golden = std::fs::read_to_string(folder.join("golden.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    let input: String = cases
        .iter()
        .enumerate()
        .map(|(id, case)| {
            let (ids, mask) = (&case["input_ids"], &case["global_attention_mask"]);
            let row = json!({"id": id, "input_ids": ids, "global_attention_mask": mask});
            format!("{row}\n")
        })
        .collect();
    let output = rows(&extracot_on(folder, "classify", &[], &input));
    assert_eq!(output.len(), cases.len());
    for (id, (row, case)) in output.iter().zip(cases).enumerate() {
        assert_eq!(row["id"], id);
        let (found, expected) = (row["logits"].as_array(), case["logits"].as_array());
        let (found, expected) = (found.unwrap(), expected.unwrap());
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            for label in 0..2 {
                let moved = found[label].as_f64().unwrap() - expected[label].as_f64().unwrap();
                assert!(moved.abs() < 1e-4, "{id}: {moved}");
            }
        }
    }
}

#[test]
fn classify_gives_the_logits_of_the_golden_file() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    for family in ["longformer", "roberta", "xlm_roberta"] {
        assert_golden_logits(&fixtures.join(family));
    }
    let folder = fixtures.join("longformer");
    for (input, message) in [
        (
            json!({"id": 1, "input_ids": []}),
            "-:1: `input_ids` is empty",
        ),
        (json!({"id": 1, "input_ids": [99_999]}), "token id 99999"),
        (
            json!({"id": 1, "input_ids": vec![5; 9999]}),
            "the model takes",
        ),
        (
            json!({"id": 1, "input_ids": [5, 6], "global_attention_mask": [1]}),
            "1 entries for 2 tokens",
        ),
        (
            json!({"id": 1, "input_ids": [5], "global_attention_mask": [2]}),
            "an entry 2",
        ),
    ] {
        let output = extracot_on(&folder, "classify", &[], &input.to_string());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(message), "`{message}` is not in: {error}");
        assert_eq!(output.status.code(), Some(1));
    }
    // A decoder is no classifier.
    let error = extracot("classify", &[], "").stderr;
    let error = String::from_utf8_lossy(&error).into_owned();
    assert!(error.contains("model_type = qwen3"), "{error}");
}

#[test]
fn doctor_finds_nothing_wrong_with_the_base_and_names_what_is_damaged() {
    let doctor = |model: &Path| {
        let output = extracot_on(model, "doctor", &[], "");
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), text)
    };
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base");
    let (is_well, text) = doctor(&base);
    assert!(is_well, "{text}");
    assert!(text.contains("control tokens   all there"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str| std::fs::copy(base.join(name), folder.path().join(name)).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        copy(name);
    }
    let (is_well, text) = doctor(folder.path());
    assert!(is_well, "{text}");
    assert!(text.contains("note  chat template"), "{text}");
    let bytes = std::fs::read(base.join("model.safetensors")).unwrap();
    let cut = folder.path().join("model.safetensors");
    std::fs::write(&cut, &bytes[..bytes.len() - 100]).unwrap();
    let (is_well, text) = doctor(folder.path());
    assert!(!is_well && text.contains("WRONG weights"), "{text}");
    // What else there is is still checked.
    assert!(text.contains("ok    tokenizer.json"), "{text}");
    let generation = folder.path().join("generation_config.json");
    std::fs::write(&generation, "{\"eos_token_id\": \"end\"}").unwrap();
    let (_, text) = doctor(folder.path());
    assert!(text.contains("WRONG end of answers"), "{text}");
    std::fs::remove_file(folder.path().join("config.json")).unwrap();
    let (is_well, text) = doctor(folder.path());
    assert!(!is_well && text.contains("WRONG config.json"), "{text}");
}

#[test]
fn a_killed_generate_goes_on_and_gives_the_same_file() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base");
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.jsonl");
    let rows: String = (0..700)
        .map(|id| {
            format!(
                "{}\n",
                json!({"id": id, "prompt": format!("Mia has {id} eggs.")})
            )
        })
        .collect();
    std::fs::write(&input, rows).unwrap();
    let start = |out: &Path, seed: &str| {
        Command::new(env!("CARGO_BIN_EXE_extracot"))
            .args([
                "generate",
                "--quiet",
                "--max-new-tokens",
                "30",
                "--temperature",
                "1",
            ])
            .args(["--seed", seed, "--model"])
            .arg(&model)
            .arg("--in")
            .arg(&input)
            .arg("--out")
            .arg(out)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let whole = folder.path().join("whole.jsonl");
    assert!(start(&whole, "1").wait().unwrap().success());
    assert!(!folder.path().join("whole.jsonl.unfinished").exists());

    let out = folder.path().join("out.jsonl");
    let partial = folder.path().join("out.jsonl.unfinished");
    let mut child = start(&out, "1");
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&partial).unwrap_or_default();
        if text.lines().count() > 1 {
            child.kill().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(partial.exists() && !out.exists(), "killed too late");
    // Other samples must not be mixed in.
    let other = start(&out, "2").wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&other.stderr);
    assert!(
        !other.status.success() && error.contains("remove it"),
        "{error}"
    );
    // A mark in a kept row shows that it is not computed again.
    let kept = std::fs::read_to_string(&partial).unwrap();
    std::fs::write(&partial, kept.replacen("\"text\":\"", "\"text\":\"MARK", 1)).unwrap();
    assert!(start(&out, "1").wait().unwrap().success());
    assert!(!partial.exists());
    let resumed = std::fs::read_to_string(&out).unwrap();
    assert_eq!(resumed.matches("MARK").count(), 1);
    let whole = std::fs::read_to_string(&whole).unwrap();
    assert_eq!(resumed.replacen("MARK", "", 1), whole);
}
