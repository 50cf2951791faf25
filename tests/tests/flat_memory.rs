//! Memory of long runs: what a step took is given back. The file has one test, so that nothing else runs in
//! its process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use burn::module::Module;
use burn::tensor::Device;
use extracot_core::sft::SftExample;
use extracot_core::{Prompt, RolloutEngine, SamplingParams, Seed};
use extracot_models::init::randomize;
use extracot_models::{Decoder, DecoderConfig, DecoderSize, LocalEngine, StopRule};
use extracot_train::sft_trainer::ExampleDraw;
use extracot_train::{SftConfig, UpdateConfig, train_sft};

const VOCAB: usize = 200;
/// Until the allocator has seen every size.
const N_WARM: usize = 1000;
const N_STEPS: usize = 500;
/// Stretches of so many steps. What leaks grows in each of them, or much in one; a heap that finds its size, as
/// those of threads do when chance gives two large pieces of work to one of them, grows a little in some.
const N_STRETCHES: usize = 3;

/// Resident memory of the process, in kilobytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse().unwrap()
}

/// Sequences of 8 to 39 tokens.
fn draw(of: ExampleDraw) -> SftExample {
    let n = 8 + (of.seed.0 % 32) as usize;
    let ids = (0..n).map(|i| ((i * i + of.index) % VOCAB) as u32);
    SftExample {
        problem_id: String::new(),
        control: None,
        level: None,
        prompt_ids: vec![1, 2, 3],
        completion_ids: ids.collect(),
    }
}

/// Memory before and after each stretch.
fn assert_flat(what: &str, kilobytes: &[usize]) {
    assert_eq!(kilobytes.len(), N_STRETCHES + 1);
    let growths = kilobytes
        .windows(2)
        .map(|pair| pair[1] as f64 / pair[0] as f64 - 1.0);
    let least = growths.fold(f64::INFINITY, f64::min);
    assert!(least < 0.01, "{what}: {kilobytes:?} kB");
    let all = kilobytes[N_STRETCHES] as f64 / kilobytes[0] as f64 - 1.0;
    assert!(all < 0.1, "{what}: {kilobytes:?} kB");
}

#[test]
fn five_hundred_steps_of_training_and_of_decoding_take_no_more_memory() {
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
    let device = Device::flex();
    let autodiff = device.clone().autodiff();
    let config = DecoderConfig::qwen3(size, VOCAB);
    let model = randomize(Decoder::new(&config, &autodiff), 1.0, 0.1, Seed(1));
    let config = SftConfig {
        n_steps: N_WARM + N_STRETCHES * N_STEPS,
        batch_size: 8,
        n_shards: 2,
        ema_decay: 0.9,
        logits_chunk: None,
        row_tokens: None,
        update: UpdateConfig {
            learning_rate: 1e-3,
            warmup_steps: 5,
            final_rate_share: 0.1,
            weight_decay: 0.01,
            decay_embeddings: true,
            beta_1: 0.9,
            beta_2: 0.98,
            clip_norm: 1.0,
        },
    };
    let mut training = vec![];
    let model = train_sft(
        model,
        &config,
        &autodiff,
        Seed(2),
        |of| Ok(draw(of)),
        |step, _| {
            if step + 1 >= N_WARM && (step + 1 - N_WARM).is_multiple_of(N_STEPS) {
                training.push(resident());
            }
            Ok(())
        },
    )
    .unwrap();
    assert_flat("training", &training);

    // Nothing ends a sample: every call decodes 50 steps.
    let engine = LocalEngine {
        model: &model.valid(),
        device: &device,
        stop: StopRule::at(VOCAB as u32),
        batch_rows: 8,
        n_workers: 2,
        progress: &|_, _| {},
    };
    let prompts: Vec<Prompt> = (0..8)
        .map(|idx| Prompt {
            id: idx.to_string(),
            token_ids: (0..5 + idx).collect(),
        })
        .collect();
    let decode = |round: u64| {
        let params = SamplingParams::at(1.0, 2, 50);
        engine.rollout(&prompts, &params, Seed(round)).unwrap();
    };
    (0..6).for_each(decode);
    let mut decoding = vec![resident()];
    for stretch in 0..N_STRETCHES as u64 {
        (0..10).for_each(|call| decode(6 + 10 * stretch + call));
        decoding.push(resident());
    }
    assert_flat("decoding", &decoding);
}
