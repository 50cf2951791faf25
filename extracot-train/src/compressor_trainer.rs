//! Stage 1: training of the compressor's token classifier on keep labels.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use extracot_core::{CoreError, Seed};
use extracot_models::{ClassifierBatch, ClassifierInput, ClassifierRow, TokenClassifier};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

mod held_out;
mod quality;
mod run;

pub use held_out::{HeldOut, HeldOutConfig, HeldOutQuality, HeldOutText};
pub use quality::{ClassQuality, KeepConfusion};
pub use run::{CompressorRun, TrainedCompressor};

use crate::TrainError;
use crate::batch::{check_batch_size, length_shards};
use crate::loss::{FocalWeights, focal_keep_losses};
use crate::update::{StepStats, UpdateConfig, Updater};

/// One window of a think text with the labels of all atoms of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepExample {
    /// The tokens.
    pub input: ClassifierInput,
    /// Per atom of the whole text whether it should be kept.
    pub keep: Vec<bool>,
}

impl KeepExample {
    /// Labels of the think text's tokens: a token has its atom's.
    fn token_labels(&self) -> impl Iterator<Item = bool> + '_ {
        self.input
            .atom_of_token
            .iter()
            .map(|atom_idx| self.keep[*atom_idx])
    }
}

/// Settings of a compressor run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompressorConfig {
    /// Optimizer steps.
    pub n_steps: usize,
    /// Inputs per step.
    pub batch_size: usize,
    /// Pieces of similar lengths that a batch is cut into; they are computed side by side.
    pub n_shards: usize,
    /// Exponent of the focal factor; 0 turns it off.
    pub gamma: f64,
    /// What the classes weigh.
    pub class_weights: ClassWeights,
    /// Optimizer and schedule.
    pub update: UpdateConfig,
}

/// What tokens to keep and tokens to drop weigh in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// Both classes the same in all ([`FocalWeights::balanced`]).
    Balanced,
    /// Every token the same.
    None,
}

/// Trains on `examples`, in a new random order each time around, and tells `report` the statistics
/// of every step. [`CompressorRun`] does the same and looks at held-out texts besides.
///
/// The loss is the mean focal loss over the think text's tokens of a batch. The classes are weighted
/// by their frequency among all examples.
///
/// # Errors
///
/// No examples, or labels of one class only; settings without sense; non-finite losses or gradients;
/// what `report` fails with.
///
/// # Panics
///
/// If an example has no label for an atom of its input.
pub fn train_compressor<C: TokenClassifier + Sync>(
    mut model: C,
    examples: &[KeepExample],
    config: &CompressorConfig,
    device: &Device,
    seed: Seed,
    mut report: impl FnMut(usize, &StepStats) -> Result<(), TrainError>,
) -> Result<C, TrainError> {
    let mut steps = Steps::try_new(examples, config, device, seed)?;
    for step in 0..config.n_steps {
        let (next, stats) = steps.step(model)?;
        model = next;
        report(step, &stats)?;
    }
    Ok(model)
}

/// What one step after the other needs beside the model.
struct Steps<'a> {
    examples: &'a [KeepExample],
    config: &'a CompressorConfig,
    device: &'a Device,
    weights: FocalWeights,
    updater: Updater,
    /// Indices of the examples, round after round.
    order: Box<dyn Iterator<Item = usize>>,
}

impl<'a> Steps<'a> {
    fn try_new(
        examples: &'a [KeepExample],
        config: &'a CompressorConfig,
        device: &'a Device,
        seed: Seed,
    ) -> Result<Self, TrainError> {
        let updater = Updater::try_new(&config.update, config.n_steps)?;
        let weights = focal_weights(examples, config)?;
        check_batch_size(config.batch_size)?;
        let n_examples = examples.len();
        let shuffled = move |round: u64| {
            let mut order: Vec<usize> = (0..n_examples).collect();
            order.shuffle(&mut seed.derive("compressor-round", round).rng());
            order
        };
        Ok(Self {
            examples,
            config,
            device,
            weights,
            updater,
            order: Box::new((0..).flat_map(shuffled)),
        })
    }

    fn step<C: TokenClassifier + Sync>(&mut self, model: C) -> Result<(C, StepStats), TrainError> {
        let batch: Vec<&KeepExample> = self
            .order
            .by_ref()
            .take(self.config.batch_size)
            .map(|idx| &self.examples[idx])
            .collect();
        let shards = shards(&batch, self.config.n_shards);
        let n_labels: usize = shards.iter().map(|shard| shard.is_kept.len()).sum();
        let (weights, device) = (&self.weights, self.device);
        self.updater.step(model, &shards, device, |model, shard| {
            shard.losses(model, weights, device).sum() / n_labels as f64
        })
    }

    /// Goes on behind `n_steps` steps with the optimizer's state after them.
    fn after(mut self, n_steps: usize, optimizer: Vec<u8>) -> Result<Self, TrainError> {
        self.updater = self.updater.after(n_steps, optimizer)?;
        let n_seen = n_steps * self.config.batch_size;
        self.order = Box::new(self.order.skip(n_seen));
        Ok(self)
    }
}

fn focal_weights(
    examples: &[KeepExample],
    config: &CompressorConfig,
) -> Result<FocalWeights, TrainError> {
    let gamma = config.gamma;
    if !gamma.is_finite() || gamma < 0.0 {
        return Err(CoreError::Setting {
            key: "gamma",
            found: gamma.to_string(),
            allowed: "at least 0",
        }
        .into());
    }
    if examples.is_empty() {
        return Err(TrainError::NoData {
            what: "the compressor",
        });
    }
    let n_labels: usize = examples
        .iter()
        .map(|example| example.token_labels().count())
        .sum();
    let kept = |example: &KeepExample| example.token_labels().filter(|is_kept| *is_kept).count();
    let n_keep: usize = examples.iter().map(kept).sum();
    // Labels of one class teach nothing under any weights.
    let balanced = FocalWeights::balanced(n_labels - n_keep, n_keep, gamma)?;
    Ok(match config.class_weights {
        ClassWeights::Balanced => balanced,
        ClassWeights::None => FocalWeights {
            alpha_drop: 1.0,
            alpha_keep: 1.0,
            gamma,
        },
    })
}

/// A padded batch with the labels of its think text tokens.
struct KeepBatch {
    inputs: ClassifierBatch,
    /// Flat index (`row * seq + column`) of each labeled token.
    labeled: Vec<i32>,
    is_kept: Vec<bool>,
}

impl KeepBatch {
    fn collate<'a>(examples: impl Iterator<Item = &'a KeepExample> + Clone) -> Self {
        let rows: Vec<ClassifierRow<'_>> = examples
            .clone()
            .map(|example| example.input.row())
            .collect();
        let inputs = ClassifierBatch::collate(&rows);
        let (mut labeled, mut is_kept) = (Vec::new(), Vec::new());
        for (row, example) in examples.enumerate() {
            let first = row * inputs.seq() + example.input.n_question;
            labeled.extend(
                (first..)
                    .take(example.input.atom_of_token.len())
                    .map(|i| i as i32),
            );
            is_kept.extend(example.token_labels());
        }
        Self {
            inputs,
            labeled,
            is_kept,
        }
    }

    fn losses<C: TokenClassifier>(
        &self,
        model: &C,
        weights: &FocalWeights,
        device: &Device,
    ) -> Tensor<1> {
        let labeled = TensorData::new(self.labeled.clone(), [self.labeled.len()]);
        let labeled = Tensor::<1, Int>::from_data(labeled, (device, DType::I32));
        let logits = model.forward(&self.inputs, device).flatten::<2>(0, 1); // [batch * seq, 2]
        focal_keep_losses(logits.select(0, labeled), &self.is_kept, weights)
    }
}

/// A batch in pieces of similar lengths: little padding.
fn shards(examples: &[&KeepExample], n_shards: usize) -> Vec<KeepBatch> {
    let lengths: Vec<usize> = examples.iter().map(|e| e.input.n_tokens()).collect();
    length_shards(&lengths, n_shards)
        .iter()
        .map(|shard| KeepBatch::collate(shard.iter().map(|&idx| examples[idx])))
        .collect()
}

#[cfg(test)]
mod tests;
