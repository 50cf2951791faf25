//! `extracot eval` with a chat endpoint that works, fails and lies: every request ends counted, a
//! failed one is never a wrong answer, and what was answered is not asked again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chat_server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use chat_server::{Act, ChatServer, Received};
use serde_json::{Value, json};

const KEY: &str = "sk-very-secret-key";

struct Setting {
    folder: tempfile::TempDir,
}

impl Setting {
    /// Four problems `q0` to `q3` with the answers 0 to 3.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let row =
            |id| json!({"id": format!("q{id}"), "question": format!("Say {id}."), "answer": id});
        let text: String = (0..4).map(|id| format!("{}\n", row(id))).collect();
        fs::write(folder.path().join("problems.jsonl"), text).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, model: &str, further: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_extracot"));
        let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base");
        let usual = [
            ("--backoff", "0.001"),
            ("--attempts", "2"),
            ("--latency", "0"),
            ("--out", "out"),
        ];
        let usual = usual.iter().filter(|(name, _)| !further.contains(name));
        command
            .current_dir(self.folder.path())
            .args(["eval", "--problems", "problems.jsonl", "--quiet"])
            .args(["--model", model, "--api-key-env", "TEST_KEY"])
            .arg("--tokenizer")
            .arg(tokenizer)
            .args(usual.flat_map(|(name, value)| [*name, *value]))
            .args(further)
            .env("TEST_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn eval(&self, server: &ChatServer, further: &[&str]) -> Output {
        self.command(&server.model(), further).output().unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    fn predictions(&self, level: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(&format!("{level}/prediction.json"))).unwrap();
        let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
        rows.collect()
    }
}

/// What the question asks to say, in a box behind a think text.
fn said(request: &Received) -> Act {
    Act::Say(format!(
        "<think>\n1 + 1 = 2\n</think>\n\\boxed{{{}}}",
        number(request)
    ))
}

fn number(request: &Received) -> String {
    let (_, rest) = request.user().split_once("Say ").unwrap();
    rest.split('.').next().unwrap().to_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn assert_done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

fn assert_open(output: &Output, wanted: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for wanted in wanted
        .iter()
        .chain(&["go on with: extracot eval", "--resume"])
    {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

/// The rows without what two runs cannot share.
fn without_latency(mut rows: Vec<Value>) -> Vec<Value> {
    for row in &mut rows {
        assert!(row["latency_s"].as_f64().unwrap() >= 0.0);
        row.as_object_mut().unwrap().remove("latency_s");
    }
    rows
}

#[test]
fn the_prompt_is_that_of_a_model_folder_and_every_sample_has_its_own_seed() {
    let setting = Setting::new();
    let server = ChatServer::start(|request, _| said(request));
    let further = [
        "--levels",
        "none,40",
        "--n-samples",
        "2",
        "--temperature",
        "0.5",
        "--top-p",
        "0.9",
        "--system",
        "Be brief.",
        "--extra-body",
        "{\"skip_special_tokens\": false}",
        "--latency",
        "1",
    ];
    assert_done(&setting.eval(&server, &further));
    let received = server.received();
    // Two levels of four problems with two samples; one prompt a level is timed with two requests.
    assert_eq!(received.len(), 2 * (4 * 2 + 2));
    let instruction = "Please reason step by step, and put your final answer within \\boxed{}.";
    let user = |level: &str| format!("{instruction}\nSay 0.{level}");
    let same = |level| {
        received
            .iter()
            .filter(|r| r.user() == user(level))
            .collect::<Vec<_>>()
    };
    let (none, forty) = (same(""), same(" <COMP_40>"));
    assert_eq!((none.len(), forty.len()), (4, 4));
    for request in &received {
        let body = &request.body;
        assert_eq!(
            body["messages"][0],
            json!({"role": "system", "content": "Be brief."})
        );
        assert_eq!(
            (&body["temperature"], &body["top_p"]),
            (&json!(0.5), &json!(0.9))
        );
        assert_eq!(body["skip_special_tokens"], false);
        assert!(request.head.contains(&format!("Bearer {KEY}")));
    }
    let mut seeds: Vec<u64> = none
        .iter()
        .map(|r| r.body["seed"].as_u64().unwrap())
        .collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert!(seeds.len() == 2 && seeds.iter().all(|seed| *seed < 1 << 31));

    let rows = setting.predictions("out/40");
    assert_eq!(rows.len(), 8);
    assert_eq!(
        (&rows[7]["id"], &rows[7]["verdict"]),
        (&json!("q3"), &json!("correct"))
    );
    // The endpoint says that a completion has 2 tokens; the think text has more in the tokenizer's.
    assert_eq!(rows[7]["total_tokens"], 2);
    assert!(rows[7]["think_tokens"].as_u64().unwrap() > 2);
    assert_eq!(rows[7]["chosen"], Value::Null);
    let summary = setting.json("out/summary.json");
    assert_eq!(summary["rows"][1]["no_level_rate"], 1.0);
    assert!(
        summary["rows"][1]["counted_over_reported"]
            .as_f64()
            .unwrap()
            > 2.0
    );
    let table = fs::read_to_string(setting.path("out/summary.md")).unwrap();
    assert!(table.contains("no completion states a level"), "{table}");
    assert!(table.contains("another model"), "{table}");
    let timing = setting.json("out/none/timing.json");
    assert!(timing["request_s"]["p99"].is_number() && timing["alone"]["n"] == 1);
    for file in [
        "config.toml",
        "manifest.json",
        "summary.json",
        "report.html",
    ] {
        let text = fs::read_to_string(setting.path(&format!("out/{file}"))).unwrap();
        assert!(!text.contains(KEY), "{file}");
    }
}

#[test]
fn failed_requests_stay_open_and_a_resumed_run_is_as_a_smooth_one() {
    let setting = Setting::new();
    let smooth = ChatServer::start(|request, _| said(request));
    assert_done(&setting.eval(&smooth, &["--out", "smooth"]));
    let rough = ChatServer::start(|request, n_before| match number(request).as_str() {
        // Fails with both attempts of the first run; then works.
        "1" if n_before < 2 => Act::Status(500, "", "overloaded".to_owned()),
        "2" if n_before < 1 => Act::End("content_filter"),
        // A second attempt helps.
        "0" if n_before < 1 => Act::Close,
        "3" if n_before < 1 => Act::Cut,
        _ => said(request),
    });
    let output = setting.eval(&rough, &[]);
    assert_open(
        &output,
        &[
            "2 of 4 samples are still open",
            "http_500 1",
            "content_filter 1",
        ],
    );
    assert!(!setting.path("out/manifest.json").exists());
    assert!(!setting.path("out/none/metrics.json").exists());
    let failures = setting.json("out/failures.json");
    assert_eq!(
        failures["none"]["by_reason"]["http_500"]["message"],
        "overloaded"
    );
    let n_before = rough.received().len();
    let resumed = setting.eval(&rough, &["--resume", "--concurrency", "1"]);
    assert_done(&resumed);
    // Only the two open ones are asked again.
    assert_eq!(rough.received().len(), n_before + 2);
    assert!(!setting.path("out/failures.json").exists());
    let rows = |run: &str| without_latency(setting.predictions(&format!("{run}/none")));
    assert_eq!(rows("out"), rows("smooth"));
    assert_eq!(
        setting.json("out/none/metrics.json"),
        setting.json("smooth/none/metrics.json")
    );
}

#[test]
fn samples_that_are_refused_for_good_can_be_ended_as_failures_and_be_tried_again() {
    let setting = Setting::new();
    let smooth = ChatServer::start(|request, _| said(request));
    assert_done(&setting.eval(&smooth, &["--out", "smooth"]));
    let is_mended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = std::sync::Arc::clone(&is_mended);
    let server = ChatServer::start(move |request, _| match number(request).as_str() {
        "2" if !seen.load(std::sync::atomic::Ordering::SeqCst) => {
            Act::Status(400, "", "too rude".to_owned())
        }
        _ => said(request),
    });
    let wanted = [
        "1 of 4 samples",
        "problem `q2`, http_400: too rude",
        "--accept-open",
    ];
    assert_open(&setting.eval(&server, &[]), &wanted);
    let n_before = server.received().len();
    let accepted = setting.eval(&server, &["--resume", "--accept-open"]);
    assert_done(&accepted);
    assert!(stderr(&accepted).contains("they count as failures"));
    // It is asked for once more, alone.
    assert_eq!(server.received().len(), n_before + 1);

    let row = &setting.predictions("out/none")[2];
    assert_eq!(
        (&row["verdict"], &row["total_tokens"]),
        (&json!("open"), &json!(512))
    );
    assert_eq!(row["reason"], "http_400: too rude");
    let metrics = setting.json("out/none/metrics.json");
    assert_eq!(
        (&metrics["n"], &metrics["n_correct"]),
        (&json!(4), &json!(3))
    );
    assert_eq!(
        (&metrics["open_rate"], &metrics["open"]),
        (&json!(0.25), &json!({"http_400": 1}))
    );
    for rate in ["no_answer_rate", "truncation_rate", "format_error_rate"] {
        assert_eq!(metrics[rate], 0.0, "{rate}");
    }
    // 512 of the open one and three of the others'.
    let think = setting.json("smooth/none/metrics.json")["think_tokens"]
        .as_f64()
        .unwrap();
    assert_eq!(
        metrics["think_tokens"].as_f64(),
        Some((512.0 + 3.0 * think) / 4.0)
    );
    let table = fs::read_to_string(setting.path("out/summary.md")).unwrap();
    assert!(
        table.contains("Open%") && table.contains("OPEN: level none: 1 of 4"),
        "{table}"
    );
    assert!(
        setting.path("out/manifest.json").exists() && setting.path("out/failures.json").exists()
    );

    // Without the flag it is open again; once it is answered the run is as a smooth one.
    assert_open(&setting.eval(&server, &["--resume"]), &["1 of 4 samples"]);
    assert!(!setting.path("out/manifest.json").exists());
    is_mended.store(true, std::sync::atomic::Ordering::SeqCst);
    let n_before = server.received().len();
    assert_done(&setting.eval(&server, &["--resume"]));
    assert_eq!(server.received().len(), n_before + 1);
    for file in ["none/metrics.json", "summary.json"] {
        let [out, smooth] = ["out", "smooth"].map(|run| setting.json(&format!("{run}/{file}")));
        assert_eq!(out, smooth, "{file}");
    }
    assert!(!setting.path("out/none/prediction.json.unfinished").exists());
    assert!(!setting.path("out/failures.json").exists());
}

#[test]
fn a_run_that_stopped_is_not_ended_by_accepting() {
    let setting = Setting::new();
    let server = ChatServer::start(|_, _| Act::Status(401, "", "bad key".to_owned()));
    let output = setting.eval(&server, &["--accept-open", "--concurrency", "1"]);
    assert_open(
        &output,
        &["http_401 1", "not_asked 3", "status 401: bad key"],
    );
    assert!(!setting.path("out/summary.json").exists());
}

#[test]
fn garbage_stalls_and_odd_ends_are_counted_by_reason() {
    let setting = Setting::new();
    let server = ChatServer::start(|request, _| match number(request).as_str() {
        "0" => Act::Body("<html>proxy</html>"),
        "1" => Act::Stall(Duration::from_secs(30)),
        "2" => Act::End("tool_calls"),
        _ => Act::Body(
            r#"{"choices":[{"message":{"content":"\\boxed{3}"}}],"usage":{"completion_tokens":1}}"#,
        ),
    });
    let output = setting.eval(&server, &["--timeout", "0.3"]);
    let wanted = [
        "4 of 4 samples",
        "transport 2",
        "unknown_finish 1",
        "no_finish 1",
    ];
    assert_open(&output, &wanted);
    // Every request of this server would lack its count of tokens.
    let silent = ChatServer::start(|_, _| {
        Act::Body(r#"{"choices":[{"finish_reason":"stop","message":{"content":"\\boxed{3}"}}]}"#)
    });
    let output = setting.eval(&silent, &["--out", "silent", "--concurrency", "1"]);
    assert_open(&output, &["no_usage 1", "not_asked 3"]);
    assert_eq!(silent.received().len(), 1);
}

#[test]
fn a_dead_or_hopeless_endpoint_ends_the_sweep_at_once() {
    let setting = Setting::new();
    let output = setting
        .command(
            "openai:m@http://127.0.0.1:1/v1",
            &[
                "--levels",
                "none,20",
                "--give-up-after",
                "2",
                "--concurrency",
                "1",
            ],
        )
        .output()
        .unwrap();
    assert_open(&output, &["8 of 8 samples", "not_asked 6", "transport 2"]);
    let server = ChatServer::start(|_, _| Act::Status(401, "", "bad key".to_owned()));
    let output = setting.eval(&server, &["--out", "b", "--concurrency", "1"]);
    assert_open(
        &output,
        &["http_401 1", "not_asked 3", "status 401: bad key"],
    );
    assert_eq!(server.received().len(), 1);

    let mut command = setting.command("openai:m@http://127.0.0.1:1/v1", &["--out", "c"]);
    let output = command.env_remove("TEST_KEY").output().unwrap();
    assert!(stderr(&output).contains("TEST_KEY of --api-key-env is not set"));
    assert!(!setting.path("c").exists());
    let mut command = Command::new(env!("CARGO_BIN_EXE_extracot"));
    command
        .current_dir(setting.folder.path())
        .args(["eval", "--out", "c"]);
    command.args([
        "--problems",
        "problems.jsonl",
        "--model",
        "openai:m@http://127.0.0.1:1/v1",
    ]);
    let output = command.output().unwrap();
    assert!(
        stderr(&output).contains("add --tokenizer DIR"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_killed_sweep_asks_for_the_missing_samples_only() {
    let setting = Setting::new();
    let server = ChatServer::start(|request, n_before| match number(request).as_str() {
        "2" if n_before == 0 => Act::Stall(Duration::from_secs(60)),
        _ => said(request),
    });
    let one = ["--concurrency", "1"];
    let mut child = setting.command(&server.model(), &one).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.received().len() < 3 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_done(&setting.eval(&server, &["--resume"]));
    let asked: Vec<String> = server.received().iter().map(number).collect();
    let mut again = asked[3..].to_vec();
    again.sort();
    assert_eq!(
        (asked[..3].join(""), again.join("")),
        ("012".to_owned(), "23".to_owned())
    );
    assert!(
        setting
            .predictions("out/none")
            .iter()
            .all(|row| row["verdict"] == "correct")
    );
}

#[test]
fn reasoning_that_comes_apart_is_counted_as_think_text() {
    let setting = Setting::new();
    let server = ChatServer::start(|_, _| {
        Act::Body(
            r#"{"choices":[{"finish_reason":"stop","message":{"content":"\\boxed{1}","reasoning_content":"one is one"}}],"usage":{"prompt_tokens":3,"completion_tokens":9}}"#,
        )
    });
    assert_done(&setting.eval(&server, &["--limit", "2"]));
    let rows = setting.predictions("out/none");
    let verdicts: Vec<_> = rows
        .iter()
        .map(|row| row["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["incorrect", "correct"]);
    assert_eq!(
        (&rows[0]["think_state"], &rows[0]["total_tokens"]),
        (&json!("closed"), &json!(9))
    );
    assert_eq!(rows[0]["text"], "<think>\none is one\n</think>\n\\boxed{1}");
    assert!(rows[0]["think_tokens"].as_u64().unwrap() > 0);
}
