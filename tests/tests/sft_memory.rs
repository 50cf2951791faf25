//! Peak memory of fine-tuning with the vocabulary of Qwen3. The process runs nothing else, so its peak is
//! that of the run:
//!
//! ```sh
//! cargo test --workspace --test sft_memory -- --ignored --nocapture
//! ```
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use std::num::NonZeroUsize;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use extracot_core::Seed;
use extracot_core::sft::SftExample;
use extracot_models::init::randomize;
use extracot_models::{Decoder, DecoderConfig, DecoderSize};
use extracot_train::sft_trainer::ExampleDraw;
use extracot_train::{SftConfig, UpdateConfig, train_sft};

const VOCAB: usize = 151_936;
const N_ROWS: usize = 4;
const N_TOKENS: usize = 512;

/// Largest resident memory of the process so far, in bytes.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

fn example(seed: Seed) -> SftExample {
    let ids = |n: usize, salt: u64| {
        let id = |i| (seed.derive("id", i + salt).0 % VOCAB as u64) as u32;
        (0..n as u64).map(id).collect()
    };
    SftExample {
        problem_id: String::new(),
        control: None,
        level: None,
        prompt_ids: ids(1, 1000),
        completion_ids: ids(N_TOKENS - 1, 0),
    }
}

#[test]
#[ignore = "measures a process of its own"]
fn logits_by_chunks_stay_within_four_times_the_weights() {
    let size = DecoderSize {
        hidden_size: 64,
        intermediate_size: 128,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 16,
        max_position_embeddings: 1024,
        rope_theta: 10_000.0,
    };
    let config = DecoderConfig::qwen3(size, VOCAB);
    let device = Device::flex().autodiff();
    let model = randomize(Decoder::new(&config, &device), 1.0, 0.1, Seed(1));
    let n_weight_bytes = 4 * model.num_params();
    let config = SftConfig {
        n_steps: 2,
        batch_size: N_ROWS,
        n_shards: 1,
        ema_decay: 0.0,
        logits_chunk: NonZeroUsize::new(64),
        row_tokens: None,
        update: UpdateConfig {
            learning_rate: 1e-3,
            warmup_steps: 0,
            final_rate_share: 1.0,
            weight_decay: 0.01,
            decay_embeddings: true,
            beta_1: 0.9,
            beta_2: 0.98,
            clip_norm: 1.0,
        },
    };
    let before = peak_bytes();
    let start = Instant::now();
    let draw = |draw: ExampleDraw| Ok(example(draw.seed));
    let model = train_sft(model, &config, &device, Seed(2), draw, |_, stats| {
        assert!(stats.loss > 0.0);
        Ok(())
    });
    let seconds = start.elapsed().as_secs_f64() / config.n_steps as f64;
    let megabytes = |bytes: usize| bytes as f64 / 1e6;
    eprintln!(
        "weights {:.0} MB, peak {:.0} MB ({:.0} MB before training), {seconds:.1} s per step of {} tokens; \
         logits at once would be {:.0} MB for every copy",
        megabytes(n_weight_bytes),
        megabytes(peak_bytes()),
        megabytes(before),
        N_ROWS * N_TOKENS,
        megabytes(4 * N_ROWS * (N_TOKENS - 1) * VOCAB),
    );
    assert!(peak_bytes() < 4 * n_weight_bytes + 300_000_000);
    drop(model.unwrap());
}
