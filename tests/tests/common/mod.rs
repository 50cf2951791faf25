//! What several test files need.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod classifiers;
pub(crate) mod device;
pub(crate) mod policy_table;

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use extracot_core::Seed;
use extracot_models::checkpoint::load_decoder;
use extracot_models::{
    CausalLm, CompanionFiles, Decoder, DecoderConfig, HfTokenizer, PolicyCheckpoint,
};

/// The folder of a fixture.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// A byte-level tokenizer without added tokens, of 256 entries.
pub(crate) fn bytes() -> HfTokenizer {
    let trained = HfTokenizer::train(["a"].into_iter(), 256).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&trained.to_json().unwrap()).unwrap();
    json["added_tokens"] = serde_json::json!([]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), json.to_string()).unwrap();
    HfTokenizer::load(folder.path()).unwrap()
}

/// A fixture's blocks under a vocabulary of `vocab_size` rows.
pub(crate) fn checkpoint(name: &str, vocab_size: usize) -> PolicyCheckpoint {
    let folder = fixture(name);
    let device = Device::flex();
    let mut config = DecoderConfig::load(&folder).unwrap();
    let model = load_decoder(&config, &folder, DType::F32, &device).unwrap();
    let grown: Vec<u32> = (config.vocab_size as u32..vocab_size as u32).collect();
    let model = model.with_new_tokens(&grown, config.vocab_size, Seed(1));
    config.vocab_size = vocab_size;
    PolicyCheckpoint {
        model,
        config,
        tokenizer: bytes(),
        companions: CompanionFiles::default(),
    }
}

/// Logits after the last of `ids`.
pub(crate) fn logits(model: &Decoder, ids: &[i32]) -> Vec<f32> {
    let data = TensorData::new(ids.to_vec(), [1, ids.len()]);
    let ids = Tensor::<2, Int>::from_data(data, (&Device::flex(), DType::I32));
    let [_, n_tokens] = ids.dims();
    let last = model.hidden(ids).narrow(1, n_tokens - 1, 1).flatten(0, 1);
    model.head(last).into_data().iter::<f32>().collect()
}

/// A product with another layout or width may add in another order.
pub(crate) fn assert_close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    let moved = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    assert!(moved.fold(0.0, f32::max) < 1e-5);
}
