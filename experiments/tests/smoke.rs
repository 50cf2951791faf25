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
        .env("RAYON_NUM_THREADS", n_threads.to_string())
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
