//! Token classifiers against a golden file.
#![allow(
    clippy::print_stderr,
    reason = "a test says how close it is, and what it skips"
)]

use std::path::Path;

use extracot_models::{
    ClassifierBatch, ClassifierCheckpoint, ClassifierRow, FolderClassifier, TokenClassifier,
};
use serde_json::Value;

use super::device::{is_cpu, test_device, tolerance};

/// Of two float32 implementations that add in different orders.
const TOLERANCE: f32 = 1e-4;

pub(crate) struct Case {
    pub(crate) token_ids: Vec<u32>,
    pub(crate) is_global: Vec<bool>,
    pub(crate) logits: Vec<f32>,
}

pub(crate) fn cases(folder: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(folder.join("golden.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let ints = |value: &Value| -> Option<Vec<u32>> {
        let ids = value.as_array()?.iter();
        Some(ids.map(|id| id.as_u64().unwrap() as u32).collect())
    };
    let logits = |value: &Value| -> Vec<f32> {
        let pairs = value.as_array().unwrap().iter();
        pairs
            .flat_map(|pair| pair.as_array().unwrap())
            .map(|logit| logit.as_f64().unwrap() as f32)
            .collect()
    };
    golden["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| {
            let token_ids = ints(&case["input_ids"]).unwrap();
            let mask = ints(&case["global_attention_mask"]);
            let mask = mask.unwrap_or_else(|| vec![0; token_ids.len()]);
            Case {
                token_ids,
                is_global: mask.iter().map(|m| *m == 1).collect(),
                logits: logits(&case["logits"]),
            }
        })
        .collect()
}

pub(crate) fn load(folder: &Path) -> FolderClassifier {
    let loaded = ClassifierCheckpoint::load(folder, &test_device());
    loaded.unwrap().model
}

/// Logits of every row, without padding.
pub(crate) fn logits(model: &impl TokenClassifier, cases: &[&Case]) -> Vec<Vec<f32>> {
    let rows: Vec<ClassifierRow<'_>> = cases
        .iter()
        .map(|c| ClassifierRow {
            token_ids: &c.token_ids,
            is_global: c.is_global.clone(),
        })
        .collect();
    let batch = ClassifierBatch::collate(&rows);
    let values = model
        .forward(&batch, &test_device())
        .into_data()
        .try_to_vec::<f32>()
        .unwrap();
    values
        .chunks_exact(2 * batch.seq())
        .zip(batch.n_tokens())
        .map(|(row, n_tokens)| row[..2 * n_tokens].to_vec())
        .collect()
}

pub(crate) fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

/// Logits are those of the golden file, alone and in a batch of rows of other lengths.
pub(crate) fn assert_parity(folder: &Path) {
    let model = load(folder);
    let cases = cases(folder);
    assert!(cases.len() >= 3);
    let all: Vec<&Case> = cases.iter().collect();
    let batched = logits(&model, &all);
    for (case, batched) in cases.iter().zip(&batched) {
        let padded = largest_difference(batched, &case.logits);
        eprintln!("{} tokens: in a batch {padded:.1e}", case.token_ids.len());
        assert!(padded < tolerance(TOLERANCE));
        if !is_cpu() {
            // Its kernels are compiled for every shape, and the batch has all rows.
            continue;
        }
        let alone = &logits(&model, &[case])[0];
        let difference = largest_difference(alone, &case.logits);
        eprintln!("alone {difference:.1e}");
        assert!(difference < TOLERANCE);
        // Closer to each other than to another implementation: padding is inert.
        assert!(largest_difference(alone, batched) < 1e-5);
    }
}

/// As [`assert_parity`] with a golden file that not every machine has.
pub(crate) fn assert_shared_parity(name: &str) {
    let goldens = extracot_tests::named_by("EXTRACOT_SHARED").join("goldens");
    assert_parity(&goldens.join(name));
}

/// Names and shapes of the tensors of a safetensors file: its header is a length, then JSON that maps
/// names to places.
pub(crate) fn tensors(path: &Path) -> Vec<(String, Value)> {
    let bytes = std::fs::read(path).unwrap();
    let n_header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + n_header]).unwrap();
    let mut shapes: Vec<(String, Value)> = header
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "__metadata__")
        .map(|(name, tensor)| (name.clone(), tensor["shape"].clone()))
        .collect();
    shapes.sort_by(|a, b| a.0.cmp(&b.0));
    shapes
}

/// A saved classifier has the tensors of the folder it was loaded from, and computes the same.
pub(crate) fn assert_round_trip(folder: &Path) {
    let checkpoint = ClassifierCheckpoint::load(folder, &test_device()).unwrap();
    let out = tempfile::tempdir().unwrap();
    checkpoint.save(out.path()).unwrap();
    let again = ClassifierCheckpoint::load(out.path(), &test_device()).unwrap();
    assert_eq!(again.config, checkpoint.config);
    let case = cases(folder).remove(0);
    let found = &logits(&again.model, &[&case])[0];
    let expected = &logits(&checkpoint.model, &[&case])[0];
    assert!(largest_difference(found, expected) <= tolerance(0.0));
    let tensors = |folder: &Path| tensors(&folder.join("model.safetensors"));
    assert_eq!(tensors(out.path()), tensors(folder));
}
