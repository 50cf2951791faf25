//! Control tokens for a model that has none.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use extracot_core::prompt::{THINK_CLOSE, THINK_OPEN};
use extracot_core::{ControlToken, ResponseParser, Seed, Tokenizer};
use extracot_models::checkpoint::load_decoder;
use extracot_models::{CausalLm, Decoder, DecoderConfig, HfTokenizer, PolicyCheckpoint};

/// A byte-level tokenizer without added tokens, of 256 entries.
fn bytes() -> HfTokenizer {
    let trained = HfTokenizer::train(["a"].into_iter(), 256).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&trained.to_json().unwrap()).unwrap();
    json["added_tokens"] = serde_json::json!([]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), json.to_string()).unwrap();
    HfTokenizer::load(folder.path()).unwrap()
}

/// A fixture's blocks under a vocabulary of `vocab_size` rows.
fn checkpoint(name: &str, vocab_size: usize) -> PolicyCheckpoint {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name);
    let device = Device::flex();
    let mut config = DecoderConfig::load(&folder).unwrap();
    let model = load_decoder(&config, &folder, &device).unwrap();
    let grown: Vec<u32> = (config.vocab_size as u32..vocab_size as u32).collect();
    let model = model.with_new_tokens(&grown, config.vocab_size, Seed(1));
    config.vocab_size = vocab_size;
    PolicyCheckpoint {
        model,
        config,
        tokenizer: bytes(),
    }
}

fn logits(model: &Decoder, ids: &[i32]) -> Vec<f32> {
    let data = TensorData::new(ids.to_vec(), [1, ids.len()]);
    let ids = Tensor::<2, Int>::from_data(data, (&Device::flex(), DType::I32));
    let [_, n_tokens] = ids.dims();
    let last = model.hidden(ids).narrow(1, n_tokens - 1, 1).flatten(0, 1);
    model.head(last).into_data().iter::<f32>().collect()
}

/// A product with another layout or width may add in another order.
fn assert_close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    let moved = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    assert!(moved.fold(0.0, f32::max) < 1e-5);
}

#[test]
fn a_model_gets_control_tokens_in_spare_rows_or_in_new_ones() {
    let n_new = ControlToken::ALL.len() + 2;
    // Tied and untied heads; a table that is full, and one with spare rows.
    for name in ["qwen3_tied", "qwen3_untied"] {
        for (n_rows, n_after) in [(256, 256 + n_new), (300, 300)] {
            let before = checkpoint(name, n_rows);
            let after = before.clone().with_control_tokens(Seed(2)).unwrap();
            assert_eq!(after.config.vocab_size, n_after, "{name}");
            assert_eq!(after.model.vocab_size(), n_after);

            // What was there computes what it did.
            let prompt = [3, 250, 17];
            let (old, new) = (
                logits(&before.model, &prompt),
                logits(&after.model, &prompt),
            );
            assert_eq!((old.len(), new.len()), (n_rows, n_after));
            assert_close(&old[..256], &new[..256]);
            // New tokens differ, as inputs and as outputs.
            let outputs = &new[256..256 + n_new];
            assert!(outputs.windows(2).all(|pair| pair[0] != pair[1]));
            assert_ne!(logits(&after.model, &[256]), logits(&after.model, &[257]));

            // One id each after a save and a reload; decoding keeps them.
            let folder = tempfile::tempdir().unwrap();
            after.save(folder.path()).unwrap();
            let loaded = PolicyCheckpoint::load(folder.path(), &Device::flex()).unwrap();
            let names = ControlToken::ALL.map(|token| token.to_string());
            let think = [THINK_OPEN, THINK_CLOSE].map(str::to_owned);
            for token in names.into_iter().chain(think) {
                let ids = loaded.tokenizer.encode(&token);
                assert_eq!(ids.len(), 1, "{token}");
                assert_eq!(loaded.tokenizer.decode(&ids), token);
            }
            assert_close(&logits(&loaded.model, &prompt), &new);
            assert!(ResponseParser::try_new(&loaded.tokenizer, THINK_CLOSE).is_ok());
            // A second time there is nothing to add.
            let again = loaded.with_control_tokens(Seed(9)).unwrap();
            assert_close(&logits(&again.model, &prompt), &new);
        }
    }
}
