//! The commands of `extracot`. The row-wise ones take JSON lines and give JSON lines, one output row per
//! input row.

pub mod annotate;
mod ask;
mod asked;
pub mod audit;
pub mod bench;
pub mod budgets;
pub mod build_sft;
pub mod chrpo;
pub mod classify;
pub mod compare;
pub mod compress;
mod compressor;
pub mod doctor;
mod endpoint;
pub mod estimate;
pub mod eval;
pub mod generate;
mod model;
mod partial;
pub mod pool;
mod response_text;
pub mod rows;
pub mod score;
mod scorer;
pub mod sft;
pub mod train_compressor;
pub mod training;
pub mod verify;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Result;
use burn::tensor::Device;
use clap::Args;

/// Arguments that every row-wise command takes.
#[derive(Debug, Args)]
pub struct RowArguments {
    /// Model folder in Hugging Face layout
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// JSON lines to read; - is standard input
    #[arg(long = "in", value_name = "FILE", default_value = "-")]
    pub input: PathBuf,
    /// JSON lines to write; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub out: PathBuf,
    /// flex (CPU), vulkan, wgpu or cuda; :N for a GPU of that number, :cpu for a software device
    #[arg(long, default_value = "flex")]
    pub device: String,
    /// Threads, all cores by default; no result depends on their number
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Print no progress
    #[arg(long)]
    pub quiet: bool,
}

impl RowArguments {
    /// Whether tensors are in the memory of the host.
    fn is_on_host(&self) -> bool {
        self.device.starts_with("flex")
    }

    /// Sets the number of threads and finds the device.
    fn device(&self) -> Result<Device> {
        crate::device::set_threads(self.threads)?;
        crate::device::device(&self.device)
    }
}

/// The command of this process, with --resume.
fn command_to_go_on() -> String {
    let words = std::env::args_os().skip(1);
    let mut words: Vec<String> = words.map(|w| w.to_string_lossy().into_owned()).collect();
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".to_owned());
    }
    let quoted = words.iter().map(|word| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+".contains(c);
        match !word.is_empty() && word.chars().all(is_plain) {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', r"'\''")),
        }
    });
    let quoted: Vec<String> = std::iter::once("extracot".to_owned())
        .chain(quoted)
        .collect();
    quoted.join(" ")
}
