//! The device that the tests run on, and a decoder for it.

use std::sync::OnceLock;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use extracot_core::Seed;
use extracot_models::init::randomize;
use extracot_models::{Decoder, DecoderConfig, DecoderSize};

/// What `EXTRACOT_TEST_DEVICE` says, a name as `--device` takes it; `flex`, the CPU, without it.
pub(crate) fn test_device_name() -> String {
    std::env::var("EXTRACOT_TEST_DEVICE").unwrap_or_else(|_| "flex".to_owned())
}

/// The device of that name.
pub(crate) fn test_device() -> Device {
    // A driver is asked for its devices once.
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let open = || match experiments::device::device(&test_device_name()) {
        Ok(device) => device,
        Err(error) => panic!("EXTRACOT_TEST_DEVICE: {error}"),
    };
    DEVICE.get_or_init(open).clone()
}

/// Whether it is flex.
pub(crate) fn is_cpu() -> bool {
    test_device() == Device::flex()
}

/// How far numbers near 1 may be from those of another implementation or of the CPU: `on_flex` on the CPU.
/// Other devices add in other orders, which depend on the shape too, and have exponentials of their own.
pub(crate) fn tolerance(on_flex: f32) -> f32 {
    match is_cpu() {
        true => on_flex,
        false => on_flex.max(1e-3),
    }
}

/// Rows of ids, of one length.
pub(crate) fn ints(rows: &[Vec<u32>], device: &Device) -> Tensor<2, Int> {
    let values: Vec<i32> = rows.iter().flatten().map(|id| *id as i32).collect();
    let data = TensorData::new(values, [rows.len(), rows[0].len()]);
    Tensor::from_data(data, (device, DType::I32))
}

/// Two layers of four heads that share two of keys and values. The weights are drawn, embeddings with this gain:
/// the same on every device.
pub(crate) fn decoder(vocab_size: usize, gain_embedding: f64, device: &Device) -> Decoder {
    let size = DecoderSize {
        hidden_size: 24,
        intermediate_size: 40,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        max_position_embeddings: 256,
        rope_theta: 10_000.0,
    };
    let config = DecoderConfig::qwen3(size, vocab_size);
    randomize(Decoder::new(&config, device), 1.0, gain_embedding, Seed(5))
}
