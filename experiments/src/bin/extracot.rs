//! The row-wise command line of extracot.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use experiments::cli::exit_code;
use experiments::commands::{generate, score};

/// Commands on a model folder in Hugging Face layout: JSON lines in, JSON lines out.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(generate::Generate),
    Score(score::Score),
}

fn main() -> ExitCode {
    exit_code(match &Arguments::parse().command {
        Command::Generate(arguments) => generate::run(arguments),
        Command::Score(arguments) => score::run(arguments),
    })
}
