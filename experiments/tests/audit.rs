//! `extracot audit` as a program, on a run of the smoke preset.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn audit(run: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_extracot"))
        .arg("audit")
        .arg(run)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// A run pooled with a copy that says it has another seed has its own figures, of twice as many problems.
fn pools(run: &Path) {
    let pool = |arguments: &[&Path], pair: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_extracot"))
            .arg("pool")
            .args(arguments)
            .args(["--pair", pair])
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, _, said) = pool(&[run, run], "full CHRPO=base");
    assert!(
        code == Some(1) && said.contains("have the seed 1"),
        "{said}"
    );
    let copy = run.with_file_name("copy");
    let copied = Command::new("cp").arg("-r").args([run, &copy]).status();
    assert!(copied.unwrap().success());
    let path = copy.join("summary.json");
    let summary = fs::read_to_string(&path).unwrap();
    assert!(summary.contains("\"seed\": 1,"));
    fs::write(&path, summary.replacen("\"seed\": 1,", "\"seed\": 2,", 1)).unwrap();
    let (code, table, said) = pool(&[run, &copy], "full CHRPO=level 100");
    assert_eq!(code, Some(0), "{said}");
    let line = |start: &str| {
        let line = table.lines().find(|line| line.starts_with(start));
        line.unwrap().to_owned()
    };
    let base = line("| base |");
    assert!(base.contains("| 1.000, 1.000 |"), "{table}");
    let accuracy = base.split('|').nth_back(1).unwrap().trim().to_owned();
    let (first, second) = accuracy.split_once(", ").unwrap();
    assert_eq!(first, second);
    assert!(base.contains(&format!("| {first} [")), "{table}");
    assert!(
        line("| full CHRPO minus level 100 |").contains("p = "),
        "{table}"
    );
    let (code, _, said) = pool(&[run], "full CHRPO=mine");
    assert!(
        code == Some(1) && said.contains("ROW=ROW with the names base; "),
        "{said}"
    );
    let (code, _, said) = pool(&[run.parent().unwrap()], "a=b");
    assert!(
        code == Some(1) && said.contains("no finished run"),
        "{said}"
    );
}

#[test]
fn a_run_agrees_to_the_bit_and_any_touched_row_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let output = Command::new(env!("CARGO_BIN_EXE_chrpo_ablation"))
        .args(["--preset", "smoke", "--quiet", "--out"])
        .arg(&run)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let path = run.join("rollouts.jsonl");
    let original = fs::read_to_string(&path).unwrap();
    let n_rows = original.lines().count();
    let (code, said) = audit(&run);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("{n_rows} rollouts in ")), "{said}");

    pools(&run);

    // Without the joined file the stages are read.
    fs::rename(&path, run.join("aside")).unwrap();
    let (code, said) = audit(&run);
    assert_eq!(
        (code, said.matches("agree to the bit").count()),
        (Some(0), 4),
        "{said}"
    );

    let lines: Vec<&str> = original.lines().collect();
    let touched_idx = lines
        .iter()
        .position(|line| line.contains("full CHRPO") && line.contains("\"main\":"));
    let touched_idx = touched_idx.unwrap();
    let with_line = |line: Option<String>| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        match line {
            Some(line) => lines[touched_idx] = line,
            None => drop(lines.remove(touched_idx)),
        }
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        audit(&run)
    };
    let place = format!("rollouts.jsonl:{}: ", touched_idx + 1);
    let row: Value = serde_json::from_str(lines[touched_idx]).unwrap();
    let swap = |from: String, to: &str| {
        assert!(lines[touched_idx].contains(&from), "{from}");
        Some(lines[touched_idx].replacen(&from, to, 1))
    };
    // A reward in its last bit: what is written differs, what a parser of JSON makes of it perhaps not.
    let main = row["reward"]["main"].as_f64().unwrap();
    let next = f64::from_bits(main.to_bits() + 1);
    let (code, said) = with_line(swap(
        format!("\"main\":{main:?}"),
        &format!("\"main\":{next:?}"),
    ));
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&place) && said.contains("computed anew"),
        "{said}"
    );
    // What it is computed from.
    let reference = row["reference_tokens"].as_u64().unwrap();
    let from = format!("\"reference_tokens\":{reference}");
    let (code, said) = with_line(swap(
        from,
        &format!("\"reference_tokens\":{}", reference + 1),
    ));
    assert_eq!(code, Some(1));
    assert!(
        said.contains(&place) && said.contains("`realized_ratio` is"),
        "{said}"
    );
    let verdict = row["verdict"].as_str().unwrap();
    let other = if verdict == "correct" {
        "incorrect"
    } else {
        "correct"
    };
    let (_, said) = with_line(swap(
        format!("\"verdict\":\"{verdict}\""),
        &format!("\"verdict\":\"{other}\""),
    ));
    assert!(
        said.contains(&format!(
            "`verdict` is \"{other}\", computed anew it is \"{verdict}\""
        )),
        "{said}"
    );
    // A rollout that is gone, a row of an early version, an arm of somebody else.
    let (_, said) = with_line(None);
    assert!(said.contains("the settings say"), "{said}");
    let mut old = row.clone();
    old.as_object_mut().unwrap().remove("response");
    let (_, said) = with_line(Some(old.to_string()));
    assert!(
        said.contains(&format!("{place}the row has no `response`")),
        "{said}"
    );
    let (_, said) = with_line(swap(
        "\"arm\":\"full CHRPO\"".to_owned(),
        "\"arm\":\"mine\"",
    ));
    assert!(said.contains("no arm `mine` is known"), "{said}");
    // Other settings give other rewards.
    fs::write(&path, &original).unwrap();
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("w_acc = 1.0"), "{config}");
    fs::write(
        run.join("config.toml"),
        config.replace("w_acc = 1.0", "w_acc = 1.5"),
    )
    .unwrap();
    let (code, said) = audit(&run);
    assert!(code == Some(1) && said.contains("`reward."), "{said}");
}
