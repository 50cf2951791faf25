//! The fused operations on the Flex device, at the shapes of decoding and of training a decoder of 34 M
//! parameters.

use burn::tensor::{Device, Distribution, Tensor};
use divan::{Bencher, black_box};
use extracot_kernels::{
    VisibleKeys, attention, linear, rms_norm, rotate_heads, silu_gate, target_logprobs,
};

const D_MODEL: usize = 512;
const D_INNER: usize = 1536;
const VOCAB: usize = 16384;
const N_HEADS: usize = 8;
const N_KV_HEADS: usize = 4;
const HEAD_DIM: usize = 64;
/// Rows of a decoding step, and tokens of a training step.
const ROWS: [usize; 4] = [1, 8, 64, 4096];
/// Keys that a decoded row looks at, and tokens of a training sequence.
const SEQ: usize = 256;
/// Sequences of a training step.
const TRAIN_ROWS: usize = 4;

fn main() {
    divan::main();
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

/// Operations on the rows of a decoding step, and on as many tokens as a training step has.
mod forward {
    use super::*;

    #[divan::bench(args = ROWS)]
    fn linear_512_to_1536(bencher: Bencher<'_, '_>, rows: usize) {
        let device = Device::flex();
        let x = random([rows, D_MODEL], &device);
        let weight = random([D_MODEL, D_INNER], &device);
        bencher.bench_local(|| linear(black_box(x.clone()), weight.clone()));
    }

    #[divan::bench(args = ROWS)]
    fn rms_norm_512(bencher: Bencher<'_, '_>, rows: usize) {
        let device = Device::flex();
        let (x, gamma) = (random([rows, D_MODEL], &device), random([D_MODEL], &device));
        bencher.bench_local(|| rms_norm(black_box(x.clone()), gamma.clone(), 1e-6));
    }

    #[divan::bench(args = ROWS)]
    fn silu_gate_1536(bencher: Bencher<'_, '_>, rows: usize) {
        let device = Device::flex();
        let (gate, up) = (
            random([rows, D_INNER], &device),
            random([rows, D_INNER], &device),
        );
        bencher.bench_local(|| silu_gate(black_box(gate.clone()), up.clone()));
    }

    #[divan::bench(args = ROWS)]
    fn rotate_8_heads(bencher: Bencher<'_, '_>, rows: usize) {
        let device = Device::flex();
        let x = random([rows, 1, N_HEADS, HEAD_DIM], &device);
        let cos = random([rows, 1, 1, HEAD_DIM], &device);
        let sin = random([rows, 1, 1, HEAD_DIM], &device);
        bencher.bench_local(|| rotate_heads(black_box(x.clone()), cos.clone(), sin.clone(), 0.125));
    }

    /// One query per row over all keys.
    #[divan::bench(args = [1, 8, 64])]
    fn attention_of_decoding(bencher: Bencher<'_, '_>, rows: usize) {
        let device = Device::flex();
        let [q, k, v] = heads(rows, 1, &device);
        let visible = VisibleKeys::new(1, vec![0..SEQ; rows]);
        bencher.bench_local(|| attention(black_box(q.clone()), k.clone(), v.clone(), &visible));
    }

    #[divan::bench]
    fn attention_of_training(bencher: Bencher<'_, '_>) {
        let device = Device::flex();
        let [q, k, v] = heads(TRAIN_ROWS, SEQ, &device);
        let visible = VisibleKeys::causal(SEQ);
        bencher.bench_local(|| attention(black_box(q.clone()), k.clone(), v.clone(), &visible));
    }

    #[divan::bench]
    fn target_logprobs_of_training(bencher: Bencher<'_, '_>) {
        let device = Device::flex();
        let logits = random([TRAIN_ROWS * SEQ, VOCAB], &device);
        let targets = targets();
        bencher.bench_local(|| target_logprobs(black_box(logits.clone()), &targets));
    }
}

/// The same with their gradients, on the tokens of a training step.
mod forward_and_backward {
    use super::*;

    const N_TOKENS: usize = TRAIN_ROWS * SEQ;

    fn leaf<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        random(shape, &Device::flex().autodiff()).require_grad()
    }

    #[divan::bench]
    fn linear_512_to_1536(bencher: Bencher<'_, '_>) {
        let (x, weight) = (leaf([N_TOKENS, D_MODEL]), leaf([D_MODEL, D_INNER]));
        bencher.bench_local(|| linear(x.clone(), weight.clone()).sum().backward());
    }

    #[divan::bench]
    fn rms_norm_512(bencher: Bencher<'_, '_>) {
        let (x, gamma) = (leaf([N_TOKENS, D_MODEL]), leaf([D_MODEL]));
        bencher.bench_local(|| rms_norm(x.clone(), gamma.clone(), 1e-6).sum().backward());
    }

    #[divan::bench]
    fn silu_gate_1536(bencher: Bencher<'_, '_>) {
        let (gate, up) = (leaf([N_TOKENS, D_INNER]), leaf([N_TOKENS, D_INNER]));
        bencher.bench_local(|| silu_gate(gate.clone(), up.clone()).sum().backward());
    }

    #[divan::bench]
    fn attention_of_training(bencher: Bencher<'_, '_>) {
        let [q, k, v] = heads(TRAIN_ROWS, SEQ, &Device::flex().autodiff());
        let [q, k, v] = [q.require_grad(), k.require_grad(), v.require_grad()];
        let visible = VisibleKeys::causal(SEQ);
        bencher.bench_local(|| {
            let mixed = attention(q.clone(), k.clone(), v.clone(), &visible);
            mixed.sum().backward()
        });
    }

    #[divan::bench]
    fn target_logprobs_of_training(bencher: Bencher<'_, '_>) {
        let logits = leaf([N_TOKENS, VOCAB]);
        let targets = targets();
        bencher.bench_local(|| target_logprobs(logits.clone(), &targets).sum().backward());
    }
}

/// Queries of `n_queries` tokens per row, and keys and values of [`SEQ`].
fn heads(rows: usize, n_queries: usize, device: &Device) -> [Tensor<4>; 3] {
    [
        random([rows, N_HEADS, n_queries, HEAD_DIM], device),
        random([rows, N_KV_HEADS, SEQ, HEAD_DIM], device),
        random([rows, N_KV_HEADS, SEQ, HEAD_DIM], device),
    ]
}

fn targets() -> Vec<i32> {
    (0..TRAIN_ROWS * SEQ)
        .map(|token| (token * 7 % VOCAB) as i32)
        .collect()
}
