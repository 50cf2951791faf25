//! Weights of a rollout in large pages. The file has one test, so that nothing else runs in its process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]

use burn::tensor::Device;
use extracot_core::{Prompt, RolloutEngine, SamplingParams, Seed};
use extracot_models::init::randomize;
use extracot_models::{Decoder, DecoderConfig, DecoderSize, LocalEngine, StopRule};

const VOCAB: usize = 200;

/// MiB of the process that lie in large pages.
fn in_large_pages() -> usize {
    let maps = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = maps.lines().find(|line| line.starts_with("AnonHugePages:"));
    let kib: usize = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib >> 10
}

/// Why this process has none to get, if so.
fn obstacle() -> Option<String> {
    let folder = std::path::Path::new("/sys/kernel/mm/transparent_hugepage");
    if !folder.exists() {
        return Some(format!("there is no {}", folder.display()));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    if status.lines().any(|line| line == "THP_enabled:\t0") {
        return Some("this process may have none".to_owned());
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|number| number.parse::<usize>().ok());
    let version = (numbers.next(), numbers.next());
    (version < (Some(6), Some(1))).then(|| format!("Linux {release}"))
}

/// Whether the system gives them to everybody unasked.
fn are_everywhere() -> bool {
    let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    setting.is_ok_and(|setting| setting.contains("[always]"))
}

#[test]
fn weights_of_a_long_rollout_lie_in_large_pages_and_say_the_same() {
    let size = DecoderSize {
        hidden_size: 512,
        intermediate_size: 1536,
        num_hidden_layers: 2,
        num_attention_heads: 8,
        num_key_value_heads: 4,
        head_dim: 64,
        max_position_embeddings: 64,
        rope_theta: 10_000.0,
    };
    let device = Device::flex();
    // 24 MiB in blocks and the embeddings.
    let decoder = Decoder::new(&DecoderConfig::qwen3(size, VOCAB), &device);
    let model = randomize(decoder, 1.0, 0.1, Seed(1));
    let engine = LocalEngine {
        model: &model,
        device: &device,
        stop: StopRule::at(VOCAB as u32),
        batch_rows: 1,
        n_workers: 1,
        progress: &|_, _| {},
    };
    let prompts: Vec<Prompt> = (0..64)
        .map(|idx| Prompt {
            id: idx.to_string(),
            token_ids: vec![idx, 1, 2],
        })
        .collect();
    let params = SamplingParams::at(1.0, 1, 8);
    // 504 steps, then 512.
    let few = engine.rollout(&prompts[..63], &params, Seed(2)).unwrap();
    let before = in_large_pages();
    let many = engine.rollout(&prompts, &params, Seed(2)).unwrap();
    let after = in_large_pages();
    println!("{before} MiB in large pages, then {after}");
    assert_eq!(few, many[..63]);
    if let Some(obstacle) = obstacle() {
        println!("NOT CHECKED, {obstacle}: where the weights lie");
        return;
    }
    assert!(after >= 16, "{before} MiB, then {after}");
    match are_everywhere() {
        true => println!("NOT CHECKED, all memory is there: that a short rollout moves nothing"),
        false => assert!(before < 16, "{before} MiB for a short rollout"),
    }
}
