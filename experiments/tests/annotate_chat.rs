//! `extracot annotate` with a chat endpoint that works, fails and lies: every case ends counted,
//! nothing that was answered is asked again, and the key is nowhere.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chat_server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use chat_server::{Act, ChatServer, Received};
use serde_json::{Value, json};

const KEY: &str = "sk-very-secret-key";

/// Seven atoms. By a quarter of the bytes, rounded up, they cost 1, 1, 3, 2 and 2, 3, 2: with windows
/// of 7 each sentence is one.
const THINK: &str = "We add $1 + 2 = 3$ here. Then $3 + 4 = 7$ there.";

struct Setting {
    folder: tempfile::TempDir,
}

impl Setting {
    /// Three traces of two windows each: questions `a?`, `b?` and `c?`.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let row = |id| json!({"id": id, "question": format!("{id}?"), "think": THINK}).to_string();
        let text = ["a", "b", "c"].map(row).join("\n");
        fs::write(folder.path().join("traces.jsonl"), text).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, annotator: &str, further: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_extracot"));
        let usual = [
            ("--window-tokens", "7"),
            ("--backoff", "0.001"),
            ("--attempts", "3"),
        ];
        let usual = usual.iter().filter(|(name, _)| !further.contains(name));
        command
            .current_dir(self.folder.path())
            .args(["annotate", "--in", "traces.jsonl", "--out", "labels.jsonl"])
            .args(["--annotator", annotator, "--api-key-env", "TEST_KEY"])
            .args(usual.flat_map(|(name, value)| [*name, *value]))
            .args(further)
            .env("TEST_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn annotate(&self, server: &ChatServer, further: &[&str]) -> Output {
        self.command(&server.model(), further).output().unwrap()
    }

    fn labels(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("labels.jsonl")).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn ids(&self) -> Vec<String> {
        let labels = self.labels();
        let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
        labels.iter().map(id).collect()
    }

    fn report(&self) -> Value {
        let text = fs::read_to_string(self.path("labels.jsonl.report.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn is_finished(&self) -> bool {
        !self.path("labels.jsonl.unfinished").exists()
    }
}

/// Keeps the formula of the window.
fn formula(request: &Received) -> Act {
    let piece = request.user().lines().find(|line| line.contains("\t$"));
    let (index, _) = piece.unwrap().split_once('\t').unwrap();
    Act::Say(json!({"ranges": [index]}).to_string())
}

fn is_of(request: &Received, question: &str) -> bool {
    request
        .user()
        .starts_with(&format!("Question:\n{question}?\n"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn assert_done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

fn assert_open(output: &Output, wanted: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", stderr(output));
    let text = stderr(output);
    assert!(text.contains(wanted), "{text}");
    assert!(
        text.contains("go on with: extracot annotate --in traces.jsonl"),
        "{text}"
    );
    assert!(text.contains("--resume"), "{text}");
}

/// No file of the folder and no output holds the key.
fn assert_no_key(folder: &Path, outputs: &[&Output]) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains(KEY), "{path:?}");
    }
    for output in outputs {
        for stream in [&output.stdout, &output.stderr] {
            assert!(!String::from_utf8_lossy(stream).contains(KEY));
        }
    }
}

#[test]
fn windows_become_labels_of_their_think_text_with_any_concurrency() {
    let mut files = Vec::new();
    for concurrency in ["1", "8"] {
        let setting = Setting::new();
        let server = ChatServer::start(|request, _| formula(request));
        let prices = [
            "--price-in",
            "2",
            "--price-out",
            "10",
            "--concurrency",
            concurrency,
        ];
        let output = setting.annotate(&server, &prices);
        assert_done(&output);
        assert!(setting.is_finished());
        assert_no_key(setting.folder.path(), &[&output]);
        files.push(fs::read(setting.path("labels.jsonl")).unwrap());

        let first = &server.received()[0];
        assert!(
            first
                .head
                .starts_with("POST /v1/chat/completions HTTP/1.1\r\n")
        );
        assert!(
            first.head.contains(&format!("Bearer {KEY}")),
            "{}",
            first.head
        );
        assert_eq!(first.body["model"], "test/model");
        assert_eq!(first.body["temperature"], 0.0);
        assert_eq!(first.body["messages"][0]["role"], "system");

        let report = setting.report();
        assert_eq!(report["labeled"], 3);
        assert_eq!(report["chat"]["windows"], json!({"labeled": 6}));
        assert_eq!(report["chat"]["requests"], 6);
        assert_eq!(report["chat"]["prompt_tokens"], 60);
        // 60 x 2 + 12 x 10 for a million tokens each.
        assert!((report["chat"]["cost"].as_f64().unwrap() - 240e-6).abs() < 1e-12);
        // 2 of 7 atoms, 6 of 14 tokens.
        assert_eq!(report["atoms"]["kept"], 6);
        assert!((report["tokens"]["share"].as_f64().unwrap() - 6.0 / 14.0).abs() < 1e-12);
        assert!(stderr(&output).contains("3 of 3 traces labeled"));
    }
    assert_eq!(files[0], files[1]);
    let text = String::from_utf8(files.remove(0)).unwrap();
    assert_eq!(
        text.lines().next().unwrap(),
        r#"{"id":"a","annotator":"openai:test/model","n_atoms":7,"ranges":["003","006"]}"#
    );
}

#[test]
fn what_fails_on_the_way_is_sent_again() {
    type Fault = fn() -> Act;
    let faults: [(&str, Fault); 7] = [
        ("500", || Act::Status(500, "", "oops".to_owned())),
        ("429", || Act::Status(429, "Retry-After: 0", String::new())),
        ("stall", || Act::Stall(Duration::from_secs(30))),
        ("cut", || Act::Cut),
        ("close", || Act::Close),
        ("no json", || Act::Body("<html>")),
        ("no choice", || Act::Body(r#"{"choices":[]}"#)),
    ];
    for (name, fault) in faults {
        let setting = Setting::new();
        let server = ChatServer::start(move |request, n_before| {
            match is_of(request, "b") && n_before == 0 && request.user().contains("We") {
                true => fault(),
                false => formula(request),
            }
        });
        let timeout = if name == "stall" { "1.5" } else { "60" };
        let output = setting.annotate(&server, &["--timeout", timeout]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        let report = setting.report();
        assert_eq!(report["chat"]["windows"], json!({"labeled": 6}), "{name}");
        assert_eq!(report["chat"]["requests"], 7, "{name}");
        assert_eq!(setting.ids(), ["a", "b", "c"], "{name}");
    }
}

#[test]
fn what_keeps_failing_is_counted_and_a_second_run_asks_for_it_alone() {
    type Fault = fn() -> Act;
    let faults: [(&str, u64, Fault); 8] = [
        ("http_status", 3, || Act::Status(503, "", "busy".to_owned())),
        ("http_status", 1, || {
            Act::Status(400, "", "too long".to_owned())
        }),
        ("http_status", 1, || {
            Act::Status(429, "Retry-After: 3600", String::new())
        }),
        ("transport", 3, || Act::Cut),
        ("bad_json", 3, || Act::Say("I keep the formula.".to_owned())),
        ("wrong_index", 3, || {
            Act::Say(r#"{"ranges": ["001-099"]}"#.to_owned())
        }),
        ("truncated", 3, || Act::End("length")),
        ("refused", 1, || Act::End("content_filter")),
    ];
    for (reason, n_requests, fault) in faults {
        let setting = Setting::new();
        let broken = ChatServer::start(move |request, _| {
            match is_of(request, "b") && request.user().contains("Then") {
                true => fault(),
                false => formula(request),
            }
        });
        let first = setting.annotate(&broken, &[]);
        assert_open(
            &first,
            &format!("1 of 3 traces have no labels ({reason} 1)"),
        );
        assert_eq!(setting.ids(), ["a", "c"], "{reason}");
        let report = setting.report();
        assert_eq!(report["unlabeled"], json!({ reason: 1 }));
        assert_eq!(report["chat"]["windows"], json!({"labeled": 5, reason: 1}));
        assert_eq!(report["chat"]["requests"], 5 + n_requests, "{reason}");
        assert!(!report["messages"][reason].as_str().unwrap().is_empty());

        let refused = setting.annotate(&broken, &[]);
        assert!(stderr(&refused).contains("labels.jsonl exists; add --resume"));
        let whole = ChatServer::start(|request, _| formula(request));
        let second = setting.annotate(&whole, &["--resume"]);
        assert_done(&second);
        assert!(stderr(&second).contains("3 of 3 traces labeled, 2 of them before"));
        let received = whole.received();
        assert_eq!(received.len(), 1, "{reason}");
        assert!(is_of(&received[0], "b") && received[0].user().contains("Then"));
        assert_eq!(setting.ids(), ["a", "b", "c"]);
        assert!(setting.is_finished());
        // Answers of both runs are in the sum.
        assert_eq!(setting.report()["chat"]["requests"], 6 + n_requests);
        assert_no_key(setting.folder.path(), &[&first, &second, &refused]);
    }
}

#[test]
fn replies_that_were_no_use_are_asked_for_again_warmer_with_a_word_on_why() {
    let setting = Setting::new();
    let server = ChatServer::start(|request, n_before| {
        let is_first = request.user().contains("We");
        match (n_before, is_first) {
            _ if is_of(request, "c") => match formula(request) {
                Act::Say(object) => Act::Say(format!("Here:\n```json\n{object}\n```")),
                other => other,
            },
            (0, true) => Act::Say(r#"{"ranges": []}"#.to_owned()),
            (0, false) => Act::Say(r#"{"ranges": ["0"]}"#.to_owned()),
            (1, false) => Act::Say(r#"{"ranges": "003"}"#.to_owned()),
            _ => formula(request),
        }
    });
    assert_done(&setting.annotate(&server, &[]));
    let report = setting.report();
    let replies = json!({"labeled": 6, "empty": 2, "wrong_index": 2, "bad_json": 2});
    assert_eq!(report["chat"]["replies"], replies);
    assert_eq!(report["chat"]["windows"], json!({"labeled": 6}));
    assert_eq!(report["chat"]["tolerances"], json!({"surrounding_text": 2}));
    let received = server.received();
    let warm: Vec<&Received> = received
        .iter()
        .filter(|r| is_of(r, "a") && r.body["temperature"] == 0.2)
        .collect();
    assert_eq!(warm.len(), 2);
    for request in warm {
        let wanted = match request.user().contains("We") {
            // A tenth of four pieces is less than one.
            true => "1 of the 4 at least",
            false => "The last one is 003",
        };
        assert!(request.user().contains(wanted), "{}", request.user());
    }
}

#[test]
fn windows_that_stay_empty_leave_their_trace_open_or_drop_all_if_told_to() {
    let setting = Setting::new();
    let server = ChatServer::start(|request, _| match is_of(request, "b") {
        true => Act::Say(r#"{"ranges": []}"#.to_owned()),
        false => formula(request),
    });
    let output = setting.annotate(&server, &["--rounds", "2"]);
    assert_open(&output, "1 of 3 traces have no labels (still_empty 1)");
    let windows = json!({"labeled": 4, "still_empty": 2});
    assert_eq!(setting.report()["chat"]["windows"], windows);
    assert_eq!(server.received().len(), 8);

    let dropped = setting.annotate(&server, &["--rounds", "2", "--resume", "--empty-drops"]);
    assert_done(&dropped);
    assert_eq!(server.received().len(), 8, "nothing is asked again");
    let row = &setting.labels()[1];
    assert_eq!((&row["id"], &row["ranges"]), (&json!("b"), &json!([])));
}

#[test]
fn a_trace_that_nobody_can_label_holds_up_no_other_and_costs_no_request() {
    let setting = Setting::new();
    let text = fs::read_to_string(setting.path("traces.jsonl")).unwrap();
    let empty = json!({"id": "e", "question": "e?", "think": " "});
    fs::write(setting.path("traces.jsonl"), format!("{empty}\n{text}\n")).unwrap();
    let server = ChatServer::start(|request, _| formula(request));
    assert_open(&setting.annotate(&server, &[]), "(empty_think 1)");
    assert_eq!(setting.ids(), ["a", "b", "c"]);
    assert!(setting.is_finished());
    let report = setting.report();
    assert_eq!(report["chat"]["requests"], 6);

    assert_open(&setting.annotate(&server, &["--resume"]), "(empty_think 1)");
    assert_eq!(server.received().len(), 6);
    assert_eq!(
        setting.report(),
        report,
        "the account of the requests is kept"
    );
}

#[test]
fn a_wrong_key_stops_the_run_and_is_shown_nowhere() {
    let setting = Setting::new();
    let server = ChatServer::start(|request, _| {
        let sent = request.head.lines().find(|line| line.contains("Bearer"));
        let body = format!("no such key: {}", sent.unwrap());
        Act::Status(401, "", body)
    });
    let output = setting.annotate(&server, &["--concurrency", "1"]);
    assert_open(
        &output,
        "3 of 3 traces have no labels (http_status 1, not_asked 2)",
    );
    assert_eq!(server.received().len(), 1);
    let text = stderr(&output);
    assert!(text.contains("status 401: no such key: "), "{text}");
    assert!(text.contains("[api key]"), "{text}");
    assert!(!setting.is_finished());
    assert_no_key(setting.folder.path(), &[&output]);

    let whole = ChatServer::start(|request, _| formula(request));
    assert_done(&setting.annotate(&whole, &["--resume"]));
    assert_eq!(whole.received().len(), 6);
}

#[test]
fn an_endpoint_that_is_gone_is_given_up() {
    let setting = Setting::new();
    let server = ChatServer::start(|_, _| Act::Close);
    let few = [
        "--concurrency",
        "1",
        "--attempts",
        "1",
        "--give-up-after",
        "2",
    ];
    let output = setting.annotate(&server, &few);
    assert_open(&output, "(not_asked 2, transport 1)");
    assert_eq!(server.received().len(), 2);
    assert!(stderr(&output).contains("2 requests in a row failed"));
}

#[test]
fn a_killed_run_asks_for_no_window_again() {
    let setting = Setting::new();
    let slow = ChatServer::start(|request, _| match is_of(request, "a") {
        true => formula(request),
        false => Act::Stall(Duration::from_secs(60)),
    });
    let mut child = setting
        .command(&slow.model(), &["--concurrency", "1"])
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while slow.received().len() < 3 {
        assert!(Instant::now() < deadline, "the third request did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!setting.path("labels.jsonl").exists());

    let whole = ChatServer::start(|request, _| formula(request));
    assert_done(&setting.annotate(&whole, &[]));
    assert_eq!(whole.received().len(), 4);
    assert_eq!(setting.ids(), ["a", "b", "c"]);
    assert_eq!(setting.report()["chat"]["requests"], 6);
}

#[test]
fn answers_of_other_windows_or_texts_are_not_used() {
    let setting = Setting::new();
    let broken = ChatServer::start(|_, _| Act::Status(400, "", String::new()));
    assert_open(&setting.annotate(&broken, &[]), "http_status 3");
    let wider = setting.annotate(&broken, &["--resume", "--window-tokens", "20"]);
    assert!(stderr(&wider).contains("remove it, or choose another --out"));
    let text = fs::read_to_string(setting.path("traces.jsonl")).unwrap();
    fs::write(setting.path("traces.jsonl"), text.replace("here", "now")).unwrap();
    let output = setting.annotate(&broken, &["--resume"]);
    assert!(stderr(&output).contains("remove it, or choose another --out"));
}
