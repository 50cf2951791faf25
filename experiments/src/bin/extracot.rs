//! The command line of extracot.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use experiments::cli::exit_code;
use experiments::commands::{classify, doctor, estimate, generate, score};

/// Commands on a model folder in Hugging Face layout.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Classify(classify::Classify),
    Doctor(doctor::Doctor),
    Estimate(estimate::Estimate),
    Generate(generate::Generate),
    Score(score::Score),
}

fn main() -> ExitCode {
    exit_code(match &Arguments::parse().command {
        Command::Classify(arguments) => classify::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Estimate(arguments) => estimate::run(arguments),
        Command::Generate(arguments) => generate::run(arguments),
        Command::Score(arguments) => score::run(arguments),
    })
}
