//! The work that is timed, on token ids that are the same for every model of a vocabulary.

use std::hint::black_box;
use std::num::NonZeroUsize;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use extracot_core::{Prompt, RolloutEngine, RolloutGroup, SamplingParams, Seed};
use extracot_kernels::prefer_large_pages;
use extracot_models::{
    CausalLm, Decoder, LocalEngine, ROWS_FOR_LARGE_PAGES, RaggedBatch, StopRule,
};
use extracot_train::batch::{Sequence, TokenBatch, completion_loss};
use extracot_train::update::StepStats;
use extracot_train::{UpdateConfig, Updater};

use super::DecoderWork;
use crate::commands::bench::measurement::{Measurement, repeat};

/// Ids that look like a text.
pub(super) fn token_ids(vocab: usize, n_tokens: usize) -> Vec<u32> {
    let id = |place| (Seed(2).derive("token", place).0 % vocab as u64) as u32;
    (0..n_tokens as u64).map(id).collect()
}

/// Training sequences of a decoder, in the pieces that are computed side by side.
pub(super) struct TrainBatch {
    shards: Vec<TokenBatch>,
    n_tokens: usize,
    logits_chunk: Option<NonZeroUsize>,
}

/// The ids of the training batch, row after row: each has one more than is fed, as the last is only predicted.
pub(super) fn train_rows(work: &DecoderWork, vocab: usize) -> Vec<Vec<u32>> {
    let n_row = work.train_tokens.get() + 1;
    let ids = token_ids(vocab, work.train_batch.get() * n_row);
    ids.chunks(n_row).map(<[u32]>::to_vec).collect()
}

impl TrainBatch {
    pub(super) fn new(work: &DecoderWork, rows: &[Vec<u32>]) -> Self {
        let sequences: Vec<Sequence<'_>> = rows
            .iter()
            .map(|row| Sequence {
                prompt_ids: &row[..1],
                completion_ids: &row[1..],
            })
            .collect();
        let n_piece = sequences.len().div_ceil(work.n_shards.get());
        Self {
            shards: sequences.chunks(n_piece).map(TokenBatch::collate).collect(),
            n_tokens: rows.len() * work.train_tokens.get(),
            logits_chunk: work.logits_chunk,
        }
    }

    /// Forward, backward, clip, `AdamW`. The loss is the mean over all fed tokens.
    pub(super) fn step(
        &self,
        updater: &mut Updater,
        model: Decoder,
        device: &Device,
    ) -> Result<(Decoder, StepStats)> {
        let (n_tokens, chunk) = (self.n_tokens, self.logits_chunk);
        Ok(
            updater.step_with(model, &self.shards, device, |model, shard| {
                completion_loss(model, shard, n_tokens, chunk, device)
            })?,
        )
    }
}

/// An optimizer as PyTorch's defaults have it, for `n_steps`.
pub(super) fn updater(n_steps: usize) -> Result<Updater> {
    let config = UpdateConfig {
        learning_rate: 1e-3,
        warmup_steps: 0,
        final_rate_share: 1.0,
        weight_decay: 0.01,
        decay_embeddings: true,
        beta_1: 0.9,
        beta_2: 0.999,
        clip_norm: 1.0,
    };
    Ok(Updater::try_new(&config, n_steps)?)
}

/// Times training steps.
pub(super) fn train_steps(
    work: &DecoderWork,
    repeats: NonZeroUsize,
    model: Decoder,
    device: &Device,
) -> Result<Measurement> {
    let device = device.clone().autodiff();
    let batch = TrainBatch::new(work, &train_rows(work, model.vocab_size()));
    let mut updater = updater(repeats.get() + 1)?;
    let mut current = Some(model.train());
    let timings = repeat(repeats, || {
        let model = current.take().context("a step failed before")?;
        let (next, _) = batch.step(&mut updater, model, &device)?;
        current = Some(next);
        Ok(())
    })?;
    Measurement::of_tokens("train_step", batch.n_tokens, &timings)
}

/// The ids of the prefill.
pub(super) fn prefill_ids(work: &DecoderWork, vocab: usize) -> Vec<u32> {
    token_ids(vocab, work.prefill_tokens.get())
}

/// The logits behind the last of one row of tokens.
pub(super) fn last_logits(model: &Decoder, token_ids: &[u32], device: &Device) -> Vec<f32> {
    let ids: Vec<i32> = token_ids.iter().map(|id| *id as i32).collect();
    let data = TensorData::new(ids, [1, token_ids.len()]);
    let ids = Tensor::<2, Int>::from_data(data, (device, DType::I32));
    let rows = RaggedBatch { n_pads: vec![0] };
    let mut cache = model.new_cache(1, device);
    let logits = model.extend(ids, &rows, &mut cache).into_data();
    logits.iter::<f32>().collect()
}

/// Times a prefill.
pub(super) fn prefill(
    work: &DecoderWork,
    repeats: NonZeroUsize,
    model: &Decoder,
    device: &Device,
) -> Result<Measurement> {
    let ids = prefill_ids(work, model.vocab_size());
    let timings = repeat(repeats, || {
        black_box(last_logits(model, &ids, device));
        Ok(())
    })?;
    Measurement::of_tokens("prefill", ids.len(), &timings)
}

/// Prompts of so many rows: of more rows the first ones are the same.
pub(super) fn prompts(work: &DecoderWork, rows: NonZeroUsize, vocab: usize) -> Vec<Prompt> {
    let n_prompt = work.prompt_tokens.get();
    token_ids(vocab, rows.get() * n_prompt)
        .chunks(n_prompt)
        .enumerate()
        .map(|(row, ids)| Prompt {
            id: row.to_string(),
            token_ids: ids.to_vec(),
        })
        .collect()
}

/// Decodes greedily, with nothing that ends a row early.
pub(super) fn decoded(
    work: &DecoderWork,
    prompts: &[Prompt],
    model: &Decoder,
    device: &Device,
) -> Result<Vec<RolloutGroup>> {
    let engine = LocalEngine {
        model,
        device,
        stop: StopRule::default(),
        batch_rows: prompts
            .len()
            .div_ceil(work.n_workers.get())
            .max(work.least_rows.get()),
        n_workers: work.n_workers.get(),
        progress: &|_, _| {},
    };
    let params = SamplingParams::greedy(work.new_tokens.get());
    Ok(engine.rollout(prompts, &params, Seed(3))?)
}

/// Times the decoding of a batch, its prompts included.
pub(super) fn decode(
    work: &DecoderWork,
    (rows, repeats): (NonZeroUsize, NonZeroUsize),
    model: &Decoder,
    device: &Device,
) -> Result<Measurement> {
    let prompts = prompts(work, rows, model.vocab_size());
    // What a long rollout begins with; the repetitions stand for one.
    if rows.get() >= ROWS_FOR_LARGE_PAGES {
        prefer_large_pages(model);
    }
    let timings = repeat(repeats, || {
        black_box(decoded(work, &prompts, model, device)?);
        Ok(())
    })?;
    let n_tokens = rows.get() * work.new_tokens.get();
    Measurement::of_tokens(format!("decode_b{rows}"), n_tokens, &timings)
}
