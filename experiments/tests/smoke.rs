//! The smoke preset from the outside: it finishes, it is deterministic, it goes on where it was, and
//! a full disk costs nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn run(out: &Path, n_threads: usize, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chrpo_ablation"))
        .args(["--preset", "smoke", "--out"])
        .arg(out)
        .args(arguments)
        .args(["--threads", &n_threads.to_string()])
        .output()
        .unwrap()
}

fn success(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Files that must be the same for the same seed.
fn results(out: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec!["summary.json".to_owned(), "rollouts.jsonl".to_owned()];
    let mut folders: Vec<_> = fs::read_dir(out.join("checkpoints")).unwrap().collect();
    folders.sort_by_key(|entry| entry.as_ref().unwrap().file_name());
    for folder in folders {
        let name = folder.unwrap().file_name().into_string().unwrap();
        names.push(format!("checkpoints/{name}/model.safetensors"));
    }
    names
        .into_iter()
        .map(|name| (name.clone(), fs::read(out.join(&name)).unwrap()))
        .collect()
}

fn assert_same(left: &Path, right: &Path) {
    let (left, right) = (results(left), results(right));
    assert_eq!(left.len(), right.len());
    for ((name, left), (_, right)) in left.iter().zip(&right) {
        assert!(left == right, "{name} differs");
    }
}

#[test]
fn the_smoke_run_is_complete_deterministic_and_resumable() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two, other) = (
        folder.path().join("one"),
        folder.path().join("two"),
        folder.path().join("other"),
    );
    let table = success(&run(&one, 1, &[]));
    for row in [
        "base",
        "level 20",
        "level 100",
        "POLICY after SFT",
        "full CHRPO",
    ] {
        assert!(table.contains(row), "{row} is missing:\n{table}");
    }
    for file in [
        "manifest.json",
        "report.html",
        "events.jsonl",
        "config.toml",
    ] {
        assert!(one.join(file).is_file(), "{file} is missing");
    }
    // The shipped base model is no untrained one: 24 problems, chance is near 0.
    let summary: serde_json::Value =
        serde_json::from_slice(&fs::read(one.join("summary.json")).unwrap()).unwrap();
    let base = &summary["rows"][0]["summary"]["accuracy"]["estimate"];
    assert!(base.as_f64().unwrap() > 0.6, "{base}");

    success(&run(&two, 2, &[]));
    assert_same(&one, &two);
    success(&run(&other, 2, &["--seed", "2"]));
    let summary = |out: &Path| fs::read(out.join("summary.json")).unwrap();
    assert_ne!(summary(&one), summary(&other));

    // An interrupted run: the last stages are gone, one is torn.
    fs::remove_file(two.join("manifest.json")).unwrap();
    fs::remove_file(two.join("summary.json")).unwrap();
    fs::remove_dir_all(two.join("stages/arm_without_r_ctrl")).unwrap();
    fs::remove_file(two.join("stages/eval_full_chrpo/stage.json")).unwrap();
    fs::write(two.join("stages/eval_full_chrpo/records.jsonl"), "{\"torn").unwrap();
    assert!(!run(&two, 2, &[]).status.success());
    let errors = String::from_utf8(run(&two, 2, &["--resume"]).stderr).unwrap();
    assert!(errors.contains("[sft] reused") && !errors.contains("[eval_full_chrpo] reused"));
    assert_same(&one, &two);

    full_disk(&two);
    assert_same(&one, &two);
}

/// The binary that the docs show: its arms differ, and what it leaves is complete.
#[test]
fn the_example_ablation_runs() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = Command::new(env!("CARGO_BIN_EXE_kappa_ablation"))
        .args(["--preset", "smoke", "--quiet", "--out"])
        .arg(&out)
        .output()
        .unwrap();
    let table = success(&output);
    for row in ["kappa 0.4", "kappa 0 ", "kappa 0.8"] {
        assert!(table.contains(row), "{row} is missing:\n{table}");
    }
    assert!(output.stderr.is_empty(), "--quiet printed");
    assert!(out.join("manifest.json").is_file());
}

/// Rows of a problem file: usable ones, one without a solution, one that stands twice.
fn problem_file() -> String {
    let row = |a: usize, b: usize| {
        let c = a + b;
        format!(
            "{{\"question\":\"Tom has {a} pens and buys {b}. How many has he?\",\
             \"solution\":\"He had {a} and got {b}, so he has {a} + {b} = <<{a}+{b}={c}>>{c} pens.\",\
             \"answer\":{c}}}\n"
        )
    };
    let mut text: String = (0..60).map(|i| row(3 + i, 2 + i % 7)).collect();
    text += &row(3, 2);
    text += "{\"question\":\"Why?\",\"answer\":\"#### 1\"}\n";
    text
}

#[test]
fn a_problem_file_takes_the_place_of_the_generator() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("problems.jsonl");
    fs::write(&file, problem_file()).unwrap();
    let out = folder.path().join("run");
    let output = Command::new(env!("CARGO_BIN_EXE_chrpo_ablation"))
        .args(["--preset", "smoke", "--set", "decode.max_new_tokens=100"])
        .args(["--set", "chrpo.policy.max_new_tokens=100", "--problems"])
        .arg(&file)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let table = success(&output);
    for row in ["problems.jsonl", "base", "level 20", "full CHRPO"] {
        assert!(table.contains(row), "{row} is missing:\n{table}");
    }
    assert!(out.join("manifest.json").is_file());
    let summary = fs::read_to_string(out.join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let counts = |stage: &str| {
        let stages = summary["counts"].as_array().unwrap();
        let found = stages.iter().find(|counts| counts["stage"] == stage);
        found.unwrap()["counts"].clone()
    };
    let problems = counts("problems");
    assert_eq!(problems["rows read"], 62);
    assert_eq!(problems["dropped: no worked solution"], 1);
    assert_eq!(problems["dropped: same question as an earlier row"], 1);
    // Twenty steps teach the base model nothing: the worked solutions stand in, under a name.
    let traces = counts("traces");
    let worked = traces.as_object().unwrap().iter();
    let worked = worked.filter(|(reason, _)| reason.contains("worked solution used"));
    let n_worked: u64 = worked.map(|(_, n)| n.as_u64().unwrap()).sum();
    assert!(n_worked > 20, "{traces}");
    let budgets = counts("budgets");
    let n_rows = problems["used"].as_u64().unwrap();
    assert!(
        budgets["reference length of the worked solution"]
            .as_u64()
            .unwrap()
            < n_rows
    );
}

/// A full disk while the summary is written: the error names it, the old summary stays.
fn full_disk(out: &Path) {
    #[cfg(target_os = "linux")]
    {
        let partial = out.join("summary.json.partial");
        std::os::unix::fs::symlink("/dev/full", &partial).unwrap();
        let output = run(out, 2, &["--resume"]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(
            errors.contains("summary.json") && errors.contains("No space left"),
            "{errors}"
        );
        assert!(!partial.exists());
    }
    success(&run(out, 2, &["--resume"]));
}
