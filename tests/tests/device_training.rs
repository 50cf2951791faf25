//! Steps of the three trainings on the device that `EXTRACOT_TEST_DEVICE` names against the CPU. Without it
//! the device is the CPU itself: then both are the same bits.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test says how close it is")]

mod common;

use std::num::NonZeroUsize;

use burn::module::Module;
use burn::tensor::Device;
use common::device::{decoder, test_device, tolerance};
use extracot_core::sft::SftExample;
use extracot_core::{Prompt, RolloutEngine, SamplingParams, Seed};
use extracot_models::init::randomize;
use extracot_models::longformer::{Longformer, LongformerConfig, LongformerSize};
use extracot_models::scorer::ClassifierInput;
use extracot_models::{LocalEngine, StopRule};
use extracot_train::batch::{PolicyBatch, PolicyRow};
use extracot_train::compressor_trainer::{KeepExample, train_compressor};
use extracot_train::loss::ClipRange;
use extracot_train::objective::{Chrpo, Grpo, PolicyObjective};
use extracot_train::sft_trainer::ExampleDraw;
use extracot_train::update::{StepStats, Updater};
use extracot_train::{ClassWeights, CompressorConfig, SftConfig, UpdateConfig, train_sft};

const VOCAB: usize = 50;

fn update(learning_rate: f64) -> UpdateConfig {
    UpdateConfig {
        learning_rate,
        warmup_steps: 0,
        final_rate_share: 1.0,
        weight_decay: 0.01,
        decay_embeddings: true,
        beta_1: 0.9,
        beta_2: 0.98,
        clip_norm: 1.0,
    }
}

fn ids(n: usize, salt: usize) -> Vec<u32> {
    let id = |i: usize| 1 + (i * i * 7 + i * 13 + salt * 31) % (VOCAB - 1);
    (0..n).map(|i| id(i) as u32).collect()
}

/// Losses and gradient norms are those of the CPU: of these, to [`tolerance`] of their size.
fn assert_same_steps(what: &str, train: impl Fn(&Device) -> Vec<StepStats>) -> Vec<StepStats> {
    let (found, on_flex) = (train(&test_device()), train(&Device::flex()));
    assert_eq!(found.len(), on_flex.len());
    for (found, on_flex) in found.iter().zip(&on_flex) {
        let moved = |a: f64, b: f64| ((a - b).abs() / b.abs().max(1.0)) as f32;
        let loss = moved(found.loss, on_flex.loss);
        let norm = moved(found.grad_norm, on_flex.grad_norm);
        eprintln!(
            "{what}: loss {:.4} ({loss:.1e}), gradient {:.4} ({norm:.1e})",
            found.loss, found.grad_norm
        );
        assert!(loss <= tolerance(0.0) && norm <= 10.0 * tolerance(0.0));
    }
    found
}

#[test]
fn supervised_steps_have_the_losses_of_the_cpu_and_learn() {
    let train = |device: &Device| {
        let autodiff = device.clone().autodiff();
        // Two sequences in a row of every shard, the logits of some tokens at a time.
        let config = SftConfig {
            n_steps: 4,
            batch_size: 4,
            n_shards: 2,
            ema_decay: 0.5,
            logits_chunk: NonZeroUsize::new(19),
            row_tokens: NonZeroUsize::new(48),
            update: update(1e-2),
        };
        let mut steps = vec![];
        // The same four sequences at every step.
        let draw = |draw: ExampleDraw| {
            let salt = draw.index % 4;
            Ok(SftExample {
                problem_id: String::new(),
                control: None,
                level: None,
                prompt_ids: ids(5, 9),
                completion_ids: ids(19, salt),
            })
        };
        let report = |_, stats: &StepStats| {
            steps.push(*stats);
            Ok(())
        };
        let model = decoder(VOCAB, 1.0, &autodiff);
        train_sft(model, &config, &autodiff, Seed(2), draw, report).unwrap();
        steps
    };
    let steps = assert_same_steps("supervised", train);
    assert!(steps[3].loss < 0.8 * steps[0].loss);
}

#[test]
fn chrpo_updates_have_the_losses_and_gradients_of_the_cpu() {
    // Recorded once: what is compared is the update.
    let flex = Device::flex();
    let engine = LocalEngine {
        model: &decoder(VOCAB, 1.0, &flex),
        device: &flex,
        stop: StopRule::at(7),
        batch_rows: 64,
        n_workers: 1,
        progress: &|_, _| {},
    };
    let prompts = [4, 11].map(|n| Prompt {
        id: n.to_string(),
        token_ids: ids(n, n),
    });
    let params = SamplingParams::at(1.0, 3, 12);
    let groups = engine.rollout(&prompts, &params, Seed(3)).unwrap();
    let rows = groups.iter().flat_map(|group| {
        group.rollouts.iter().map(|rollout| PolicyRow {
            prompt_ids: group.prompt.token_ids.clone(),
            completion_ids: rollout.token_ids.clone(),
            old_logprobs: rollout.logprobs.clone(),
            advantage_main: [1.0, -0.2, -0.8][rollout.sample_idx],
            advantage_control: [0.5, -0.5, 0.0][rollout.sample_idx],
        })
    });
    let rows: Vec<PolicyRow> = rows.collect();
    let chrpo = Chrpo {
        main: Grpo {
            clip: ClipRange::try_new(0.2, 0.2).unwrap(),
            beta: 0.02,
        },
        alpha: 0.5,
    };
    let train = |device: &Device| {
        let autodiff = device.clone().autodiff();
        let mut shards = PolicyBatch::collate(&rows, 1);
        for shard in &mut shards {
            // A reference somewhere else, so that the divergence counts.
            let shifted = shard.old_logprobs().iter().map(|logprob| logprob - 0.3);
            shard.set_ref_logprobs(shifted.collect());
        }
        let mut model = decoder(VOCAB, 1.0, &autodiff);
        let mut updater = Updater::try_new(&update(1e-3), 4).unwrap();
        let mut steps = vec![];
        for _ in 0..4 {
            let (next, stats) = updater
                .step(model, &shards, &autodiff, |model, shard| {
                    let logprobs = shard.tokens.logprobs(model, 1.0, &autodiff);
                    chrpo.loss(shard, shard.tensors(&autodiff), logprobs)
                })
                .unwrap();
            model = next;
            steps.push(stats);
        }
        steps
    };
    let steps = assert_same_steps("CHRPO", train);
    assert!(steps[3].loss < steps[0].loss - 0.01);
}

#[test]
fn steps_of_the_compressor_have_the_losses_of_the_cpu_and_learn() {
    let size = LongformerSize {
        hidden_size: 24,
        intermediate_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 3,
        attention_window: 8,
        max_positions: 100,
    };
    // Every third token is worth keeping, by its id. Kernels are compiled for every new shape, so the shards
    // have the same.
    let example = |salt: usize| {
        let token_ids = ids(61, salt);
        let think = &token_ids[5..];
        KeepExample {
            keep: think.iter().map(|id| id % 3 == 0).collect(),
            input: ClassifierInput {
                n_question: 5,
                atom_of_token: (0..think.len()).collect(),
                token_ids,
            },
        }
    };
    let examples = [1, 2, 3, 4].map(example);
    let settings = CompressorConfig {
        n_steps: 4,
        batch_size: 4,
        n_shards: 2,
        gamma: 2.0,
        class_weights: ClassWeights::Balanced,
        update: update(1e-2),
    };
    let train = |device: &Device| {
        let autodiff = device.clone().autodiff();
        let config = LongformerConfig::longformer(size, VOCAB);
        let model = randomize(Longformer::new(&config, &autodiff), 1.0, 0.5, Seed(5));
        let mut steps = vec![];
        let report = |_, stats: &StepStats| {
            steps.push(*stats);
            Ok(())
        };
        train_compressor(
            model.train(),
            &examples,
            &settings,
            &autodiff,
            Seed(2),
            report,
        )
        .unwrap();
        steps
    };
    let steps = assert_same_steps("compressor", train);
    assert!(steps[3].loss < 0.8 * steps[0].loss);
}
