//! A decoder of random weights or of a folder: training steps, prefill, greedy decoding.

mod parity;
mod work;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::{DType, Device};
use clap::Args;
use extracot_core::Seed;
use extracot_models::checkpoint::{load_decoder, save_json};
use extracot_models::init::randomize;
use extracot_models::weights::save_weights;
use extracot_models::{Decoder, DecoderConfig, DecoderSize};

use super::measurement::Measurement;
pub(super) use parity::write_parity;
use work::{decode, prefill, train_steps};

/// Positions of a decoder with random weights.
const POSITIONS: usize = 4096;

/// Sizes of the decoder and of its work.
#[derive(Debug, Clone, Args)]
pub(super) struct DecoderWork {
    /// Width of the decoder
    #[arg(long, default_value_t = 128, conflicts_with = "model")]
    hidden: usize,
    /// Blocks of the decoder
    #[arg(long, default_value_t = 4, conflicts_with = "model")]
    layers: usize,
    /// Query heads
    #[arg(long, default_value_t = 4, conflicts_with = "model")]
    heads: usize,
    /// Key and value heads
    #[arg(long, default_value_t = 4, conflicts_with = "model")]
    kv_heads: usize,
    /// Width of a head
    #[arg(long, default_value_t = 32, conflicts_with = "model")]
    head_dim: usize,
    /// Inner width of the feed-forward
    #[arg(long, default_value_t = 384, conflicts_with = "model")]
    ffn: usize,
    /// Tokens of the vocabulary
    #[arg(long, default_value_t = 512, conflicts_with = "model")]
    vocab: usize,
    /// Model folder in Hugging Face layout, instead of random weights; it needs no tokenizer
    #[arg(long, value_name = "DIR", conflicts_with = "save")]
    pub(super) model: Option<PathBuf>,
    /// Write the random weights as a model folder, so that other programs measure the same
    #[arg(long, value_name = "DIR")]
    pub(super) save: Option<PathBuf>,
    /// Write token ids and what the decoder gives for them as JSON, so that other programs can compare; measure
    /// nothing
    #[arg(long, value_name = "FILE")]
    pub(super) parity: Option<PathBuf>,
    /// Kinds of work of the decoder
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "KIND",
        default_value = "train,prefill,decode"
    )]
    kinds: Vec<Kind>,
    /// Sequences of a training step
    #[arg(long, default_value = "32")]
    train_batch: NonZeroUsize,
    /// Tokens of each of them
    #[arg(long, default_value = "128")]
    train_tokens: NonZeroUsize,
    /// Pieces of a training batch that are computed side by side
    #[arg(long, default_value = "1")]
    n_shards: NonZeroUsize,
    /// The logits of so many tokens at a time in a training step, instead of all
    #[arg(long, value_name = "TOKENS")]
    logits_chunk: Option<NonZeroUsize>,
    /// Tokens of the prefill
    #[arg(long, default_value = "512")]
    prefill_tokens: NonZeroUsize,
    /// Rows that are decoded together
    #[arg(long, value_delimiter = ',', default_value = "1,8,32,64")]
    decode_batches: Vec<NonZeroUsize>,
    /// Batches that the rows are split into and that are decoded side by side
    #[arg(long, default_value = "1")]
    n_workers: NonZeroUsize,
    /// Rows of each of these at least, as each reads all weights: more pays where they are large
    #[arg(long, default_value = "1", value_name = "ROWS")]
    least_rows: NonZeroUsize,
    /// Tokens of the prompt of each row
    #[arg(long, default_value = "1")]
    prompt_tokens: NonZeroUsize,
    /// Tokens generated per row
    #[arg(long, default_value = "96")]
    new_tokens: NonZeroUsize,
}

/// What a decoder does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Forward, backward, clip, `AdamW`
    Train,
    /// One row, and the logits behind its last token
    Prefill,
    /// Greedy decoding with a key-value cache
    Decode,
}

/// Measures the kinds of work that are asked for.
///
/// # Errors
///
/// If the folder cannot be read or written, the work does not fit the decoder, or a step fails.
pub(super) fn measure(
    work: &DecoderWork,
    repeats: NonZeroUsize,
    device: &Device,
    report: &mut dyn FnMut(Measurement) -> Result<()>,
) -> Result<()> {
    // Training takes what is loaded, so that it holds no weights but those that it trains.
    let mut loaded = None;
    for kind in &work.kinds {
        let model = match loaded.take() {
            Some(model) => model,
            None => work.model(device)?,
        };
        match kind {
            Kind::Train => report(train_steps(work, repeats, model, device)?)?,
            Kind::Prefill => report(prefill(work, repeats, loaded.insert(model), device)?)?,
            Kind::Decode => {
                let model = loaded.insert(model);
                for rows in &work.decode_batches {
                    report(decode(work, (*rows, repeats), model, device)?)?;
                }
            }
        }
    }
    Ok(())
}

impl DecoderWork {
    /// The decoder, without autodiff.
    fn model(&self, device: &Device) -> Result<Decoder> {
        let config = match &self.model {
            Some(folder) => DecoderConfig::load(folder)
                .with_context(|| format!("--model {}", folder.display()))?,
            None => DecoderConfig::qwen3(self.size(), self.vocab),
        };
        config.check()?;
        self.check_positions(config.max_position_embeddings)?;
        let model = match &self.model {
            Some(folder) => load_decoder(&config, folder, DType::F32, device)?,
            None => randomize(Decoder::new(&config, device), 1.0, 0.02, Seed(1)),
        };
        if let Some(folder) = &self.save {
            save(&model, &config, folder)?;
        }
        Ok(model)
    }

    fn size(&self) -> DecoderSize {
        DecoderSize {
            hidden_size: self.hidden,
            intermediate_size: self.ffn,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            num_key_value_heads: self.kv_heads,
            head_dim: self.head_dim,
            max_position_embeddings: POSITIONS,
            rope_theta: 10_000.0,
        }
    }

    fn check_positions(&self, n_positions: usize) -> Result<()> {
        let decoded = self
            .prompt_tokens
            .get()
            .saturating_add(self.new_tokens.get());
        for (kind, what, n_tokens) in [
            (Kind::Train, "--train-tokens", self.train_tokens.get()),
            (Kind::Prefill, "--prefill-tokens", self.prefill_tokens.get()),
            (Kind::Decode, "--prompt-tokens and --new-tokens", decoded),
        ] {
            if self.kinds.contains(&kind) && n_tokens > n_positions {
                bail!("{what}: {n_tokens} tokens, and the decoder has {n_positions} positions");
            }
        }
        Ok(())
    }
}

/// Writes config and weights: all that is read back with `--model`.
fn save(model: &Decoder, config: &DecoderConfig, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    save_weights(model, &folder.join("model.safetensors"))?;
    Ok(save_json(config, &folder.join("config.json"))?)
}
