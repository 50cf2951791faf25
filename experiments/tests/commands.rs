//! The row-wise commands of `extracot`, on the shipped base model.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn extracot(command: &str, arguments: &[&str], input: &str) -> Output {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base");
    let mut child = Command::new(env!("CARGO_BIN_EXE_extracot"))
        .args([command, "--quiet", "--model"])
        .arg(model)
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
            "`1` has no token",
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
