//! RoBERTa and XLM-RoBERTa against logits that transformers computed from the same weights. On the device
//! that `EXTRACOT_TEST_DEVICE` names.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use common::classifiers::{
    Case, assert_parity, assert_round_trip, assert_shared_parity, cases, largest_difference, load,
    logits,
};
use common::device::tolerance;
use common::fixture;
use extracot_models::{ClassifierCheckpoint, FolderClassifier, TokenClassifier};
use serde_json::{Value, json};

const FIXTURES: [&str; 2] = ["roberta", "xlm_roberta"];

#[test]
fn logits_are_those_of_transformers_alone_and_in_a_padded_batch() {
    for name in FIXTURES {
        let folder = fixture(name);
        assert!(matches!(load(&folder), FolderClassifier::Roberta(_)));
        assert_parity(&folder);
    }
}

#[test]
#[ignore = "needs EXTRACOT_SHARED"]
fn logits_are_those_of_the_shared_golden_file() {
    assert_shared_parity("tiny_xlmr_tc");
}

#[test]
fn every_token_sees_all_others_and_none_is_global() {
    let model = load(&fixture("roberta"));
    let case = |token_ids: Vec<u32>, is_global: bool| Case {
        is_global: vec![is_global; token_ids.len()],
        token_ids,
        logits: vec![],
    };
    let ids: Vec<u32> = (5..45).collect();
    let before = &logits(&model, &[&case(ids.clone(), false)])[0];
    let global = &logits(&model, &[&case(ids.clone(), true)])[0];
    let moved = largest_difference(before, global);
    assert!(moved <= tolerance(0.0), "is_global is ignored");
    for changed in [0, 39] {
        let mut ids = ids.clone();
        ids[changed] = 49;
        let after = &logits(&model, &[&case(ids, false)])[0];
        let moved = |token: usize| (before[2 * token] - after[2 * token]).abs() > 1e-6;
        assert!((0..40).all(moved));
    }
}

#[test]
fn positions_begin_behind_the_padding() {
    // 44 rows of which the first four are padding's, and 42 of which the first two are.
    for (name, n_positions) in [("roberta", 40), ("xlm_roberta", 40)] {
        assert_eq!(load(&fixture(name)).max_positions(), n_positions);
    }
    // Positions that begin one row later give other logits.
    let folder = copy("roberta");
    edit_config(folder.path(), |config| config["pad_token_id"] = json!(2));
    let case = &cases(&fixture("roberta"))[1];
    let moved = &logits(&load(folder.path()), &[case])[0];
    assert!(largest_difference(moved, &case.logits) > 1e-2);
}

#[test]
fn a_saved_classifier_has_the_names_and_values_it_was_loaded_with() {
    for name in FIXTURES {
        assert_round_trip(&fixture(name));
    }
}

fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn edit_config(folder: &Path, edit: impl FnOnce(&mut Value)) {
    let path = folder.join("config.json");
    let mut config = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    edit(&mut config);
    fs::write(path, config.to_string()).unwrap();
}

/// Adds a tensor to a safetensors file.
fn add_tensor(folder: &Path, name: &str, dtype: &str, shape: &[usize], data: &[u8]) {
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let start = bytes.len() - 8 - length;
    let offsets = [start, start + data.len()];
    header[name] = json!({"dtype": dtype, "shape": shape, "data_offsets": offsets});
    let mut text = header.to_string();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    let mut edited = (text.len() as u64).to_le_bytes().to_vec();
    edited.extend(text.as_bytes());
    edited.extend(&bytes[8 + length..]);
    edited.extend(data);
    fs::write(path, edited).unwrap();
}

#[test]
fn tensors_without_effect_are_passed_over_and_others_refused() {
    let folder = copy("xlm_roberta");
    let positions: Vec<u8> = (0..42_i64).flat_map(i64::to_le_bytes).collect();
    let name = "roberta.embeddings.position_ids";
    add_tensor(folder.path(), name, "I64", &[1, 42], &positions);
    let pooler = vec![0_u8; 16 * 4];
    let name = "roberta.pooler.dense.bias";
    add_tensor(folder.path(), name, "F32", &[16], &pooler);
    assert_parity(folder.path());

    add_tensor(folder.path(), "lm_head.bias", "F32", &[16], &pooler);
    let error = ClassifierCheckpoint::load(folder.path(), &Device::flex()).unwrap_err();
    let error = error.to_string();
    assert!(error.ends_with("unexpected `lm_head.bias`"), "{error}");
}

#[test]
fn a_config_with_other_sizes_is_refused_by_tensor() {
    let folder = copy("roberta");
    edit_config(folder.path(), |config| {
        config["num_hidden_layers"] = json!(3)
    });
    let error = ClassifierCheckpoint::load(folder.path(), &Device::flex()).unwrap_err();
    let error = error.to_string();
    let name = "missing `roberta.encoder.layer.2.attention.self.query.weight`";
    assert!(error.contains(name), "{error}");
}
