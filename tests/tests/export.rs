//! A trained model goes out as a folder and comes back the same, here and in transformers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::process::Command;

use burn::module::Module;
use burn::tensor::{DType, Device};
use common::{assert_close, checkpoint, logits};
use extracot_core::prompt::TURN_CLOSE;
use extracot_core::sft::SftExample;
use extracot_core::{ControlToken, KeepLevel, Seed, Tokenizer};
use extracot_models::weights::{INDEX, SaveWeights, WEIGHTS};
use extracot_models::{
    CausalLm, CompanionFiles, Decoder, LoraConfig, PolicyCheckpoint, attach_lora, load_lora,
    merge_lora, save_lora,
};
use extracot_train::{SftConfig, UpdateConfig, train_sft};
use serde_json::json;

const PROMPT: [i32; 4] = [3, 250, 17, 90];
const LORA: LoraConfig = LoraConfig {
    rank: 2,
    alpha: 4.0,
    trains_embeddings: true,
};

/// A few steps on one example.
fn train(model: Decoder, n_steps: usize) -> Decoder {
    let config = SftConfig {
        n_steps,
        batch_size: 2,
        n_shards: 2,
        ema_decay: 0.0,
        logits_chunk: None,
        row_tokens: None,
        update: UpdateConfig {
            learning_rate: 1e-2,
            warmup_steps: 0,
            final_rate_share: 1.0,
            weight_decay: 0.0,
            decay_embeddings: true,
            beta_1: 0.9,
            beta_2: 0.98,
            clip_norm: 1.0,
        },
    };
    let level = KeepLevel::FULL;
    let example = SftExample {
        problem_id: "p".to_owned(),
        control: Some(ControlToken::Level(level)),
        level: Some(level),
        prompt_ids: vec![3, 250],
        completion_ids: vec![17, 90, 258, 4],
    };
    let device = Device::flex().autodiff();
    let draw = |_| Ok(example.clone());
    train_sft(model, &config, &device, Seed(3), draw, |_, _| Ok(())).unwrap()
}

/// A fixture with control tokens after a few steps, as a model that speaks ChatML.
fn trained(name: &str) -> PolicyCheckpoint {
    let mut checkpoint = checkpoint(name, 256).with_control_tokens(Seed(2)).unwrap();
    let before = logits(&checkpoint.model, &PROMPT);
    checkpoint.model = train(checkpoint.model.train(), 3).valid();
    assert_ne!(logits(&checkpoint.model, &PROMPT), before);
    let stop_id = checkpoint
        .tokenizer
        .token_id(&ControlToken::Policy.to_string())
        .unwrap();
    checkpoint.companions = CompanionFiles::chat_ml(stop_id, 128);
    checkpoint
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_trained_model_comes_back_the_same_from_one_file_or_from_shards() {
    for name in ["qwen3_tied", "qwen3_untied", "qwen2_linear", "llama_biased"] {
        let checkpoint = trained(name);
        let expected = logits(&checkpoint.model, &PROMPT);
        let folder = tempfile::tempdir().unwrap();
        for max_shard_bytes in [20_000, u64::MAX] {
            let how = SaveWeights {
                max_shard_bytes,
                ..SaveWeights::default()
            };
            checkpoint.save_as(folder.path(), &how).unwrap();
            let names = files(folder.path());
            let is_sharded = names.contains(&INDEX.to_owned());
            // The second save takes the place of the first.
            assert_eq!(is_sharded, max_shard_bytes == 20_000, "{names:?}");
            assert_eq!(names.contains(&WEIGHTS.to_owned()), !is_sharded);
            let loaded = PolicyCheckpoint::load(folder.path(), &Device::flex()).unwrap();
            assert_close(&logits(&loaded.model, &PROMPT), &expected);
            assert_eq!(loaded.companions, checkpoint.companions);
            assert_eq!(loaded.config, checkpoint.config);
        }
    }
}

#[test]
fn half_precision_is_named_in_the_config_and_rounds_the_weights() {
    let checkpoint = trained("qwen3_tied");
    let expected = logits(&checkpoint.model, &PROMPT);
    for (dtype, name, tolerance) in [
        (DType::F16, "float16", 1e-2),
        (DType::BF16, "bfloat16", 1e-1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let how = SaveWeights {
            dtype,
            ..SaveWeights::default()
        };
        checkpoint.save_as(folder.path(), &how).unwrap();
        let loaded = PolicyCheckpoint::load(folder.path(), &Device::flex()).unwrap();
        assert_eq!(loaded.config.dtype, name);
        let found = logits(&loaded.model, &PROMPT);
        let moved = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let moved = moved.fold(0.0, f32::max);
        assert!(moved > 0.0 && moved < tolerance, "{name}: {moved}");
    }
    let how = SaveWeights {
        dtype: DType::F64,
        ..SaveWeights::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let error = checkpoint.save_as(folder.path(), &how).unwrap_err();
    assert!(error.to_string().contains("dtype"), "{error}");
}

#[test]
fn adapters_train_alone_come_back_alone_and_merge_into_the_same_model() {
    for name in ["qwen3_tied", "qwen3_untied"] {
        let base = checkpoint(name, 256)
            .with_control_tokens(Seed(2))
            .unwrap()
            .model;
        let start = logits(&base, &PROMPT);
        let fresh = attach_lora(base.clone().train(), &LORA, Seed(4)).unwrap();
        // The second factor is 0: nothing has changed yet.
        assert_close(&logits(&fresh.clone().valid(), &PROMPT), &start);

        let trained = train(fresh, 5);
        let unmerged = logits(&trained.valid(), &PROMPT);
        assert_ne!(unmerged, start);
        let folder = tempfile::tempdir().unwrap();
        save_lora(&trained, &LORA, folder.path()).unwrap();
        let unmerged_folder = tempfile::tempdir().unwrap();
        let unmerged_checkpoint = PolicyCheckpoint {
            model: trained.valid(),
            ..checkpoint(name, 256)
        };
        let error = unmerged_checkpoint
            .save(unmerged_folder.path())
            .unwrap_err();
        assert!(error.to_string().contains("merge"), "{error}");
        let merged = merge_lora(trained);
        assert_close(&logits(&merged, &PROMPT), &unmerged);

        let (loaded, config) = load_lora(base.clone(), folder.path()).unwrap();
        assert_eq!(config, LORA);
        assert_close(&logits(&merge_lora(loaded), &PROMPT), &unmerged);

        // Without the tables only the projections move.
        let config = LoraConfig {
            trains_embeddings: false,
            ..LORA
        };
        let alone = attach_lora(base.clone().train(), &config, Seed(4)).unwrap();
        let alone = train(alone, 5);
        let folder = tempfile::tempdir().unwrap();
        save_lora(&alone, &config, folder.path()).unwrap();
        let n_base = base.num_params();
        let n_saved = std::fs::metadata(folder.path().join("adapter_model.safetensors"))
            .unwrap()
            .len();
        assert!(n_saved < 2 * n_base as u64, "{n_saved} of {n_base} x 4");
        let (loaded, _) = load_lora(base, folder.path()).unwrap();
        let found = logits(&merge_lora(loaded), &PROMPT);
        assert_close(&found, &logits(&merge_lora(alone), &PROMPT));
    }
}

#[test]
fn adapters_have_the_same_start_whatever_ran_before() {
    let base = checkpoint("qwen3_tied", 272).model;
    let run = |seed: u64| {
        let model = attach_lora(base.clone().train(), &LORA, Seed(seed)).unwrap();
        logits(&train(model, 3).valid(), &PROMPT)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_damaged_adapter_folder_is_refused_by_name() {
    let base = checkpoint("qwen3_tied", 256).model;
    let model = attach_lora(base.clone(), &LORA, Seed(1)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    save_lora(&model, &LORA, folder.path()).unwrap();
    let refused = |message: &str| {
        let error = load_lora(base.clone(), folder.path()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    };
    let config = folder.path().join("adapter_config.json");
    let written = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, written.replace("\"r\": 2", "\"r\": 3")).unwrap();
    refused("the model has F32");
    let without_tables = json!({"r": 2, "lora_alpha": 4.0});
    std::fs::write(&config, without_tables.to_string()).unwrap();
    refused("no place for");
    std::fs::write(&config, "{").unwrap();
    refused("adapter_config.json");
    std::fs::write(&config, written).unwrap();
    let weights = folder.path().join("adapter_model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    refused("adapter_model.safetensors");
    let error = save_lora(&base, &LORA, folder.path()).unwrap_err();
    assert!(error.to_string().contains("no adapters"), "{error}");
}

/// `EXTRACOT_PYTHON` names a Python with transformers.
#[test]
#[ignore = "needs EXTRACOT_PYTHON"]
fn transformers_computes_the_same_from_the_written_folder() {
    let python = extracot_tests::named_by("EXTRACOT_PYTHON");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/reload.py");
    for name in ["qwen3_tied", "qwen3_untied", "qwen2_linear"] {
        for max_shard_bytes in [20_000, u64::MAX] {
            let checkpoint = trained(name);
            let folder = tempfile::tempdir().unwrap();
            let how = SaveWeights {
                max_shard_bytes,
                ..SaveWeights::default()
            };
            checkpoint.save_as(folder.path(), &how).unwrap();

            // Adapters on top of the same folder.
            let with_lora = attach_lora(checkpoint.model.clone().train(), &LORA, Seed(4)).unwrap();
            let with_lora = train(with_lora, 5);
            save_lora(&with_lora, &LORA, &folder.path().join("adapter")).unwrap();
            let tokens = ControlToken::ALL.map(|token| token.to_string());
            let ids = tokens
                .clone()
                .map(|token| checkpoint.tokenizer.token_id(&token));
            let expected = json!({
                "input_ids": PROMPT,
                "logits": logits(&checkpoint.model, &PROMPT),
                "lora_logits": logits(&merge_lora(with_lora), &PROMPT),
                "vocab_size": checkpoint.model.vocab_size(),
                "tokens": tokens.iter().zip(ids).collect::<Vec<_>>(),
                "turn_close": TURN_CLOSE,
            });
            let path = folder.path().join("expected.json");
            std::fs::write(&path, expected.to_string()).unwrap();
            let output = Command::new(&python)
                .arg(&script)
                .arg(folder.path())
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {text}\n{errors}");
        }
    }
}
