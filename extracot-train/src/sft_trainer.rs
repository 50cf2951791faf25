//! Stage 2: supervised fine-tuning on sequences drawn by a curriculum.

use burn::tensor::Device;
use extracot_core::sft::SftExample;
use extracot_core::{CoreError, Seed};
use extracot_models::CausalLm;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::batch::{Sequence, TokenBatch, completion_logprobs};
use crate::update::{StepStats, UpdateConfig, Updater};

/// Settings of a supervised run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftConfig {
    /// Optimizer steps.
    pub n_steps: usize,
    /// Sequences per step.
    pub batch_size: usize,
    /// Batches drawn at a time and sorted by length, so that a batch holds similar lengths.
    pub bucket_batches: usize,
    /// Pieces of a batch that are computed side by side.
    pub n_shards: usize,
    /// Optimizer and schedule.
    pub update: UpdateConfig,
}

/// Trains on sequences from `draw`, which gives the example of a progress in `[0, 1]` and a random
/// stream, and tells `report` the statistics of every step.
///
/// The loss is the mean negative log-probability of the completion tokens of a batch.
///
/// # Errors
///
/// What `draw` and `report` fail with, and non-finite losses or gradients.
pub fn train_sft<M: CausalLm + Sync>(
    mut model: M,
    config: &SftConfig,
    device: &Device,
    seed: Seed,
    mut draw: impl FnMut(f64, Seed) -> Result<SftExample, TrainError>,
    mut report: impl FnMut(usize, &StepStats) -> Result<(), TrainError>,
) -> Result<M, TrainError> {
    if config.batch_size == 0 {
        let (key, found) = ("batch_size", "0".to_owned());
        return Err(CoreError::Setting {
            key,
            found,
            allowed: "at least 1",
        }
        .into());
    }
    let mut updater = Updater::try_new(&config.update, config.n_steps)?;
    let mut bucket: Vec<Vec<SftExample>> = Vec::new();
    for step in 0..config.n_steps {
        if bucket.is_empty() {
            let progress = step as f64 / config.n_steps as f64;
            let n_batches = config.bucket_batches.clamp(1, config.n_steps - step);
            let examples = (0..n_batches * config.batch_size)
                .map(|i| {
                    let example_idx = step * config.batch_size + i;
                    draw(progress, seed.derive("sft-example", example_idx as u64))
                })
                .collect::<Result<Vec<_>, _>>()?;
            bucket = length_buckets(
                examples,
                config.batch_size,
                seed.derive("bucket", step as u64),
            );
        }
        let examples = bucket.pop().ok_or(TrainError::NoData {
            what: "supervised fine-tuning",
        })?;
        let shards = shard(&examples, config.n_shards);
        let n_targets: usize = shards.iter().map(TokenBatch::n_targets).sum();
        let (next, stats) = updater.step(model, &shards, device, |model, shard| {
            completion_logprobs(model, shard, device).sum().neg() / n_targets as f64
        })?;
        model = next;
        report(step, &stats)?;
    }
    Ok(model)
}

/// Batches of similar lengths, in random order.
fn length_buckets(
    mut examples: Vec<SftExample>,
    batch_size: usize,
    seed: Seed,
) -> Vec<Vec<SftExample>> {
    use rand::seq::SliceRandom;
    examples.sort_by_key(|e| e.prompt_ids.len() + e.completion_ids.len());
    let mut batches: Vec<Vec<SftExample>> = examples
        .chunks(batch_size)
        .map(<[SftExample]>::to_vec)
        .collect();
    batches.shuffle(&mut seed.rng());
    batches
}

/// Rows dealt out in turn: the shards of a sorted batch have the same lengths.
fn shard(examples: &[SftExample], n_shards: usize) -> Vec<TokenBatch> {
    let n_shards = n_shards.clamp(1, examples.len().max(1));
    (0..n_shards)
        .map(|shard_idx| {
            let rows: Vec<Sequence<'_>> = examples
                .iter()
                .skip(shard_idx)
                .step_by(n_shards)
                .map(|e| Sequence {
                    prompt_ids: &e.prompt_ids,
                    completion_ids: &e.completion_ids,
                })
                .collect();
            TokenBatch::collate(&rows)
        })
        .collect()
}
