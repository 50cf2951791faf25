//! Stage 1: training of the compressor's token classifier on keep labels.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use extracot_core::Seed;
use extracot_models::{ClassifierBatch, ClassifierInput, ClassifierRow, TokenClassifier};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

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
    /// Exponent of the focal factor.
    pub gamma: f64,
    /// Optimizer and schedule.
    pub update: UpdateConfig,
}

/// Trains on `examples`, in a new random order each time around, and tells `report` the statistics
/// of every step.
///
/// The loss is the mean focal loss over the think text's tokens of a batch. The classes are weighted
/// by their frequency among all examples.
///
/// # Errors
///
/// No examples, or labels of one class only; non-finite losses or gradients; what `report` fails
/// with.
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
    let mut updater = Updater::try_new(&config.update, config.n_steps)?;
    let weights = class_weights(examples, config.gamma)?;
    check_batch_size(config.batch_size)?;
    let shuffled = |round: u64| {
        let mut order: Vec<usize> = (0..examples.len()).collect();
        order.shuffle(&mut seed.derive("compressor-round", round).rng());
        order
    };
    let mut order = (0..).flat_map(shuffled);
    for step in 0..config.n_steps {
        let batch: Vec<&KeepExample> = order
            .by_ref()
            .take(config.batch_size)
            .map(|idx| &examples[idx])
            .collect();
        let shards = shards(&batch, config.n_shards);
        let n_labels: usize = shards.iter().map(|shard| shard.is_kept.len()).sum();
        let (next, stats) = updater.step(model, &shards, device, |model, shard| {
            shard.losses(model, &weights, device).sum() / n_labels as f64
        })?;
        model = next;
        report(step, &stats)?;
    }
    Ok(model)
}

fn class_weights(examples: &[KeepExample], gamma: f64) -> Result<FocalWeights, TrainError> {
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
    FocalWeights::balanced(n_labels - n_keep, n_keep, gamma)
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

/// How often keep scores above 0 agree with keep labels; atoms are counted, not tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepConfusion {
    /// Kept and labeled keep.
    pub kept_right: usize,
    /// Kept but labeled drop.
    pub kept_wrong: usize,
    /// Dropped and labeled drop.
    pub dropped_right: usize,
    /// Dropped but labeled keep.
    pub dropped_wrong: usize,
}

/// Quality of one class, each in `[0, 1]`; 0 where nothing could be right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassQuality {
    /// Share of the decisions for the class that are right.
    pub precision: f64,
    /// Share of the class that is found.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

impl KeepConfusion {
    /// Counts the atoms of one think text.
    ///
    /// # Panics
    ///
    /// If there is not one label per score.
    pub fn add(&mut self, scores: &[f32], is_kept: &[bool]) {
        assert_eq!(scores.len(), is_kept.len(), "one label per score");
        for (score, is_kept) in scores.iter().zip(is_kept) {
            let counter = match (*score > 0.0, *is_kept) {
                (true, true) => &mut self.kept_right,
                (true, false) => &mut self.kept_wrong,
                (false, false) => &mut self.dropped_right,
                (false, true) => &mut self.dropped_wrong,
            };
            *counter += 1;
        }
    }

    /// Quality of the decisions to keep.
    pub fn of_keep(&self) -> ClassQuality {
        quality(self.kept_right, self.kept_wrong, self.dropped_wrong)
    }

    /// Quality of the decisions to drop.
    pub fn of_drop(&self) -> ClassQuality {
        quality(self.dropped_right, self.dropped_wrong, self.kept_wrong)
    }
}

fn quality(n_right: usize, n_wrong: usize, n_missed: usize) -> ClassQuality {
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    ClassQuality {
        precision: share(n_right, n_right + n_wrong),
        recall: share(n_right, n_right + n_missed),
        f1: share(2 * n_right, 2 * n_right + n_wrong + n_missed),
    }
}

#[cfg(test)]
mod tests;
