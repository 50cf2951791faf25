//! Speed of a decoder: a training step, a prefill, and greedy decoding at several batch sizes.

use std::time::Instant;

use anyhow::{Context, Result};
use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use clap::Args;
use extracot_core::{Prompt, RolloutEngine, SamplingParams, Seed};
use extracot_models::init::randomize;
use extracot_models::{
    CausalLm, Decoder, DecoderConfig, DecoderSize, LocalEngine, RaggedBatch, StopRule,
};
use extracot_train::batch::{Sequence, TokenBatch, completion_loss};
use extracot_train::{UpdateConfig, Updater};

/// Tokens of the prefill.
const PREFILL: usize = 512;

/// Sizes of the decoder and of its work.
#[derive(Debug, Clone, Args)]
pub(super) struct DecoderWork {
    /// Width of the decoder
    #[arg(long, default_value_t = 128)]
    hidden: usize,
    /// Blocks of the decoder
    #[arg(long, default_value_t = 4)]
    layers: usize,
    /// Query heads
    #[arg(long, default_value_t = 4)]
    heads: usize,
    /// Key and value heads
    #[arg(long, default_value_t = 4)]
    kv_heads: usize,
    /// Width of a head
    #[arg(long, default_value_t = 32)]
    head_dim: usize,
    /// Inner width of the feed-forward
    #[arg(long, default_value_t = 384)]
    ffn: usize,
    /// Tokens of the vocabulary
    #[arg(long, default_value_t = 512)]
    vocab: usize,
    /// Sequences of a training step
    #[arg(long, default_value_t = 32)]
    train_batch: usize,
    /// Tokens of each of them
    #[arg(long, default_value_t = 128)]
    train_tokens: usize,
    /// Pieces of a training batch that are computed side by side
    #[arg(long, default_value_t = 1)]
    n_shards: usize,
    /// Rows that are decoded together
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32, 64])]
    decode_batches: Vec<usize>,
    /// Tokens generated per row
    #[arg(long, default_value_t = 96)]
    new_tokens: usize,
}

/// Seconds of every repetition of one kind of work, after one that does not count.
#[derive(Debug)]
pub(super) struct Rounds {
    /// `train_step`, `prefill` or `decode_b` with the rows.
    pub(super) bench: String,
    /// Tokens per repetition.
    pub(super) n_tokens: usize,
    /// Wall-clock time of every repetition.
    pub(super) seconds: Vec<f64>,
}

/// Measures all kinds of work.
///
/// # Errors
///
/// If a step or a rollout fails.
pub(super) fn measure(work: &DecoderWork, repeats: usize, device: &Device) -> Result<Vec<Rounds>> {
    let size = DecoderSize {
        hidden_size: work.hidden,
        intermediate_size: work.ffn,
        num_hidden_layers: work.layers,
        num_attention_heads: work.heads,
        num_key_value_heads: work.kv_heads,
        head_dim: work.head_dim,
        max_position_embeddings: 4096,
        rope_theta: 10_000.0,
    };
    let config = DecoderConfig::qwen3(size, work.vocab);
    let autodiff = device.clone().autodiff();
    let model = randomize(Decoder::new(&config, &autodiff), 1.0, 0.02, Seed(1));
    let plain = model.valid();
    let mut all = vec![train_steps(work, repeats, model, &autodiff)?];
    all.push(prefills(work, repeats, &plain, device)?);
    for rows in &work.decode_batches {
        all.push(decodings(work, (*rows, repeats), &plain, device)?);
    }
    Ok(all)
}

/// Ids that look like a text: the same for every model of this vocabulary.
fn token_ids(vocab: usize, n_tokens: usize) -> Vec<u32> {
    let id = |place| (Seed(2).derive("token", place).0 % vocab as u64) as u32;
    (0..n_tokens as u64).map(id).collect()
}

fn train_steps(
    work: &DecoderWork,
    repeats: usize,
    model: Decoder,
    device: &Device,
) -> Result<Rounds> {
    let (rows, row_tokens) = (work.train_batch, work.train_tokens);
    // The last token is not fed.
    let ids = token_ids(work.vocab, rows * (row_tokens + 1));
    let sequences: Vec<Sequence<'_>> = ids
        .chunks(row_tokens + 1)
        .map(|row| Sequence {
            prompt_ids: &row[..1],
            completion_ids: &row[1..],
        })
        .collect();
    let shards: Vec<TokenBatch> = sequences
        .chunks(rows.div_ceil(work.n_shards.max(1)))
        .map(TokenBatch::collate)
        .collect();
    let n_tokens = rows * row_tokens;
    let update = UpdateConfig {
        learning_rate: 1e-3,
        warmup_steps: 0,
        final_rate_share: 1.0,
        weight_decay: 0.01,
        decay_embeddings: true,
        beta_1: 0.9,
        beta_2: 0.999,
        clip_norm: 1.0,
    };
    let mut updater = Updater::try_new(&update, repeats + 1)?;
    let mut model = Some(model);
    let seconds = rounds(repeats, || {
        let current = model.take().context("a step failed before")?;
        let (next, _) = updater.step_with(current, &shards, device, |model, shard| {
            completion_loss(model, shard, n_tokens, None, device)
        })?;
        model = Some(next);
        Ok(())
    })?;
    Ok(Rounds {
        bench: "train_step".to_owned(),
        n_tokens,
        seconds,
    })
}

/// One row of tokens, and the logits behind the last.
fn prefills(
    work: &DecoderWork,
    repeats: usize,
    model: &Decoder,
    device: &Device,
) -> Result<Rounds> {
    let ids = token_ids(work.vocab, PREFILL);
    let ids: Vec<i32> = ids.into_iter().map(|id| id as i32).collect();
    let rows = RaggedBatch { n_pads: vec![0] };
    let seconds = rounds(repeats, || {
        let data = TensorData::new(ids.clone(), [1, PREFILL]);
        let ids = Tensor::<2, Int>::from_data(data, (device, DType::I32));
        let mut cache = model.new_cache(1, device);
        std::hint::black_box(model.extend(ids, &rows, &mut cache).into_data());
        Ok(())
    })?;
    Ok(Rounds {
        bench: "prefill".to_owned(),
        n_tokens: PREFILL,
        seconds,
    })
}

/// Greedy decoding from one token, with nothing that ends a row early.
fn decodings(
    work: &DecoderWork,
    (rows, repeats): (usize, usize),
    model: &Decoder,
    device: &Device,
) -> Result<Rounds> {
    let prompts: Vec<Prompt> = token_ids(work.vocab, rows)
        .into_iter()
        .enumerate()
        .map(|(row, id)| Prompt {
            id: row.to_string(),
            token_ids: vec![id],
        })
        .collect();
    let engine = LocalEngine {
        model,
        device,
        stop: StopRule::default(),
        batch_rows: rows,
        n_workers: 1,
        progress: &|_, _| {},
    };
    let params = SamplingParams::greedy(work.new_tokens);
    let seconds = rounds(repeats, || {
        std::hint::black_box(engine.rollout(&prompts, &params, Seed(3))?);
        Ok(())
    })?;
    Ok(Rounds {
        bench: format!("decode_b{rows}"),
        n_tokens: rows * work.new_tokens,
        seconds,
    })
}

fn rounds(repeats: usize, mut work: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    work()?;
    (0..repeats)
        .map(|_| {
            let started = Instant::now();
            work()?;
            Ok(started.elapsed().as_secs_f64())
        })
        .collect()
}
