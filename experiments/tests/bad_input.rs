//! Wrong input from the outside: a clear error, exit code 1 (2 for arguments), nothing written.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

fn error(out: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_chrpo_ablation"))
        .arg("--out")
        .arg(out)
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_wrong_input_says_what_and_where() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let torn = file(
        "torn.jsonl",
        "{\"question\":\"q\",\"solution\":\"s\",\"answer\":1}\n{\"ques",
    );
    let open = file("open.jsonl", "{\"question\":\"q\",\"solution\":\"s\"}\n");
    let cases: [(&[&str], &str); 8] = [
        (&["--set", "reward.tauu=1"], "did you mean `tau`"),
        (
            &["--set", "reward.tau=-1", "--preset", "smoke"],
            "reward.tau = -1",
        ),
        (&["--preset", "smokey"], "did you mean `smoke`"),
        (&["--problems", "absent.jsonl"], "absent.jsonl"),
        (&["--problems", &torn], "torn.jsonl:2:"),
        (
            &["--problems", &open],
            "open.jsonl:1: rows with the fields question, solution are of no known kind",
        ),
        (&["--device", "tpu"], "unknown device `tpu`"),
        (&["--device", "cuda"], "no `cuda` device"),
    ];
    for (arguments, want) in cases {
        let found = error(&out, arguments);
        assert!(found.contains(want), "{arguments:?}: {found}");
        assert!(!out.exists(), "{arguments:?} left a run folder");
    }

    fs::create_dir(&out).unwrap();
    fs::write(out.join("config.toml"), "other settings\n").unwrap();
    let found = error(&out, &["--resume"]);
    assert!(
        found.contains("belongs to a run with other settings"),
        "{found}"
    );
}

#[test]
fn dry_run_prints_the_settings_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = Command::new(env!("CARGO_BIN_EXE_chrpo_ablation"))
        .args(["--dry-run", "--set", "reward.tau=0.25", "--out"])
        .arg(&out)
        .output()
        .unwrap();
    assert!(output.status.success());
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("tau = 0.25"), "{printed}");
    assert!(!out.exists());
}
