//! Real files that are too large to be part of the project: ignored unless asked for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Instant;

use burn::tensor::Device;
use common::logits;
use extracot_core::{Prompt, RolloutEngine, SamplingParams, Seed, Tokenizer};
use extracot_models::{HfTokenizer, LocalEngine, PolicyCheckpoint, StopRule};
use extracot_tests::named_by;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

/// What transformers computed for one prompt.
#[derive(Deserialize)]
struct Case {
    prompt: String,
    input_ids: Vec<u32>,
    top5_ids: Vec<usize>,
    top5_logits: Vec<f32>,
    greedy_24: Vec<u32>,
    greedy_text: String,
}

/// `EXTRACOT_SMOLLM2` names a folder with SmolLM2-135M in Hugging Face layout and `golden.json`: for
/// each prompt its ids, the five largest logits after it, and 24 greedy tokens.
#[test]
#[ignore = "needs EXTRACOT_SMOLLM2"]
fn smollm2_computes_what_transformers_computes() {
    let folder = named_by("EXTRACOT_SMOLLM2");
    let golden = std::fs::read_to_string(folder.join("golden.json")).unwrap();
    let golden: Golden = serde_json::from_str(&golden).unwrap();
    let device = Device::flex();
    let start = Instant::now();
    let checkpoint = PolicyCheckpoint::load(&folder, &device).unwrap();
    println!("loaded in {:.2} s", start.elapsed().as_secs_f64());

    let engine = LocalEngine {
        model: &checkpoint.model,
        device: &device,
        stop: StopRule::default(),
        batch_rows: 64,
        n_workers: 1,
        progress: &|_, _| {},
    };
    // All prompts in one ragged batch.
    let prompts: Vec<Prompt> = golden
        .cases
        .iter()
        .map(|case| Prompt {
            id: case.prompt.clone(),
            token_ids: checkpoint.tokenizer.encode(&case.prompt),
        })
        .collect();
    let params = SamplingParams::greedy(24);
    let groups = engine.rollout(&prompts, &params, Seed(1)).unwrap();
    for ((case, prompt), group) in golden.cases.iter().zip(&prompts).zip(&groups) {
        assert_eq!(prompt.token_ids, case.input_ids, "{}", case.prompt);
        let ids: Vec<i32> = case.input_ids.iter().map(|id| *id as i32).collect();
        let found = logits(&checkpoint.model, &ids);
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by(|a, b| found[*b].total_cmp(&found[*a]));
        assert_eq!(order[..5], case.top5_ids, "{}", case.prompt);
        for (id, expected) in case.top5_ids.iter().zip(&case.top5_logits) {
            let moved = (found[*id] - expected).abs();
            assert!(moved < 1e-3, "{}: {moved}", case.prompt);
        }
        let ids = &group.rollouts[0].token_ids;
        assert_eq!(ids, &case.greedy_24, "{}", case.prompt);
        assert_eq!(checkpoint.tokenizer.decode(ids), case.greedy_text);
    }
}

#[derive(Deserialize)]
struct Vector {
    text: String,
    ids: Vec<u32>,
    decoded: String,
}

#[test]
#[ignore = "needs EXTRACOT_SHARED"]
fn the_tokenizer_of_qwen3_reads_and_writes_what_transformers_does() {
    let shared = named_by("EXTRACOT_SHARED");
    let vectors = shared.join("goldens/qwen3_tokenizer_vectors.jsonl");
    let folder = shared.join("data/qwen3_tokenizer");
    let tokenizer = HfTokenizer::load(&folder).unwrap();
    let vectors = std::fs::read_to_string(vectors).unwrap();
    let mut n_vectors = 0;
    for line in vectors.lines() {
        let vector: Vector = serde_json::from_str(line).unwrap();
        assert_eq!(tokenizer.encode(&vector.text), vector.ids, "{line}");
        assert_eq!(tokenizer.decode(&vector.ids), vector.decoded, "{line}");
        n_vectors += 1;
    }
    assert_eq!(n_vectors, 148);
}
