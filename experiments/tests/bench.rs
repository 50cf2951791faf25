//! `extracot bench` on a tiny decoder: its lines, the weights and ids it hands to other programs, wrong input.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const TINY: &str = "--hidden 16 --layers 1 --heads 2 --kv-heads 1 --head-dim 8 --ffn 32 --vocab 40";
const WORK: &str = "--train-batch 3 --train-tokens 5 --prefill-tokens 6 --decode-batches 2,5 --new-tokens 4 \
                    --n-workers 2 --n-shards 2 --repeats 1 --idle-seconds 0 --threads 1";

fn bench(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_extracot"))
        .arg("bench")
        .args(arguments.split_whitespace())
        .output()
        .unwrap()
}

fn lines(arguments: &str) -> Vec<Value> {
    let output = bench(arguments);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_part_has_its_line_between_the_machine_and_the_memory() {
    let parts = "--preset smoke --parts verifier,decoder,chrpo-step";
    let lines = lines(&format!("{parts} {TINY} {WORK}"));
    let names: Vec<&str> = lines
        .iter()
        .map(|line| line["bench"].as_str().unwrap())
        .collect();
    let want = "host verifier_task verifier_latex train_step prefill decode_b2 decode_b5 \
                chrpo_rollout chrpo_verdict chrpo_logprobs chrpo_update chrpo_step end";
    assert_eq!(names.join(" "), want);
    // 3 x 5 fed tokens; 6 of the prefill; 2 x 4 and 5 x 4 new ones, whatever the workers.
    let sizes: Vec<u64> = lines[3..7]
        .iter()
        .map(|line| line["size"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes, [15, 6, 8, 20]);
    for line in &lines[1..lines.len() - 1] {
        let [best, median] = ["rate", "median_rate"].map(|key| line[key].as_f64().unwrap());
        assert!(0.0 < median && median <= best, "{line}");
        // Nobody looked.
        assert_eq!((&line["idle"], &line["threads"]), (&Value::Null, &1.into()));
    }
    // The step of the preset: 4 groups of 4 rollouts. Its parts are no more than all of it.
    let seconds = |place: usize| lines[place]["seconds"].as_f64().unwrap();
    assert!((7..11).map(seconds).sum::<f64>() <= seconds(11));
    assert_eq!(lines[8]["size"], 16);
    #[cfg(target_os = "linux")]
    assert!(lines[12]["peak_resident_mib"].as_f64().unwrap() > 1.0);
}

#[test]
fn saved_weights_give_the_same_values_for_the_same_ids() {
    let folder = tempfile::tempdir().unwrap();
    let [model, first, second] = ["model", "first.json", "second.json"].map(|name| {
        let path = folder.path().join(name);
        path.to_str().unwrap().to_owned()
    });
    let parity = format!("--parts decoder {WORK} --parity");
    assert!(lines(&format!("{parity} {first} {TINY} --save {model}")).is_empty());
    lines(&format!("{parity} {second} --model {model}"));
    let found = json(Path::new(&first));
    assert_eq!(found, json(Path::new(&second)));
    let n = |pointer: &str| found.pointer(pointer).unwrap().as_array().unwrap().len();
    // Rows of training have an id more than is fed.
    assert_eq!((n("/train/token_ids"), n("/train/token_ids/0")), (3, 6));
    assert_eq!((n("/prefill/token_ids"), n("/prefill/logits")), (6, 40));
    assert_eq!((n("/decode/prompts"), n("/decode/first_row")), (5, 4));
    // Weights that say nothing: about ln 40 = 3.69 nats a token.
    let loss = found.pointer("/train/loss").unwrap().as_f64().unwrap();
    assert!((3.4..4.0).contains(&loss), "{loss}");
}

#[test]
fn wrong_input_says_what_and_where() {
    for (arguments, code, want) in [
        ("--parts gpu", 2, "invalid value 'gpu'"),
        ("--repeats 0", 2, "invalid value '0'"),
        ("--decode-batches 8,0", 2, "invalid value '0'"),
        ("--model m --hidden 8", 2, "cannot be used with"),
        (
            "--parts decoder --model absent --idle-seconds 0",
            1,
            "--model absent",
        ),
        (
            "--parts chrpo-step --policy absent --idle-seconds 0",
            1,
            "absent",
        ),
        (
            "--parts atomizer --text absent --idle-seconds 0",
            1,
            "cannot read absent",
        ),
        (
            "--parts decoder --layers 0 --idle-seconds 0",
            1,
            "num_hidden_layers",
        ),
        (
            "--parts decoder --new-tokens 4096 --idle-seconds 0",
            1,
            "4096 positions",
        ),
        ("--idle-seconds=-1", 1, "--idle-seconds -1"),
        ("--require-idle --idle-seconds 0", 1, "nobody looked"),
        (
            "--parts verifier --save x",
            1,
            "no effect without the part Decoder",
        ),
        (
            "--preset huge --parts compressor --idle-seconds 0",
            1,
            "unknown preset `huge`",
        ),
        ("--device tpu", 1, "unknown device `tpu`"),
    ] {
        let output = bench(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
        assert!(text.contains(want), "{arguments}: {text}");
    }
}
