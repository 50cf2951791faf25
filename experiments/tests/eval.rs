//! `extracot eval` and `compare` on the shipped base model: what is written is whole, the same every
//! time and after a kill, and what is wrong is named before anything is sampled.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

struct Setting {
    folder: tempfile::TempDir,
}

impl Setting {
    /// Problems that the base model answers right, and one that it cannot: its gold answer is wrong.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let row = |id: usize, gold: &str| {
            let (eggs, more) = (10 + id, 2 + id);
            let question = format!(
                "Mia has {eggs} eggs. Then she finds {more} more. How many eggs does Mia have now?"
            );
            let difficulty = 1 + id % 2;
            json!({"id": id, "question": question, "answer": gold, "difficulty": difficulty})
        };
        let rows = (0..5).map(|id| row(id, &(12 + 2 * id).to_string()));
        let rows = rows.chain([row(5, "-1")]);
        let text: String = rows.map(|row| format!("{row}\n")).collect();
        fs::write(folder.path().join("problems.jsonl"), text).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, out: &str, further: &[&str]) -> Command {
        let mut command = self.extracot(&["eval", "--out", out, "--quiet"]);
        let usual = [
            ("--problems", "problems.jsonl"),
            ("--max-new-tokens", "120"),
            ("--latency", "0"),
        ];
        let usual = usual.iter().filter(|(name, _)| !further.contains(name));
        command.args(usual.flat_map(|(name, value)| [*name, *value]));
        if !further.contains(&"--model") {
            let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base");
            command.arg("--model").arg(model);
        }
        command.args(further);
        command
    }

    fn extracot(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_extracot"));
        command.current_dir(self.folder.path());
        command.args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn eval(&self, out: &str, further: &[&str]) -> Output {
        self.command(out, further).output().unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    fn predictions(&self, level: &str) -> Vec<Value> {
        let text = self.read(&format!("{level}/prediction.json"));
        let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
        rows.collect()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn assert_done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

fn assert_refused(output: &Output, wanted: &str) {
    let text = stderr(output);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{text}");
    assert!(text.contains(wanted), "{wanted}: {text}");
}

#[test]
fn a_sweep_is_whole_and_the_same_bytes_for_any_batch() {
    let setting = Setting::new();
    let levels = ["--levels", "none,40,policy"];
    assert_done(&setting.eval("a", &[&levels[..], &["--latency", "1"]].concat()));
    let other = ["--batch-rows", "1", "--threads", "1"];
    assert_done(&setting.eval("b", &[&levels[..], &other].concat()));
    for level in ["none", "40", "policy"] {
        for name in ["prediction.json", "metrics.json"] {
            let place = |run: &str| format!("{run}/{level}/{name}");
            assert_eq!(
                setting.read(&place("a")),
                setting.read(&place("b")),
                "{level}/{name}"
            );
        }
        assert!(
            !setting
                .path(&format!("a/{level}/prediction.json.unfinished"))
                .exists()
        );
    }
    for name in ["summary.json", "config.toml"] {
        assert_eq!(
            setting.read(&format!("a/{name}")),
            setting.read(&format!("b/{name}"))
        );
    }
    let rows = setting.predictions("a/none");
    assert_eq!(rows.len(), 6);
    for (id, row) in rows.iter().enumerate() {
        assert_eq!(
            (&row["id"], &row["sample_idx"]),
            (&json!(id.to_string()), &json!(0))
        );
        assert_eq!(
            row["verdict"],
            if id < 5 { "correct" } else { "incorrect" },
            "{row}"
        );
        assert_eq!(row["rule"], "boxed");
        assert_eq!(row["asked"], Value::Null);
        assert!(row["think_tokens"].as_u64() < row["total_tokens"].as_u64());
        assert!(!row["text"].as_str().unwrap().contains("<|im_end|>"));
    }
    assert_eq!(setting.predictions("a/40")[0]["asked"], "<COMP_40>");

    let metrics = setting.json("a/none/metrics.json");
    assert_eq!(
        (&metrics["n"], &metrics["n_correct"]),
        (&json!(6), &json!(5))
    );
    assert_eq!(metrics["act_ratio"]["estimate"], 1.0);
    assert_eq!(metrics["versus_baseline"], Value::Null);
    let summary = setting.json("a/summary.json");
    assert_eq!(summary["baseline"]["level"], "none");
    assert_eq!(summary["problems"]["n"], 6);
    assert_eq!(summary["rows"].as_array().unwrap().len(), 3);
    // Holm over two comparisons: never below the p-value itself.
    let versus = &summary["rows"][1]["versus_baseline"];
    assert!(versus["p_accuracy_holm"].as_f64() >= versus["mcnemar_p"].as_f64());
    let timing = setting.json("a/none/timing.json");
    assert_eq!(
        (&timing["samples"], &timing["alone"]["n"]),
        (&json!(6), &json!(1))
    );
    assert_eq!(setting.json("b/none/timing.json")["alone"], Value::Null);
    let manifest = setting.json("a/manifest.json");
    assert!(manifest["provenance"]["cargo_lock_sha256"].is_string());
    let page = setting.read("a/report.html");
    assert!(
        !page.contains("<script") && page.contains("<details"),
        "{page}"
    );
    assert!(
        setting
            .read("a/summary.md")
            .contains("| level | n | Tokens |")
    );

    // Killed between writing the samples of a level and removing what was kept of them.
    let kept = setting.path("a/none/prediction.json.unfinished");
    fs::write(&kept, "{\"key\":").unwrap();
    // A finished run is refused without --resume, and with it nothing is sampled again.
    assert_refused(&setting.eval("a", &levels), "add --resume");
    let before = setting.read("a/none/timing.json");
    assert_done(&setting.eval("a", &[&levels[..], &["--resume"]].concat()));
    assert_eq!(setting.read("a/none/timing.json"), before);
    assert!(!kept.exists());
    assert_refused(
        &setting.eval("a", &["--levels", "none", "--resume"]),
        "belongs to a run with other settings",
    );
}

#[test]
fn several_samples_are_drawn_by_name_and_counted_by_problem() {
    let setting = Setting::new();
    let draw = ["--n-samples", "3", "--temperature", "1", "--limit", "2"];
    assert_done(&setting.eval("a", &draw));
    assert_done(&setting.eval("b", &[&draw[..], &["--batch-rows", "4"]].concat()));
    let rows = setting.predictions("a/none");
    assert_eq!(rows, setting.predictions("b/none"));
    let names: Vec<_> = rows
        .iter()
        .map(|r| (r["id"].as_str(), r["sample_idx"].as_u64()))
        .collect();
    let want = |id| (0..3).map(move |idx| (Some(id), Some(idx)));
    assert_eq!(names, want("0").chain(want("1")).collect::<Vec<_>>());
    let repeated = &setting.json("a/none/metrics.json")["repeated"];
    assert_eq!(
        (&repeated["n_problems"], &repeated["n_each"]),
        (&json!(2), &json!(3))
    );
    assert_done(&setting.eval("c", &[&draw[..], &["--seed", "2"]].concat()));
    assert_ne!(rows, setting.predictions("c/none"));
    let greedy = setting.eval("d", &["--n-samples", "2"]);
    assert_refused(&greedy, "raise --temperature");
}

#[test]
fn a_killed_sweep_goes_on_and_ends_as_if_it_had_not_been_killed() {
    let setting = Setting::new();
    let slow = ["--levels", "none,20", "--batch-rows", "1", "--threads", "1"];
    assert_done(&setting.eval("whole", &slow));
    let mut child = setting.command("killed", &slow).spawn().unwrap();
    let unfinished = setting.path("killed/none/prediction.json.unfinished");
    let deadline = Instant::now() + Duration::from_secs(120);
    // The header and two samples.
    while fs::read_to_string(&unfinished)
        .unwrap_or_default()
        .lines()
        .count()
        < 3
    {
        assert!(Instant::now() < deadline, "no sample was kept");
        assert!(
            child.try_wait().unwrap().is_none(),
            "it ended before it was killed"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(unfinished.exists() && !setting.path("killed/manifest.json").exists());
    // Another batch size and number of threads: they decide nothing.
    let resumed = setting.eval("killed", &["--levels", "none,20", "--resume"]);
    assert_done(&resumed);
    for name in [
        "none/prediction.json",
        "20/prediction.json",
        "20/metrics.json",
        "summary.json",
    ] {
        let [whole, killed] = ["whole", "killed"].map(|run| setting.read(&format!("{run}/{name}")));
        assert_eq!(whole, killed, "{name}");
    }
    assert!(!unfinished.exists() && setting.path("killed/manifest.json").exists());
}

#[test]
fn kept_verdicts_are_judged_again_by_the_build_that_goes_on() {
    let setting = Setting::new();
    assert_done(&setting.eval("a", &[]));
    let rows = setting.read("a/none/prediction.json");
    let summary = setting.read("a/summary.json");
    // As an earlier build with another rule might have judged.
    let other = rows.replacen("\"verdict\":\"correct\"", "\"verdict\":\"incorrect\"", 2);
    setting.write("a/none/prediction.json", &other);
    let resumed = setting.eval("a", &["--resume"]);
    assert_done(&resumed);
    let text = stderr(&resumed);
    assert!(
        text.contains("level none: by the rules of this build 2 of 6 verdicts"),
        "{text}"
    );
    assert_eq!(setting.read("a/none/prediction.json"), rows);
    assert_eq!(setting.read("a/summary.json"), summary);
    assert_eq!(stderr(&setting.eval("a", &["--resume"])), "");
}

#[test]
fn bad_input_is_named_and_leaves_no_run_behind() {
    let setting = Setting::new();
    let good = setting.read("problems.jsonl");
    let first = good.lines().next().unwrap().to_owned();
    for (text, wanted) in [
        (
            format!("{first}\n{first}\n"),
            "bad.jsonl:2: the id `0` stands twice",
        ),
        (String::new(), "bad.jsonl has no problem to use"),
        (
            "{\"id\":1,\"question\":\"q\",\"gold\":3}\n".to_owned(),
            "bad.jsonl:1: rows with the fields",
        ),
        ("{\"id\":1,\"text\":\"t\"}\n".to_owned(), "bad.jsonl:1: "),
        (format!("{first}\n{{\"id\""), "bad.jsonl:2: "),
    ] {
        setting.write("bad.jsonl", &text);
        assert_refused(&setting.eval("out", &["--problems", "bad.jsonl"]), wanted);
    }
    for (arguments, wanted) in [
        (
            &["--problems", "absent.jsonl"][..],
            "cannot read absent.jsonl",
        ),
        (&["--levels", "none,50"], "known are 20, 40"),
        (
            &["--dataset", "math"],
            "a file of the kind `math` has problem, solution",
        ),
        (&["--levels", "40,40"], "names 40 twice"),
        (&["--baseline", "40"], "none of --levels"),
        (
            &["--baseline", "nowhere"],
            "neither a level nor the folder of a run",
        ),
        (&["--model", "nowhere"], "nowhere"),
        (&["--max-new-tokens", "5000"], "problem `0`"),
        (&["--tokenizer", "."], "--tokenizer is for endpoints"),
        (&["--temperature", "nan"], "--temperature"),
        (&["--train", "absent.jsonl"], "absent.jsonl"),
    ] {
        assert_refused(&setting.eval("out", arguments), wanted);
    }
    assert!(!setting.path("out").exists());
}

#[test]
fn runs_are_compared_if_they_are_of_the_same_problems() {
    let setting = Setting::new();
    assert_done(&setting.eval("a", &["--levels", "none,40"]));
    assert_done(&setting.eval("b", &["--levels", "none,20"]));
    let compare = |a: &str, b: &str, further: &[&str]| {
        let arguments = [&["compare", a, b], further].concat();
        setting.extracot(&arguments).output().unwrap()
    };
    let output = compare("a", "b", &[]);
    assert_done(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    // The same model asked the same: no difference, nothing discordant.
    assert!(
        text.contains("0.0 [0.0, 0.0]") && text.contains("0/0"),
        "{text}"
    );
    assert!(text.contains("Only A has, so not compared: 40"), "{text}");
    assert!(text.contains("Only B has, so not compared: 20"), "{text}");
    let markdown = compare("a/none", "b/20", &["--markdown"]);
    assert_done(&markdown);
    let markdown = String::from_utf8(markdown.stdout).unwrap();
    assert!(markdown.contains("| none (A), 20 (B) | 6 |"), "{markdown}");
    // A level against a run: the level that both have.
    let output = compare("a/none", "b", &[]);
    assert_done(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Only B has, so not compared: 20"), "{text}");
    // Two runs of A: twelve samples of six problems.
    let output = compare("a/none", "b/none", &["--more-a", "b/none", "--markdown"]);
    assert_done(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("| none | 12 |"), "{text}");
    assert_refused(
        &compare("a", "b", &["--more-b", "a/none"]),
        "lacks level 20",
    );
    assert_refused(
        &compare("a", "nowhere", &[]),
        "no finished run of `extracot eval`",
    );

    // The other run as the baseline.
    assert_done(&setting.eval("c", &["--levels", "40", "--baseline", "a"]));
    let summary = setting.json("c/summary.json");
    assert_eq!(summary["baseline"]["run"], "a/none");
    assert!(summary["rows"][0]["versus_baseline"].is_object());

    assert_done(&setting.eval("few", &["--limit", "4"]));
    assert_refused(
        &compare("a/none", "few", &[]),
        "few/none lacks 2 problems: 4, 5",
    );
    let other = setting
        .read("problems.jsonl")
        .replace("\"answer\":\"-1\"", "\"answer\":\"-2\"");
    setting.write("other.jsonl", &other);
    assert_done(&setting.eval("other", &["--problems", "other.jsonl"]));
    let output = compare("a/none", "other", &[]);
    assert_refused(
        &output,
        "the gold answer of problem `5` is \"-1\" and \"-2\"",
    );
    let output = setting.eval("d", &["--problems", "other.jsonl", "--baseline", "a"]);
    assert_refused(&output, "--baseline a is of other problems");
    assert!(!setting.path("d").exists());
}

#[test]
fn leaked_and_unreadable_problems_are_told() {
    let setting = Setting::new();
    let problems = setting
        .read("problems.jsonl")
        .replace("\"-1\"", "\"\\\\frac{1\"");
    setting.write("odd.jsonl", &problems);
    let first = problems.lines().next().unwrap().to_owned();
    setting.write("train.jsonl", &format!("{first}\n"));
    let arguments = ["--problems", "odd.jsonl", "--train", "train.jsonl"];
    assert_done(&setting.eval("out", &arguments));
    let summary = setting.json("out/summary.json");
    assert_eq!(summary["leakage"]["n_shared"], 1);
    assert_eq!(summary["leakage"]["shared"][0]["test_id"], "0");
    assert_eq!(summary["problems"]["unreadable_gold"]["ids"], json!(["5"]));
    let row = &setting.predictions("out/none")[5];
    assert_eq!(row["verdict"], "undecided");
    assert!(row["reason"].is_string());
    let table = setting.read("out/summary.md");
    assert!(table.contains("LEAKAGE: 1 problems"), "{table}");
}

#[test]
fn a_dry_run_prints_the_settings_and_writes_nothing() {
    let setting = Setting::new();
    let output = setting.eval("out", &["--dry-run", "--levels", "none,20"]);
    assert_done(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("levels = [\"none\", \"20\"]"), "{text}");
    assert!(
        text.contains("n_problems = 6") && text.contains("problems_sha256"),
        "{text}"
    );
    assert!(!setting.path("out").exists());
}
