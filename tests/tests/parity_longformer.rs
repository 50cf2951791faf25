//! Longformer against logits that transformers computed from the same weights.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(test)]
mod parity {
    use std::path::{Path, PathBuf};

    use burn::tensor::Device;
    use extracot_models::weights::{load_weights, save_weights};
    use extracot_models::{
        ClassifierBatch, ClassifierRow, Longformer, LongformerConfig, TokenClassifier,
    };
    use serde_json::Value;

    /// Two float32 implementations that add in different orders.
    const TOLERANCE: f32 = 1e-4;

    struct Case {
        token_ids: Vec<u32>,
        is_global: Vec<bool>,
        logits: Vec<f32>,
    }

    fn fixture() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/longformer")
    }

    fn cases(folder: &Path) -> Vec<Case> {
        let text = std::fs::read_to_string(folder.join("golden.json")).unwrap();
        let golden: Value = serde_json::from_str(&text).unwrap();
        let ints = |value: &Value| -> Vec<u32> {
            value
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_u64().unwrap() as u32)
                .collect()
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
            .map(|case| Case {
                token_ids: ints(&case["input_ids"]),
                is_global: ints(&case["global_attention_mask"])
                    .iter()
                    .map(|m| *m == 1)
                    .collect(),
                logits: logits(&case["logits"]),
            })
            .collect()
    }

    fn load(folder: &Path, device: &Device) -> Longformer {
        let config = LongformerConfig::load(folder).unwrap();
        load_weights(
            Longformer::new(&config, device),
            &folder.join("model.safetensors"),
        )
        .unwrap()
    }

    /// Logits of every row, without padding.
    fn logits(model: &Longformer, cases: &[&Case], device: &Device) -> Vec<Vec<f32>> {
        let rows: Vec<ClassifierRow<'_>> = cases
            .iter()
            .map(|c| ClassifierRow {
                token_ids: &c.token_ids,
                is_global: c.is_global.clone(),
            })
            .collect();
        let batch = ClassifierBatch::collate(&rows);
        let values = model
            .forward(&batch, device)
            .into_data()
            .try_to_vec::<f32>()
            .unwrap();
        values
            .chunks_exact(2 * batch.seq())
            .zip(batch.n_tokens())
            .map(|(row, n_tokens)| row[..2 * n_tokens].to_vec())
            .collect()
    }

    fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn logits_are_those_of_transformers_alone_and_in_a_padded_batch() {
        assert_parity(&fixture());
    }

    #[test]
    fn logits_are_those_of_the_shared_golden_file() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/goldens/tiny_longformer_tc");
        if folder.is_dir() {
            assert_parity(&folder);
        } else {
            eprintln!("skipped: no {}", folder.display());
        }
    }

    fn assert_parity(folder: &Path) {
        let device = Device::flex();
        let model = load(folder, &device);
        let cases = cases(folder);
        let all: Vec<&Case> = cases.iter().collect();
        let batched = logits(&model, &all, &device);
        for (case, batched) in cases.iter().zip(&batched) {
            let alone = &logits(&model, &[case], &device)[0];
            let difference = largest_difference(alone, &case.logits);
            let padded = largest_difference(batched, &case.logits);
            let n_tokens = case.token_ids.len();
            eprintln!("{n_tokens} tokens: alone {difference:.1e}, in a batch {padded:.1e}");
            assert!(difference < TOLERANCE && padded < TOLERANCE);
        }
    }

    #[test]
    fn the_global_mask_and_the_window_matter() {
        let folder = fixture();
        let device = Device::flex();
        let model = load(&folder, &device);
        let mut case = cases(&folder).remove(1);
        case.is_global.fill(false);
        assert!(largest_difference(&logits(&model, &[&case], &device)[0], &case.logits) > 1e-2);

        let mut config = LongformerConfig::load(&folder).unwrap();
        config.attention_window = extracot_models::longformer::AttentionWindow::All(128);
        let wide = Longformer::new(&config, &device);
        let wide = load_weights(wide, &folder.join("model.safetensors")).unwrap();
        let case = cases(&folder).remove(1);
        assert!(largest_difference(&logits(&wide, &[&case], &device)[0], &case.logits) > 1e-2);
    }

    #[test]
    fn saved_weights_have_the_names_and_values_they_were_loaded_with() {
        let folder = fixture();
        let device = Device::flex();
        let model = load(&folder, &device);
        let out = tempfile::tempdir().unwrap();
        let path = out.path().join("model.safetensors");
        save_weights(&model, &path).unwrap();
        let config = LongformerConfig::load(&folder).unwrap();
        let again = load_weights(Longformer::new(&config, &device), &path).unwrap();
        let case = cases(&folder).remove(0);
        let logits = |model: &Longformer| logits(model, &[&case], &device);
        assert_eq!(logits(&again), logits(&model));
        // The header of a safetensors file: its length, then JSON that maps names to places.
        let tensors = |path: &Path| {
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
        };
        assert_eq!(tensors(&path), tensors(&folder.join("model.safetensors")));
    }
}
