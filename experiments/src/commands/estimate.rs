//! `extracot estimate`: the memory that a run will take; and the check before a run.

use std::path::PathBuf;

use anyhow::{Result, bail};
use burn::tensor::DType;
use clap::{Args, ValueEnum};
use extracot_models::memory::gib;
use extracot_models::{DecoderConfig, MemoryEstimate, Workload};

/// Estimates memory from a model's config.json, without its weights.
///
/// In f32, as if every row were as long as --positions. Gradients are counted once, although each
/// shard of a step holds its own for a while.
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
    let workload = match arguments.task {
        Task::Generate => Workload::Inference {
            rows,
            prompt: positions,
            positions,
        },
        Task::Sft => Workload::Sft { rows, positions },
        Task::Chrpo => Workload::Policy { rows, positions },
    };
    print!("{}", MemoryEstimate::new(&config, workload));
    match available_memory() {
        Some(bytes) => println!("{:<12} {:>9.3} GiB", "available", gib(bytes)),
        None => println!("this system does not say how much is available"),
    }
    Ok(())
}

/// Refuses a run that would not fit the memory of the host, once the weights are loaded.
///
/// # Errors
///
/// With the estimate, if more is needed than is available.
pub(super) fn check_fits(config: &DecoderConfig, dtype: DType, workload: Workload) -> Result<()> {
    let estimate = MemoryEstimate::new(config, workload).in_dtype(dtype);
    let needed = estimate.total() - estimate.weights;
    match available_memory() {
        Some(bytes) if needed > bytes => bail!(
            "beside the weights this may take {:.1} GiB of memory, and {:.1} GiB are available; \
             lower --batch-rows or --max-new-tokens, or add --force\n{estimate}",
            gib(needed),
            gib(bytes)
        ),
        _ => Ok(()),
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
