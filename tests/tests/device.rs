//! The networks on the device that `EXTRACOT_TEST_DEVICE` names against the CPU. Without it the device is the
//! CPU itself: then both are the same bits.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test says how close it is")]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::classifiers::largest_difference;
use common::device::{decoder, ints, is_cpu, test_device, test_device_name, tolerance};
use common::fixture;
use experiments::device::adapter_name;
use extracot_core::{Prompt, RolloutEngine, SamplingParams, Seed};
use extracot_kernels::{plain, rms_norm, silu_gate, target_logprobs};
use extracot_models::{
    CausalLm, ClassifierBatch, ClassifierCheckpoint, ClassifierRow, LocalEngine, PackedRows,
    RaggedBatch, StopRule, TokenClassifier,
};

const VOCAB: usize = 50;

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// `n` ids of a vocabulary of [`VOCAB`].
fn ids(n: usize, salt: usize) -> Vec<u32> {
    let id = |i: usize| 1 + (i * i * 7 + i * 13 + salt * 31) % (VOCAB - 1);
    (0..n).map(|i| id(i) as u32).collect()
}

/// What the device computes is what the CPU does, and not the same number everywhere.
fn assert_same(what: &str, compute: impl Fn(&Device) -> Vec<f32>) {
    let (found, on_flex) = (compute(&test_device()), compute(&Device::flex()));
    let difference = largest_difference(&found, &on_flex);
    eprintln!("{what}: {} numbers, {difference:.1e}", found.len());
    assert!(difference <= tolerance(0.0), "{what}: {difference:.1e}");
    let most = on_flex.iter().copied().fold(f32::MIN, f32::max);
    let least = on_flex.iter().copied().fold(f32::MAX, f32::min);
    assert!(most - least > 1.0, "{what}: from {least} to {most}");
}

#[test]
fn the_device_is_the_one_asked_for() {
    let (name, adapter) = (test_device_name(), adapter_name(&test_device()));
    eprintln!("device {name}, adapter {adapter:?}");
    match name.split_once(':') {
        _ if name == "flex" => assert_eq!(adapter, None),
        Some((_, "cpu")) => {
            let adapter = adapter.unwrap();
            let software = ["llvmpipe", "SwiftShader"];
            assert!(software.iter().any(|part| adapter.contains(part)));
        }
        _ => assert!(adapter.is_some()),
    }
}

#[test]
fn decoder_logits_are_those_of_the_cpu() {
    // More queries than a block of attention has; four heads share two of keys and values.
    let seq = 70;
    let all = |model: &dyn Fn() -> Tensor<3>, head: &dyn Fn(Tensor<2>) -> Tensor<2>| {
        values(head(model().flatten(0, 1)))
    };
    assert_same("padded on the right", |device| {
        let model = decoder(VOCAB, 1.0, device);
        let rows = [70, 9, 33].map(|n| [ids(n, n), vec![0; seq - n]].concat());
        let hidden = || model.hidden(ints(&rows, device));
        all(&hidden, &|hidden| model.head(hidden))
    });
    assert_same("packed rows", |device| {
        let model = decoder(VOCAB, 1.0, device);
        let rows = [ids(seq, 1), ids(seq, 2), ids(seq, 3)];
        let packed = PackedRows {
            segments: vec![vec![30, 25, 10], vec![66], vec![1, 69]],
        };
        let hidden = || model.hidden_packed(ints(&rows, device), &packed);
        all(&hidden, &|hidden| model.head(hidden))
    });
    assert_same("cached, padded on the left", |device| {
        let model = decoder(VOCAB, 1.0, device);
        let ragged = RaggedBatch {
            n_pads: vec![61, 0, 37],
        };
        let mut cache = model.new_cache(3, device);
        // The first piece leaves one slot of 96, so the cache grows on the way.
        let pieces = [95, 1, 1, 1];
        let logits = pieces.iter().enumerate().flat_map(|(step, n_new)| {
            let pieces = [0, 1, 2].map(|row| ids(*n_new, 5 * step + row));
            values(model.extend(ints(&pieces, device), &ragged, &mut cache))
        });
        logits.collect()
    });
}

#[test]
fn longformer_logits_are_those_of_the_cpu() {
    // Several blocks of both windows, global tokens, padding; and no global token at all.
    let tokens = [ids(90, 1), ids(61, 2), ids(20, 3)];
    for n_global in [5, 0] {
        assert_same("longformer", |device| {
            let model = ClassifierCheckpoint::load(&fixture("longformer"), device);
            let rows = tokens.iter().map(|token_ids| ClassifierRow {
                token_ids,
                is_global: (0..token_ids.len()).map(|i| i < n_global).collect(),
            });
            let batch = ClassifierBatch::collate(&rows.collect::<Vec<_>>());
            let logits = values(model.unwrap().model.forward(&batch, device));
            let rows = logits.chunks_exact(2 * batch.seq()).zip(batch.n_tokens());
            rows.flat_map(|(row, n)| row[..2 * n].to_vec()).collect()
        });
    }
}

#[test]
fn greedy_decoding_gives_the_tokens_of_the_cpu() {
    let prompts: Vec<Prompt> = [1, 5, 21]
        .map(|n| Prompt {
            id: n.to_string(),
            token_ids: ids(n, n),
        })
        .into();
    let decode = |device: &Device| -> (Vec<Vec<u32>>, Vec<f32>) {
        let engine = LocalEngine {
            model: &decoder(VOCAB, 1.0, device),
            device,
            stop: StopRule::default(),
            batch_rows: 3,
            n_workers: 1,
            progress: &|_, _| {},
        };
        let params = SamplingParams::at(0.0, 1, 20);
        let groups = engine.rollout(&prompts, &params, Seed(3)).unwrap();
        let rollouts = groups.into_iter().flat_map(|group| group.rollouts);
        let (tokens, logprobs): (Vec<_>, Vec<_>) =
            rollouts.map(|r| (r.token_ids, r.logprobs)).unzip();
        (tokens, logprobs.concat())
    };
    let (found, on_flex) = (decode(&test_device()), decode(&Device::flex()));
    assert_eq!(found.0, on_flex.0);
    assert_eq!(on_flex.0.concat().len(), 60);
    assert!(largest_difference(&found.1, &on_flex.1) <= tolerance(0.0));
}

/// Results of an operation and the gradients of the sum of their squares.
fn with_gradients<const D: usize>(
    device: &Device,
    operation: impl Fn(Tensor<2>) -> Tensor<D>,
) -> [Vec<f32>; 2] {
    let x: Vec<f32> = (0..64 * 96)
        .map(|i| (i * 37 % 101) as f32 / 25.0 - 2.0)
        .collect();
    let data = TensorData::new(x, [64, 96]);
    let x = Tensor::from_data(data, &device.clone().autodiff()).require_grad();
    let y = operation(x.clone());
    let grads = y.clone().powi_scalar(2).sum().backward();
    [values(y.inner()), values(x.grad(&grads).unwrap())]
}

#[test]
fn the_cpu_has_fused_code_and_other_devices_have_tensor_operations() {
    let targets: Vec<i32> = (0..64).map(|row| row * 5 % 96).collect();
    let gamma = |x: &Tensor<2>| x.clone().detach().narrow(0, 0, 1).flatten(0, 1) + 2.0;
    let on = |device: &Device| {
        let pairs = [
            (
                with_gradients(device, |x| silu_gate(x.clone(), x * 0.5)),
                with_gradients(device, |x| plain::silu_gate(x.clone(), x * 0.5)),
            ),
            (
                with_gradients(device, |x| rms_norm(x.clone(), gamma(&x), 1e-6)),
                with_gradients(device, |x| plain::rms_norm(x.clone(), gamma(&x), 1e-6)),
            ),
            (
                with_gradients(device, |x| target_logprobs(x, &targets)),
                with_gradients(device, |x| plain::target_logprobs(x, &targets)),
            ),
        ];
        let moved = |(found, plain): ([Vec<f32>; 2], [Vec<f32>; 2])| {
            [0, 1].map(|part| largest_difference(&found[part], &plain[part]))
        };
        pairs.map(moved).concat()
    };
    // Fused code rounds otherwise, forward and backward: the same bits would mean that it did not run.
    let moved = on(&Device::flex());
    assert!(moved.iter().all(|d| *d > 0.0 && *d < 1e-4), "{moved:?}");
    if !is_cpu() {
        let moved = on(&test_device());
        assert!(moved.iter().all(|d| *d < 1e-6), "{moved:?}");
    }
}
