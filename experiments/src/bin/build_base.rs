//! Rebuilds the base model that ships with the source, from its seed.
//!
//! ```text
//! cargo run -p experiments --bin build_base -- --out experiments/assets/base
//! ```
//!
//! On one machine the result is the same byte for byte; another kind of CPU may round differently.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use experiments::cli::exit_code;
use experiments::config::parse;
use experiments::device::device;
use experiments::pipeline::{BasePreset, train_base};
use experiments::run::write_text;
use extracot_core::Seed;

const PRESET: &str = include_str!("../../configs/build_base/base.toml");

/// Trains the base model of the embedded task. A killed run goes on behind its last finished part.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Change one setting, as in --set base.sft.n_steps=20 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Model folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// flex (CPU), vulkan, wgpu or cuda; :N for a GPU of that number, :cpu for a software device
    #[arg(long, default_value = "flex")]
    device: String,
    /// Print no progress
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    exit_code(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<()> {
    let preset: BasePreset = parse(PRESET, &arguments.overrides)?;
    let device = device(&arguments.device)?;
    let seed = Seed(preset.seed);
    let parts = arguments.out.join("parts");
    std::fs::create_dir_all(&parts)?;
    let trained = train_base(
        &preset.base,
        &[],
        &device,
        seed,
        arguments.quiet,
        Some(&parts),
        |_| Ok(()),
    )?;
    trained.checkpoint.save(&arguments.out)?;
    std::fs::remove_dir_all(&parts)?;
    // Written last: it says which settings the weights beside it come from.
    write_text(
        &arguments.out.join("recipe.toml"),
        &toml::to_string(&preset)?,
    )
}
