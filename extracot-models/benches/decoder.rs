//! A decoder of 1 M parameters with random weights: prefill, and one decoding step behind a prompt.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use extracot_core::Seed;
use extracot_models::init::randomize;
use extracot_models::{CausalLm, Decoder, DecoderConfig, DecoderSize, RaggedBatch};

const VOCAB: usize = 512;
/// Tokens in the cache when a row is decoded.
const N_SEEN: usize = 64;

fn main() {
    divan::main();
}

fn decoder(device: &Device) -> Decoder {
    let size = DecoderSize {
        hidden_size: 128,
        intermediate_size: 384,
        num_hidden_layers: 4,
        num_attention_heads: 4,
        num_key_value_heads: 4,
        head_dim: 32,
        max_position_embeddings: 1024,
        rope_theta: 10_000.0,
    };
    let config = DecoderConfig::qwen3(size, VOCAB);
    randomize(Decoder::new(&config, device), 1.0, 0.02, Seed(1))
}

fn token_ids(rows: usize, n_tokens: usize, device: &Device) -> Tensor<2, Int> {
    let ids = (0..rows * n_tokens).map(|place| (place * 37 % VOCAB) as i32);
    let data = TensorData::new(ids.collect(), [rows, n_tokens]);
    Tensor::from_data(data, (device, DType::I32))
}

/// Rows of one length.
fn even(rows: usize) -> RaggedBatch {
    RaggedBatch {
        n_pads: vec![0; rows],
    }
}

#[divan::bench(args = [32, 128, 512])]
fn prefill(bencher: Bencher<'_, '_>, n_tokens: usize) {
    let device = Device::flex();
    let (model, ids, rows) = (decoder(&device), token_ids(1, n_tokens, &device), even(1));
    bencher.counter(ItemsCount::new(n_tokens)).bench_local(|| {
        let mut cache = model.new_cache(1, &device);
        model
            .extend(black_box(ids.clone()), &rows, &mut cache)
            .into_data()
    });
}

#[divan::bench(args = [1, 8, 64])]
fn decode_step(bencher: Bencher<'_, '_>, n_rows: usize) {
    let device = Device::flex();
    let (model, rows) = (decoder(&device), even(n_rows));
    let mut filled = model.new_cache(n_rows, &device);
    model
        .extend(token_ids(n_rows, N_SEEN, &device), &rows, &mut filled)
        .into_data();
    let ids = token_ids(n_rows, 1, &device);
    // The copy that a step writes to is made before the clock runs.
    bencher
        .counter(ItemsCount::new(n_rows))
        .with_inputs(|| {
            let rows: Vec<i32> = (0..n_rows as i32).collect();
            let rows = Tensor::from_data(TensorData::new(rows, [n_rows]), (&device, DType::I32));
            filled.clone().select_rows(&rows)
        })
        .bench_local_refs(|cache| model.extend(ids.clone(), &rows, cache).into_data());
}
