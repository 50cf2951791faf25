//! Model folders that are not what they should be: every kind of damage is named with its file, and
//! none of them panics.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use burn::tensor::{DType, Device};
use extracot_models::DecoderConfig;
use extracot_models::checkpoint::load_decoder;
use extracot_models::weights::{INDEX, WEIGHTS};
use serde_json::{Value, json};

const SHARD: &str = "model-00002-of-00004.safetensors";

/// A copy of a fixture's folder.
fn copy(name: &str) -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name);
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// The error of loading a folder, with its causes.
fn error_of(folder: &Path) -> String {
    let loaded = DecoderConfig::load(folder)
        .and_then(|config| load_decoder(&config, folder, DType::F32, &Device::flex()));
    let error = loaded.map(|_| ()).unwrap_err();
    let cause = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
    format!("{error}: {cause}")
}

fn edit_json(path: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    edit(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// The header of a safetensors file, edited; the data stay as they are.
fn edit_header(path: &Path, edit: impl FnOnce(&mut Value)) {
    let bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    edit(&mut header);
    let mut text = header.to_string();
    while !text.len().is_multiple_of(8) {
        text.push(' ');
    }
    let mut edited = (text.len() as u64).to_le_bytes().to_vec();
    edited.extend(text.as_bytes());
    edited.extend(&bytes[8 + length..]);
    fs::write(path, edited).unwrap();
}

fn assert_says(folder: &Path, parts: &[&str]) {
    let error = error_of(folder);
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn a_missing_truncated_or_garbled_file_is_named() {
    let folder = copy("qwen3_sharded");
    let shard = folder.path().join(SHARD);
    let whole = fs::read(&shard).unwrap();

    fs::remove_file(&shard).unwrap();
    assert_says(folder.path(), &[SHARD, "no such file"]);
    for n_kept in [0, 4, 8, 100, whole.len() - 1] {
        fs::write(&shard, &whole[..n_kept]).unwrap();
        assert_says(folder.path(), &[SHARD]);
    }
    // A header that claims more than the file holds, and more than any memory.
    for claimed in [whole.len() as u64, u64::MAX, 1 << 40] {
        let mut hostile = whole.clone();
        hostile[..8].copy_from_slice(&claimed.to_le_bytes());
        fs::write(&shard, hostile).unwrap();
        assert_says(folder.path(), &[SHARD]);
    }
    let mut garbled = whole.clone();
    garbled[9] = b'#';
    fs::write(&shard, garbled).unwrap();
    assert_says(folder.path(), &[SHARD]);

    fs::write(folder.path().join(INDEX), "{").unwrap();
    assert_says(folder.path(), &[INDEX, "does not parse"]);
    fs::remove_file(folder.path().join(INDEX)).unwrap();
    assert_says(folder.path(), &[WEIGHTS, "no such file"]);
    fs::remove_file(folder.path().join("config.json")).unwrap();
    assert_says(folder.path(), &["config.json", "cannot read"]);
}

#[test]
fn an_index_cannot_lead_out_of_the_folder() {
    let folder = copy("qwen3_sharded");
    for path in [
        "../model.safetensors",
        "/etc/passwd",
        "a/b.safetensors",
        "..",
    ] {
        edit_json(&folder.path().join(INDEX), |index| {
            index["weight_map"]["lm_head.weight"] = json!(path);
        });
        assert_says(folder.path(), &[INDEX, path, "not a file of this folder"]);
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let name = "model.layers.1.mlp.up_proj.weight";
    let file = |folder: &tempfile::TempDir| folder.path().join(WEIGHTS);

    let folder = copy("qwen3_tied");
    edit_header(&file(&folder), |header| {
        let tensors = header.as_object_mut().unwrap();
        let tensor = tensors.remove(name).unwrap();
        tensors.insert("model.extra".to_owned(), tensor);
    });
    assert_says(folder.path(), &[WEIGHTS, "unexpected `model.extra`"]);

    let folder = copy("qwen3_tied");
    edit_header(&file(&folder), |header| {
        header[name]["shape"] = json!([24, 40]);
    });
    assert_says(folder.path(), &[WEIGHTS, name, "has shape"]);

    let folder = copy("qwen3_sharded");
    edit_header(&folder.path().join(SHARD), |header| {
        let tensors = header.as_object_mut().unwrap();
        let key = tensors.keys().find(|key| key.ends_with("weight")).unwrap();
        let key = key.clone();
        let mut tensor = tensors.remove(&key).unwrap();
        tensor["dtype"] = json!("I8");
        tensors.insert(key, tensor);
    });
    assert_says(folder.path(), &[SHARD]);

    // The last number of the file becomes infinite.
    let folder = copy("qwen3_tied");
    let mut bytes = fs::read(file(&folder)).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    fs::write(file(&folder), bytes).unwrap();
    assert_says(folder.path(), &[WEIGHTS, "is not finite"]);

    // The same in a bf16 shard: its upper half is that of an f32.
    let folder = copy("qwen3_sharded");
    let shard = folder.path().join(SHARD);
    let mut bytes = fs::read(&shard).unwrap();
    let end = bytes.len();
    bytes[end - 2..].copy_from_slice(&f32::INFINITY.to_le_bytes()[2..]);
    fs::write(&shard, bytes).unwrap();
    assert_says(folder.path(), &[SHARD, "is not finite"]);
}

#[test]
fn a_tensor_that_is_nowhere_and_one_that_is_in_two_shards_are_named() {
    let folder = copy("qwen3_sharded");
    let index = folder.path().join(INDEX);
    edit_json(&index, |index| {
        let map = index["weight_map"].as_object_mut().unwrap();
        map.retain(|_, shard| shard != SHARD);
    });
    assert_says(folder.path(), &[INDEX, "missing `model."]);

    let folder = copy("qwen3_sharded");
    edit_json(&folder.path().join(INDEX), |index| {
        index["weight_map"] = json!({});
    });
    assert_says(folder.path(), &[INDEX, "names no file"]);

    let folder = copy("qwen3_sharded");
    fs::copy(
        folder.path().join(SHARD),
        folder.path().join("more.safetensors"),
    )
    .unwrap();
    edit_json(&folder.path().join(INDEX), |index| {
        index["weight_map"]["model.more"] = json!("more.safetensors");
    });
    assert_says(
        folder.path(),
        &["more.safetensors", "is in an earlier shard too"],
    );
}

#[test]
fn what_other_writers_add_is_passed_over() {
    // A tied model with a head of its own: transformers reads the embedding.
    let tied = copy("qwen3_tied");
    let untied = copy("qwen3_untied");
    fs::copy(untied.path().join(WEIGHTS), tied.path().join(WEIGHTS)).unwrap();
    let config = DecoderConfig::load(tied.path()).unwrap();
    assert!(load_decoder(&config, tied.path(), DType::F32, &Device::flex()).is_ok());
}
