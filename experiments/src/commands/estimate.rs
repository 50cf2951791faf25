//! `extracot estimate`: the memory that a run will take; and the check before a run.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Result, bail};
use burn::tensor::DType;
use clap::{Args, ValueEnum};
use extracot_models::lora::LoraConfig;
use extracot_models::memory::gib;
use extracot_models::{DecoderConfig, MemoryEstimate, TrainingRows, Workload};

/// Estimates memory from a model's config.json, without its weights.
///
/// In f32, as if every row were as long as --positions.
#[derive(Debug, Args)]
pub struct Estimate {
    /// Model folder in Hugging Face layout; only its config.json is read
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// What is done with the model
    #[arg(long, value_enum)]
    task: Task,
    /// Sequences per batch or step
    #[arg(long)]
    rows: usize,
    /// Longest prompt with its completion, in tokens
    #[arg(long)]
    positions: usize,
    /// Pieces of a training step that are computed side by side (n_shards)
    #[arg(long, default_value_t = 1)]
    shards: usize,
    /// Tokens of a piece whose logits exist at a time in training (logits_chunk); all by default
    #[arg(long, value_name = "N")]
    logits_chunk: Option<NonZeroUsize>,
    /// Rank of adapters that are trained in place of the weights
    #[arg(long, value_name = "RANK")]
    lora: Option<usize>,
    /// Copies of the trained weights: one with held-out data (the best), one for an average (ema_decay)
    #[arg(long, value_name = "N", default_value_t = 1)]
    copies: usize,
    /// With adapters, train the embeddings too
    #[arg(long, requires = "lora")]
    lora_embeddings: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Task {
    /// Decoding
    Generate,
    /// Supervised fine-tuning
    Sft,
    /// Reinforcement learning with a reference model
    Chrpo,
}

/// Runs the command.
///
/// # Errors
///
/// If the config cannot be used.
#[allow(
    clippy::print_stdout,
    reason = "the estimate is what the command is for"
)]
pub fn run(arguments: &Estimate) -> Result<()> {
    let config = DecoderConfig::load(&arguments.model)?;
    let Estimate {
        rows, positions, ..
    } = *arguments;
    let lora = arguments.lora.map(|rank| LoraConfig {
        rank,
        alpha: rank as f64,
        trains_embeddings: arguments.lora_embeddings,
    });
    let training = TrainingRows {
        rows,
        positions,
        n_tokens: rows * positions,
        n_shards: arguments.shards,
        logits_chunk: arguments.logits_chunk,
        lora,
        n_copies: arguments.copies,
    };
    let workload = match arguments.task {
        Task::Generate => Workload::Inference {
            rows,
            prompt: positions,
            positions,
        },
        Task::Sft => Workload::Sft(training),
        Task::Chrpo => Workload::Policy(training),
    };
    print!("{}", MemoryEstimate::new(&config, workload));
    match available_memory() {
        Some(bytes) => println!("{:<12} {:>9.3} GiB", "available", gib(bytes)),
        None => println!("this system does not say how much is available"),
    }
    Ok(())
}

/// Refuses a run that would not fit the memory of the host, once the weights are loaded; gives the estimate.
///
/// # Errors
///
/// With the estimate, if more is needed than is available.
pub(super) fn check_fits(
    config: &DecoderConfig,
    dtype: DType,
    workload: Workload,
) -> Result<MemoryEstimate> {
    let estimate = MemoryEstimate::new(config, workload).in_dtype(dtype);
    let needed = estimate.total() - estimate.weights;
    match available_memory() {
        Some(bytes) if needed > bytes => bail!(
            "beside the weights this may take {:.1} GiB of memory, and {:.1} GiB are available; \
             compute on fewer or shorter rows at a time, or add --force\n{estimate}",
            gib(needed),
            gib(bytes)
        ),
        _ => Ok(estimate),
    }
}

/// `MemAvailable` of Linux, in bytes.
pub(super) fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
