//! What other programs have to get from the same weights and ids before they are timed.

use std::path::Path;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::Device;
use extracot_core::Prompt;
use extracot_models::CausalLm;
use extracot_models::checkpoint::save_json;
use serde::Serialize;

use super::work::{TrainBatch, decoded, last_logits, prefill_ids, prompts, train_rows, updater};
use super::{DecoderWork, Kind};

/// The file; a kind of work that is not asked for is not in it.
#[derive(Debug, Default, Serialize)]
struct Parity {
    #[serde(skip_serializing_if = "Option::is_none")]
    train: Option<TrainParity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefill: Option<PrefillParity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decode: Option<DecodeParity>,
}

/// The first training step.
#[derive(Debug, Serialize)]
struct TrainParity {
    /// Rows with one more id than is fed.
    token_ids: Vec<Vec<u32>>,
    /// Mean of `-log p` of all ids but the first of each row.
    loss: f64,
    /// Global L2 norm of the gradient before clipping.
    grad_norm: f64,
}

#[derive(Debug, Serialize)]
struct PrefillParity {
    token_ids: Vec<u32>,
    /// Behind the last id.
    logits: Vec<f32>,
}

#[derive(Debug, Serialize)]
struct DecodeParity {
    new_tokens: usize,
    /// Of the largest batch; a smaller one has the first of them.
    prompts: Vec<Vec<u32>>,
    /// What follows the first prompt, greedily.
    first_row: Vec<u32>,
}

/// Computes every kind of work once and writes it to `path`.
///
/// # Errors
///
/// As [`super::measure`], and if the file cannot be written.
pub(in crate::commands::bench) fn write_parity(
    work: &DecoderWork,
    path: &Path,
    device: &Device,
) -> Result<()> {
    let model = work.model(device)?;
    let vocab = model.vocab_size();
    let mut parity = Parity::default();
    if work.kinds.contains(&Kind::Train) {
        let token_ids = train_rows(work, vocab);
        let batch = TrainBatch::new(work, &token_ids);
        let autodiff = device.clone().autodiff();
        let (_, stats) = batch.step(&mut updater(1)?, model.clone().train(), &autodiff)?;
        parity.train = Some(TrainParity {
            token_ids,
            loss: stats.loss,
            grad_norm: stats.grad_norm,
        });
    }
    if work.kinds.contains(&Kind::Prefill) {
        let token_ids = prefill_ids(work, vocab);
        parity.prefill = Some(PrefillParity {
            logits: last_logits(&model, &token_ids, device),
            token_ids,
        });
    }
    let most_rows = work.decode_batches.iter().max().copied();
    if let Some(rows) = most_rows.filter(|_| work.kinds.contains(&Kind::Decode)) {
        let prompts: Vec<Prompt> = prompts(work, rows, vocab);
        let groups = decoded(work, &prompts[..1], &model, device)?;
        let first = groups.first().and_then(|group| group.rollouts.first());
        parity.decode = Some(DecodeParity {
            new_tokens: work.new_tokens.get(),
            first_row: first
                .map(|rollout| rollout.token_ids.clone())
                .unwrap_or_default(),
            prompts: prompts.into_iter().map(|prompt| prompt.token_ids).collect(),
        });
    }
    save_json(&parity, path).with_context(|| format!("--parity {}", path.display()))
}
