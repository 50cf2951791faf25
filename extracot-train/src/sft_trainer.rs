//! Stage 2: supervised fine-tuning on sequences drawn by a curriculum.

use std::num::NonZeroUsize;

use burn::tensor::Device;
use extracot_core::sft::SftExample;
use extracot_core::{CoreError, Seed};
use extracot_models::CausalLm;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::batch::{Sequence, TokenBatch, check_batch_size, completion_loss, length_shards};
use crate::update::{StepStats, UpdateConfig, Updater};
use crate::weight_average::WeightAverage;

/// Settings of a supervised run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftConfig {
    /// Optimizer steps.
    pub n_steps: usize,
    /// Sequences per step.
    pub batch_size: usize,
    /// Pieces of similar lengths that a batch is cut into; they are computed side by side.
    pub n_shards: usize,
    /// Decay of the average of weights over steps that is returned ([`WeightAverage`]); 0 returns
    /// the last weights.
    pub ema_decay: f64,
    /// Completion tokens whose logits exist at a time; all of a shard without it. A large vocabulary
    /// needs it: 64 tokens of 151936 logits are 39 MB, several times over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logits_chunk: Option<NonZeroUsize>,
    /// Sequences stand one behind the other in rows of so many tokens ([`TokenBatch::pack`]); one per row
    /// without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_tokens: Option<NonZeroUsize>,
    /// Optimizer and schedule.
    pub update: UpdateConfig,
}

/// Trains on sequences from `draw`, which gives the example of a progress in `[0, 1]` and a random
/// stream, and tells `report` the statistics of every step.
///
/// The loss is the mean negative log-probability of the completion tokens of a batch; 0, and no
/// gradient, for a batch without any.
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
    check_batch_size(config.batch_size)?;
    if !(0.0..1.0).contains(&config.ema_decay) {
        return Err(CoreError::Setting {
            key: "ema_decay",
            found: config.ema_decay.to_string(),
            allowed: "at least 0 and below 1",
        }
        .into());
    }
    let mut updater = Updater::try_new(&config.update, config.n_steps)?;
    let mut average =
        (config.ema_decay > 0.0).then(|| WeightAverage::new(&model, config.ema_decay));
    for step in 0..config.n_steps {
        let progress = step as f64 / config.n_steps as f64;
        let examples = (0..config.batch_size)
            .map(|i| {
                let example_idx = step * config.batch_size + i;
                draw(progress, seed.derive("sft-example", example_idx as u64))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let shards = shards(&examples, config);
        let n_targets = shards
            .iter()
            .map(TokenBatch::n_targets)
            .sum::<usize>()
            .max(1);
        let (next, stats) = updater.step_with(model, &shards, device, |model, shard| {
            completion_loss(model, shard, n_targets, config.logits_chunk, device)
        })?;
        model = next;
        if let Some(average) = &mut average {
            average.update(&model);
        }
        report(step, &stats)?;
    }
    Ok(match average {
        Some(average) => average.apply(model),
        None => model,
    })
}

/// A batch in pieces of similar lengths: little padding.
fn shards(examples: &[SftExample], config: &SftConfig) -> Vec<TokenBatch> {
    let lengths: Vec<usize> = examples
        .iter()
        .map(|e| e.prompt_ids.len() + e.completion_ids.len())
        .collect();
    length_shards(&lengths, config.n_shards)
        .iter()
        .map(|shard| {
            let rows: Vec<Sequence<'_>> = shard
                .iter()
                .map(|&idx| Sequence {
                    prompt_ids: &examples[idx].prompt_ids,
                    completion_ids: &examples[idx].completion_ids,
                })
                .collect();
            match config.row_tokens {
                Some(row_tokens) => TokenBatch::pack(&rows, row_tokens),
                None => TokenBatch::collate(&rows),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use extracot_models::BigramLm;

    fn config(ema_decay: f64) -> SftConfig {
        SftConfig {
            n_steps: 40,
            batch_size: 4,
            n_shards: 2,
            ema_decay,
            logits_chunk: None,
            row_tokens: None,
            update: UpdateConfig {
                learning_rate: 0.1,
                warmup_steps: 2,
                final_rate_share: 0.1,
                weight_decay: 0.0,
                decay_embeddings: true,
                beta_1: 0.9,
                beta_2: 0.98,
                clip_norm: 1.0,
            },
        }
    }

    /// Completions of 1 to 4 tokens that count upwards.
    fn draw(_progress: f64, seed: Seed) -> Result<SftExample, TrainError> {
        let n_tokens = 1 + seed.0 % 4;
        Ok(SftExample {
            problem_id: "p".to_owned(),
            control: None,
            level: None,
            prompt_ids: vec![0],
            completion_ids: (1..=n_tokens as u32).collect(),
        })
    }

    /// The losses of all steps, and the loss of the model that comes out.
    fn losses(config: &SftConfig) -> Result<(Vec<f64>, f64), TrainError> {
        let device = Device::flex().autodiff();
        let model = BigramLm::new(&vec![vec![0.0; 6]; 6], &device);
        let mut losses = Vec::new();
        let model = train_sft(model, config, &device, Seed(5), draw, |_, stats| {
            losses.push(stats.loss);
            Ok(())
        })?;
        let once = SftConfig {
            n_steps: 1,
            ema_decay: 0.0,
            ..*config
        };
        let mut after = 0.0;
        train_sft(model, &once, &device, Seed(6), draw, |_, stats| {
            after = stats.loss;
            Ok(())
        })?;
        Ok((losses, after))
    }

    #[test]
    fn learns_to_count() {
        let (losses, after) = losses(&config(0.0)).unwrap();
        // Six tokens are equally likely at first. What stays is not known: where the counting ends
        // is not part of the completion.
        assert!((losses[0] - 6.0_f64.ln()).abs() < 1e-4, "{}", losses[0]);
        assert!(after < 0.2, "{after}");
    }

    #[test]
    fn an_average_of_the_weights_comes_out_where_it_is_asked_for() {
        let (of_steps, last) = losses(&config(0.0)).unwrap();
        let (of_averaged, averaged) = losses(&config(0.9)).unwrap();
        // The steps are the same; the average lags behind.
        assert_eq!(of_steps, of_averaged);
        assert!(
            averaged > last && averaged < of_steps[0],
            "{averaged} {last}"
        );
    }

    #[test]
    fn chunks_and_packed_rows_train_the_same_model() {
        let plain = losses(&config(0.0)).unwrap();
        let lean = SftConfig {
            logits_chunk: NonZeroUsize::new(3),
            row_tokens: NonZeroUsize::new(5),
            ..config(0.0)
        };
        let lean = losses(&lean).unwrap();
        for (lean, plain) in lean.0.iter().zip(&plain.0) {
            assert!((lean - plain).abs() < 1e-4, "{lean} {plain}");
        }
        assert_ne!(lean, plain);
    }

    #[test]
    fn settings_without_sense_are_refused_by_key() {
        for (config, key) in [
            (config(1.0), "ema_decay"),
            (config(f64::NAN), "ema_decay"),
            (
                SftConfig {
                    batch_size: 0,
                    ..config(0.0)
                },
                "batch_size",
            ),
        ] {
            let error = losses(&config).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
