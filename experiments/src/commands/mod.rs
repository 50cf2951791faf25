//! The commands of `extracot`. The row-wise ones take JSON lines and give JSON lines, one output row per
//! input row.

pub mod annotate;
pub mod audit;
pub mod bench;
pub mod budgets;
pub mod build_sft;
pub mod classify;
pub mod compress;
mod compressor;
pub mod doctor;
pub mod estimate;
pub mod generate;
mod model;
mod partial;
pub mod rows;
pub mod score;
mod scorer;
pub mod train_compressor;

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
    /// flex (CPU), vulkan, wgpu or cuda, with :N for a device number
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
