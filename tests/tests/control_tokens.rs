//! Control tokens for a model that has none.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use burn::tensor::Device;
use common::{assert_close, checkpoint, logits};
use extracot_core::prompt::{THINK_CLOSE, THINK_OPEN};
use extracot_core::{ControlToken, ResponseParser, Seed, Tokenizer};
use extracot_models::{CausalLm, PolicyCheckpoint};

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
