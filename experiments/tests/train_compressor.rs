//! `extracot train-compressor` from the outside, on texts of letters of which three are to be kept.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use extracot_core::Seed;
use rand::RngExt;
use serde_json::{Value, json};

const SETTINGS: [&str; 13] = [
    "model.hidden_size=16",
    "model.intermediate_size=32",
    "model.num_hidden_layers=1",
    "model.num_attention_heads=2",
    "model.attention_window=8",
    "model.max_positions=96",
    "train.n_steps=60",
    "train.batch_size=8",
    "train.update.learning_rate=1e-2",
    "train.update.warmup_steps=5",
    "held_out.every=10",
    "checkpoint_every=7",
    "held_out_share=0.2",
];

fn base() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base")
}

/// Traces and labels of 40 texts, of 16 letters each.
fn write_data(folder: &Path) {
    let mut rng = Seed(5).rng();
    let (mut traces, mut labels) = (String::new(), String::new());
    for id in 0..40 {
        let letters: Vec<char> = (0..16)
            .map(|_| char::from(b'a' + rng.random_range(0..10_u8)))
            .collect();
        let think: Vec<String> = letters.iter().map(char::to_string).collect();
        let kept = letters.iter().enumerate().filter(|(_, c)| **c <= 'c');
        let ranges: Vec<String> = kept.map(|(idx, _)| format!("{:03}", idx + 1)).collect();
        let id = format!("t{id}");
        // A question of its own: traces of one question stay together.
        let question = format!("which of {id}?");
        traces += &json!({"id": id, "question": question, "think": think.join(" ")}).to_string();
        labels +=
            &json!({"id": id, "ranges": ranges, "annotator": "letters", "n_atoms": 16}).to_string();
        traces.push('\n');
        labels.push('\n');
    }
    fs::write(folder.join("traces.jsonl"), traces).unwrap();
    fs::write(folder.join("labels.jsonl"), labels).unwrap();
}

fn start(folder: &Path, out: &Path, settings: &[&str], more: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_extracot"));
    command.args(["train-compressor", "--quiet", "--in"]);
    command.arg(folder.join("traces.jsonl"));
    command.arg("--labels").arg(folder.join("labels.jsonl"));
    command.arg("--tokenizer").arg(base());
    command.arg("--out").arg(out);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command.args(more);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn success(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn error(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    error
}

/// Files that must be the same for the same seed, data and settings.
fn results(out: &Path) -> Vec<(&'static str, Vec<u8>)> {
    [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "events.jsonl",
        "metrics.json",
    ]
    .map(|name| (name, fs::read(out.join(name)).unwrap()))
    .into()
}

#[test]
fn it_learns_leaves_a_classifier_and_can_be_killed() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let whole = folder.path().join("whole");
    success(start(folder.path(), &whole, &SETTINGS, &[]));
    let metrics: Value =
        serde_json::from_slice(&fs::read(whole.join("metrics.json")).unwrap()).unwrap();
    let macro_f1 = metrics["held_out"]["held_out/macro_f1"].as_f64().unwrap();
    assert!(macro_f1 > 0.95, "{metrics}");
    assert_eq!(metrics["counts"], json!({"labeled by letters": 40}));
    let n = |key: &str| metrics[key].as_u64().unwrap();
    assert_eq!(n("n_train_traces") + n("n_held_out_traces"), 40);
    assert!(n("n_best_steps") <= n("n_steps"));
    assert!(whole.join("manifest.json").is_file() && !whole.join("checkpoints").exists());
    let tokenizer = fs::read(base().join("tokenizer.json")).unwrap();
    assert_eq!(fs::read(whole.join("tokenizer.json")).unwrap(), tokenizer);

    // The folder is a classifier like any other, also to start from.
    let row = json!({"id": 1, "input_ids": [5, 6, 7]}).to_string();
    fs::write(folder.path().join("rows.jsonl"), row).unwrap();
    let classify = Command::new(env!("CARGO_BIN_EXE_extracot"))
        .args(["classify", "--quiet", "--model"])
        .arg(&whole)
        .arg("--in")
        .arg(folder.path().join("rows.jsonl"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(success(classify).contains("logits"));
    let further = folder.path().join("further");
    let settings = [
        "train.n_steps=1",
        "train.update.learning_rate=1e-9",
        "held_out_share=0.2",
    ];
    let init = ["--init", whole.to_str().unwrap()];
    success(start(folder.path(), &further, &settings, &init));
    let further: Value =
        serde_json::from_slice(&fs::read(further.join("metrics.json")).unwrap()).unwrap();
    assert_eq!(further["held_out"], metrics["held_out"]);

    // Killed once it has a state, on another number of threads.
    let killed = folder.path().join("killed");
    let mut child = start(folder.path(), &killed, &SETTINGS, &["--threads", "1"]);
    let has_state = || {
        let mut states = fs::read_dir(killed.join("checkpoints"))
            .into_iter()
            .flatten();
        states.any(|state| {
            let name = state.unwrap().file_name();
            name.to_str().unwrap().starts_with("step-")
        })
    };
    while child.try_wait().unwrap().is_none() {
        if has_state() {
            child.kill().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(!killed.join("manifest.json").exists(), "killed too late");
    let again = error(start(folder.path(), &killed, &SETTINGS, &[]));
    assert!(again.contains("--resume"), "{again}");
    success(start(folder.path(), &killed, &SETTINGS, &["--resume"]));
    for ((name, expected), (_, found)) in results(&whole).iter().zip(results(&killed)) {
        assert!(*expected == found, "{name} differs");
    }
    // A complete run is left as it is; with other settings or data the folder is refused.
    let manifest = fs::read(killed.join("manifest.json")).unwrap();
    success(start(folder.path(), &killed, &SETTINGS, &["--resume"]));
    assert_eq!(fs::read(killed.join("manifest.json")).unwrap(), manifest);
    let other = error(start(folder.path(), &killed, &SETTINGS[..7], &["--resume"]));
    assert!(other.contains("other settings"), "{other}");
    let labels = fs::read_to_string(folder.path().join("labels.jsonl")).unwrap();
    let labels = labels.replace("letters", "others");
    fs::write(folder.path().join("labels.jsonl"), labels).unwrap();
    let other = error(start(folder.path(), &killed, &SETTINGS, &["--resume"]));
    assert!(other.contains("# labels = "), "{other}");
}

#[test]
fn wrong_input_says_what_and_where_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write_data(folder.path());
    let out = folder.path().join("out");
    let file = folder.path().join("settings.toml");
    fs::write(&file, "[train]\ngama = 1.0\n").unwrap();
    let file = ["--config", file.to_str().unwrap()];
    let init = base();
    let init = ["--init", init.to_str().unwrap()];
    let sized = [init[0], init[1], "--set", "model.hidden_size=8"];
    let cases: [(&[&str], &[&str], &str); 9] = [
        (&["train.gama=1"], &[], "did you mean `gamma`"),
        (&["model.layers=1"], &[], "unknown field `layers`"),
        (&["train.class_weights=even"], &[], "`balanced` or `none`"),
        (&["train.gamma=-1"], &[], "train.gamma = -1"),
        (&["held_out_share=1"], &[], "held_out_share = 1"),
        (&["checkpoint_every=0"], &[], "checkpoint_every = 0"),
        (&[], &file, "settings.toml"),
        (&[], &init, "model_type = qwen3"),
        (&[], &sized, "no effect with --init"),
    ];
    for (settings, more, message) in cases {
        let found = error(start(folder.path(), &out, settings, more));
        assert!(found.contains(message), "`{message}` is not in: {found}");
    }
    let spoil = |name: &str, from: &str, to: &str, message: &str| {
        let path = folder.path().join(name);
        let good = fs::read_to_string(&path).unwrap();
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let found = error(start(folder.path(), &out, &SETTINGS, &[]));
        assert!(found.contains(message), "`{message}` is not in: {found}");
        fs::write(&path, good).unwrap();
    };
    spoil(
        "traces.jsonl",
        "\"think\"",
        "\"thought\"",
        "traces.jsonl:1: missing field `think`",
    );
    spoil(
        "labels.jsonl",
        "\"ranges\"",
        "\"range\"",
        "labels.jsonl:1: missing field `ranges`",
    );
    spoil(
        "labels.jsonl",
        "\"n_atoms\":16",
        "\"n_atoms\":17",
        "keep ranges of problem `t0` are for 17 atoms",
    );
    let long = format!("\"question\":\"{}", "why ".repeat(200));
    spoil("traces.jsonl", "\"question\":\"", &long, "trace `t0`");
    assert!(!out.exists());
}

#[test]
fn dry_run_prints_settings_that_can_be_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let settings = ["train.gamma=0.5", "train.class_weights=none"];
    let printed = success(start(folder.path(), &out, &settings, &["--dry-run"]));
    assert!(
        printed.contains("gamma = 0.5") && printed.contains("\"none\""),
        "{printed}"
    );
    let file = folder.path().join("settings.toml");
    fs::write(&file, &printed).unwrap();
    let more = ["--dry-run", "--config", file.to_str().unwrap()];
    assert_eq!(success(start(folder.path(), &out, &[], &more)), printed);
    assert!(!out.exists());
}
