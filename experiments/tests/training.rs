//! `extracot sft` and `extracot chrpo` as programs on the shipped base model: killed at any instant, stopped,
//! on damaged states, replayed, audited, with adapters.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use experiments::word_problems::{Split, problem_set};
use extracot_core::Seed;
use rand::RngExt;
use serde_json::{Value, json};

fn base() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_extracot"));
    command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn success(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    error
}

fn failure(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    error
}

/// What all tests start from: examples, problems with budgets, and a model that was fine-tuned a little.
struct Ground {
    _folder: tempfile::TempDir,
    data: String,
    problems: String,
    tuned: String,
}

fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let mut problems = problem_set(Split::Train, 180, Seed(1)).unwrap();
        // Short ones, whose answers end within the few tokens that the tests allow.
        problems.retain(|item| item.problem.difficulty == Some(1));
        problems.truncate(24);
        let (mut traces, mut budgets) = (String::new(), String::new());
        for item in &problems {
            let problem = &item.problem;
            let (id, question, answer) = (&problem.id, &problem.question, &problem.answer);
            let (think, visible) = (&item.think, &item.visible);
            traces += &format!(
                "{}\n",
                json!({"id": id, "question": question, "answer": answer, "think": think, "visible": visible})
            );
            budgets += &format!(
                "{}\n",
                json!({"id": id, "question": question, "answer": answer, "budget": 40, "outcomes": [],
                    "reference_tokens": 60, "reference_source": "level100"})
            );
        }
        fs::write(path("traces.jsonl"), traces).unwrap();
        fs::write(path("problems.jsonl"), &budgets).unwrap();
        let (out, base) = (path("data"), base());
        let base = base.to_str().unwrap();
        success(&run(&[
            "build-sft", "--quiet", "--in", &path("traces.jsonl"), "--scorer", "heuristic", "--tokenizer",
            base, "--out", &out, "--budgets", &path("problems.jsonl"), "--levels", "40,100",
        ]));
        let (data, tuned) = (format!("{out}/sft.jsonl"), path("tuned"));
        success(&run(&[
            "sft", "--quiet", "--model", base, "--data", &data, "--out", &tuned, "--set",
            "train.n_steps=60", "--set", "train.batch_size=8", "--set", "train.update.learning_rate=2e-3",
            "--set", "held_out_share=0", "--set", "fresh_control_tokens=true",
        ]));
        Ground {
            data,
            problems: path("problems.jsonl"),
            tuned,
            _folder: folder,
        }
    })
}

/// A command that trains, with the files that must be the same.
struct Case {
    arguments: Vec<String>,
    files: &'static [&'static str],
}

impl Case {
    fn sft() -> Self {
        let base = base();
        let settings = [
            "train.n_steps=10",
            "train.batch_size=4",
            "train.update.learning_rate=1e-3",
            "train.ema_decay=0.5",
            "held_out_share=0.2",
            "held_out_every=3",
            "checkpoint_every=1",
            "fresh_control_tokens=true",
            "stages=[{from=0.0,weights=[0,1,0,0,2],policy_share=0.2}]",
        ];
        let arguments = [
            "sft",
            "--model",
            base.to_str().unwrap(),
            "--data",
            &ground().data,
        ];
        Self {
            arguments: with_settings(&arguments, &settings),
            files: &[
                "model.safetensors",
                "tokenizer.json",
                "config.json",
                "events.jsonl",
                "metrics.json",
            ],
        }
    }

    fn chrpo() -> Self {
        let settings = [
            "chrpo.policy.n_steps=6",
            "chrpo.policy.prompts_per_step=3",
            "chrpo.policy.group_size=4",
            "chrpo.policy.max_new_tokens=60",
            "chrpo.policy.extra_rounds=1",
            "chrpo.policy.update.learning_rate=1e-3",
            "validation_share=0.2",
            "validation_every=2",
            "checkpoint_every=1",
        ];
        let arguments = [
            "chrpo",
            "--model",
            &ground().tuned,
            "--problems",
            &ground().problems,
        ];
        Self {
            arguments: with_settings(&arguments, &settings),
            files: &[
                "model.safetensors",
                "tokenizer.json",
                "config.json",
                "events.jsonl",
                "rollouts.jsonl",
                "metrics.json",
            ],
        }
    }

    fn start(&self, out: &Path, more: &[&str]) -> Child {
        let mut arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        arguments.extend(["--out", out.to_str().unwrap()]);
        arguments.extend(more);
        command(&arguments).spawn().unwrap()
    }

    fn finish(&self, out: &Path, more: &[&str]) -> Output {
        self.start(out, more).wait_with_output().unwrap()
    }

    fn results(&self, out: &Path) -> Vec<(&'static str, Vec<u8>)> {
        let read = |name: &&'static str| (*name, fs::read(out.join(name)).unwrap());
        self.files.iter().map(read).collect()
    }

    fn assert_same(&self, expected: &Path, found: &Path) {
        for ((name, expected), (_, found)) in self.results(expected).iter().zip(self.results(found))
        {
            assert!(*expected == found, "{name} differs");
        }
        assert!(found.join("manifest.json").is_file() && !found.join("checkpoints").exists());
    }
}

fn with_settings(arguments: &[&str], settings: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
    for setting in settings {
        all.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    all
}

/// Kills the run 20 times, goes on each time, and compares the end with a run that was never killed.
fn survives_kills(case: &Case, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let started = Instant::now();
    success(&case.finish(&whole, &["--quiet"]));
    let duration = started.elapsed();
    let mut rng = Seed(seed).rng();
    let (mut n_kills, mut n_in_saves, mut round) = (0, 0, 0);
    while n_kills < 20 {
        round += 1;
        let killed = folder.path().join(format!("killed{round}"));
        loop {
            // Another number of threads each time. The first start has no run to go on with.
            let threads = ["1", "2"][rng.random_range(0..2)];
            let mut more = vec!["--quiet", "--threads", threads];
            more.extend(killed.join("config.toml").exists().then_some("--resume"));
            let mut child = case.start(&killed, &more);
            // Every third kill waits for a save to have begun.
            let in_save = n_kills % 3 == 2;
            let instant = duration.mul_f64(rng.random_range(0.1..0.9));
            let started = Instant::now();
            let partial = killed.join("checkpoints/partial");
            let is_time = || match in_save {
                true => partial.exists(),
                false => started.elapsed() >= instant,
            };
            while child.try_wait().unwrap().is_none() && !is_time() {
                sleep(Duration::from_micros(200));
            }
            if child.try_wait().unwrap().is_some() {
                success(&child.wait_with_output().unwrap());
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            n_kills += 1;
            n_in_saves += usize::from(partial.exists());
            if n_kills == 20 {
                success(&case.finish(&killed, &["--quiet", "--resume"]));
                break;
            }
        }
        case.assert_same(&whole, &killed);
    }
    assert!(n_in_saves > 0, "no kill fell into a save");
}

#[test]
fn sft_survives_twenty_kills() {
    survives_kills(&Case::sft(), 1);
}

#[test]
fn chrpo_survives_twenty_kills() {
    survives_kills(&Case::chrpo(), 2);
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_state_and_says_how_to_go_on() {
    for case in [Case::sft(), Case::chrpo()] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
        success(&case.finish(&whole, &["--quiet"]));
        let child = case.start(&stopped, &["--quiet"]);
        while !stopped.join("checkpoints/step-00000001").exists() {
            sleep(Duration::from_millis(1));
        }
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        let said = failure(&child.wait_with_output().unwrap());
        assert!(
            said.contains("stopping behind this step of training"),
            "{said}"
        );
        assert!(said.contains("stopped after step"), "{said}");
        let hint = said.lines().last().unwrap();
        assert!(
            hint.trim_start().starts_with("extracot ") && hint.ends_with("--resume"),
            "{said}"
        );
        success(&case.finish(&stopped, &["--quiet", "--resume"]));
        case.assert_same(&whole, &stopped);
    }
}

#[test]
fn a_damaged_state_gives_way_to_the_one_before_and_that_is_said() {
    let case = Case::sft();
    let folder = tempfile::tempdir().unwrap();
    let (whole, damaged) = (folder.path().join("whole"), folder.path().join("damaged"));
    success(&case.finish(&whole, &["--quiet"]));
    let mut child = case.start(&damaged, &["--quiet"]);
    let state = |n: usize| damaged.join(format!("checkpoints/step-{n:08}"));
    let newest = || (1..=10).rev().find(|n| state(*n).exists());
    while newest() < Some(3) {
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let path = state(newest().unwrap()).join("optimizer.bpk");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&path, bytes).unwrap();
    let said = success(&case.finish(&damaged, &["--resume"]));
    let name = path
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap();
    assert!(
        said.contains(name) && said.contains("optimizer.bpk is not what was written"),
        "{said}"
    );
    assert!(said.contains("goes on behind step"), "{said}");
    case.assert_same(&whole, &damaged);
}

#[test]
fn recorded_rollouts_and_the_audit_agree_with_the_run() {
    let case = Case::chrpo();
    let folder = tempfile::tempdir().unwrap();
    let (run_folder, again) = (folder.path().join("run"), folder.path().join("again"));
    success(&case.finish(&run_folder, &["--quiet"]));
    let said = success(&run(&["audit", run_folder.to_str().unwrap()]));
    assert!(said.contains("agree to the bit"), "{said}");
    // Not every group is constant, so something was learned.
    let events = fs::read_to_string(run_folder.join("events.jsonl")).unwrap();
    let constant = events.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        row["metrics"]["group/constant_share"].as_f64().unwrap()
    });
    assert!(constant.fold(1.0, f64::min) < 1.0);
    let weights = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert!(weights(&run_folder) != weights(Path::new(&ground().tuned)));

    let rollouts = run_folder.join("rollouts.jsonl");
    let replay = ["--quiet", "--replay", rollouts.to_str().unwrap()];
    success(&case.finish(&again, &replay));
    assert!(weights(&again) == weights(&run_folder));
    // The rows of one group are missing.
    let text = fs::read_to_string(&rollouts).unwrap();
    let cut: String = text.split_inclusive('\n').skip(4).collect();
    let cut_path = folder.path().join("cut.jsonl");
    fs::write(&cut_path, cut).unwrap();
    let less = folder.path().join("less");
    let said = failure(&case.finish(&less, &["--quiet", "--replay", cut_path.to_str().unwrap()]));
    assert!(
        said.contains("4 samples are wanted") && said.contains("0 are recorded"),
        "{said}"
    );
}

#[test]
fn adapters_are_saved_beside_the_merged_model() {
    for mut case in [Case::sft(), Case::chrpo()] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
        let lora = "lora={rank=4,alpha=8.0,trains_embeddings=true}";
        case.arguments.extend(["--set".to_owned(), lora.to_owned()]);
        success(&case.finish(&whole, &["--quiet"]));
        for name in [
            "adapter/adapter_model.safetensors",
            "adapter/adapter_config.json",
        ] {
            assert!(whole.join(name).is_file(), "{name}");
        }
        let mut child = case.start(&killed, &["--quiet"]);
        while !killed.join("checkpoints/step-00000002").exists() {
            sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        success(&case.finish(&killed, &["--quiet", "--resume"]));
        case.assert_same(&whole, &killed);
        let name = "adapter/adapter_model.safetensors";
        assert!(fs::read(whole.join(name)).unwrap() == fs::read(killed.join(name)).unwrap());
    }
}

#[test]
fn wrong_input_says_what_and_where_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let write = |name: &str, text: &str| {
        fs::write(path(name), text).unwrap();
        path(name)
    };
    let data = fs::read_to_string(&ground().data).unwrap();
    let first = data.lines().next().unwrap();
    let mut row: Value = serde_json::from_str(first).unwrap();
    row["prompt_ids"] = json!([1, 2, 3]);
    let other_tokenizer = write("other.jsonl", &format!("{first}\n{row}\n"));
    row["prompt_ids"] = json!([90_000]);
    let large = write("large.jsonl", &row.to_string());
    let mut row: Value = serde_json::from_str(first).unwrap();
    row["completion_ids"] = json!(vec![5; 2000]);
    let long = write("long.jsonl", &row.to_string());
    let turns = write("turns.jsonl", "{\"instruction\":\"a\",\"output\":\"b\"}\n");
    let base = base();
    let base = base.to_str().unwrap();
    let out = path("out");
    let sft = |data: &str, settings: &[&str]| {
        let arguments = [
            "sft", "--quiet", "--model", base, "--data", data, "--out", &out,
        ];
        let arguments = with_settings(&arguments, settings);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        failure(&run(&arguments))
    };
    let only = "held_out_share=0";
    let stage = "stages=[{from=0.0,weights=[1,0,0,0,0],policy_share=0.0}]";
    for (data, settings, message) in [
        (&other_tokenizer, &[only][..], "other.jsonl:2: <COMP_"),
        (&large, &[only], "large.jsonl:1: token id 90000"),
        (&long, &[only], "long.jsonl:1: an example of"),
        (&turns, &[only], "build-sft --from"),
        (&ground().data, &[stage], "asks for <COMP_20>"),
        (
            &ground().data,
            &["train.n_step=1"],
            "did you mean `n_steps`",
        ),
        (&ground().data, &["train.n_shards=0"], "train.n_shards = 0"),
        (&ground().data, &["keep_last=0"], "keep_last = 0"),
        (&ground().data, &["held_out_share=1"], "held_out_share = 1"),
        (
            &ground().data,
            &["lora={rank=0,alpha=1.0,trains_embeddings=false}"],
            "rank",
        ),
    ] {
        let found = sft(data, settings);
        assert!(found.contains(message), "`{message}` is not in: {found}");
    }
    let problems = fs::read_to_string(&ground().problems).unwrap();
    let first = problems.lines().next().unwrap();
    let twice = write("twice.jsonl", &format!("{first}\n{first}\n"));
    let few = write("few.jsonl", &format!("{first}\n"));
    let bare = write(
        "bare.jsonl",
        "{\"id\":\"a\",\"question\":\"b\",\"answer\":\"c\"}\n",
    );
    let replay = write(
        "replay.jsonl",
        "{\"prompt_id\":\"a\",\"sample_idx\":1,\"token_ids\":[1],\"logprobs\":[-1.0],\"finish\":\"end_token\"}\n",
    );
    let rollout = |ids: &[u32]| {
        let logprobs = vec![-1.0; ids.len()];
        json!({"prompt_id": "a", "sample_idx": 0, "token_ids": ids, "logprobs": logprobs, "finish": "end_token"})
    };
    let large_id = write("large_id.jsonl", &rollout(&[90_000]).to_string());
    let long_rollout = write("long_rollout.jsonl", &rollout(&[1, 2, 3]).to_string());
    let few_steps = "chrpo.policy.prompts_per_step=2";
    let alone = "validation_share=0";
    let chrpo = |problems: &str, settings: &[&str], more: &[&str]| {
        let model = &ground().tuned;
        let arguments = [
            "chrpo",
            "--quiet",
            "--model",
            model,
            "--problems",
            problems,
            "--out",
            &out,
        ];
        let arguments = with_settings(&arguments, settings);
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(more);
        failure(&run(&arguments))
    };
    let short = "chrpo.policy.max_new_tokens=60";
    for (problems, settings, more, message) in [
        (&twice, &[short][..], &[][..], "stands twice"),
        (
            &few,
            &[short],
            &[],
            "gives 1 problems to train on, of which a step takes 16",
        ),
        (&bare, &[short], &[], "extracot budgets"),
        (
            &ground().problems,
            &["arm=PPO"],
            &[],
            "known are full CHRPO",
        ),
        (
            &ground().problems,
            &["chrpo.policy.group_size=1"],
            &[],
            "at least 2",
        ),
        (&ground().problems, &["reward.tau=0"], &[], "tau"),
        (
            &ground().problems,
            &[short, few_steps, alone],
            &["--replay", &replay],
            "0 is next in its group",
        ),
        (
            &ground().problems,
            &[short, few_steps, alone],
            &["--replay", &large_id],
            "large_id.jsonl:1: token id 90000",
        ),
        (
            &ground().problems,
            &["chrpo.policy.max_new_tokens=2", few_steps, alone],
            &["--replay", &long_rollout],
            "long_rollout.jsonl:1: 3 tokens",
        ),
    ] {
        let found = chrpo(problems, settings, more);
        assert!(found.contains(message), "`{message}` is not in: {found}");
    }
    assert!(!Path::new(&out).exists());
}
