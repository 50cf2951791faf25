//! The command line of extracot.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use experiments::cli::exit_code;
use experiments::commands::{
    annotate, audit, bench, budgets, build_sft, chrpo, classify, compare, compress, doctor,
    estimate, eval, generate, pool, score, sft, train_compressor, verify,
};

/// Commands on models, think texts and their labels.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Annotate(Box<annotate::Annotate>),
    Audit(audit::Audit),
    Bench(bench::Bench),
    Budgets(Box<budgets::Budgets>),
    BuildSft(Box<build_sft::BuildSft>),
    Chrpo(Box<chrpo::Chrpo>),
    Classify(classify::Classify),
    Compare(compare::Compare),
    Compress(compress::Compress),
    Doctor(doctor::Doctor),
    Estimate(estimate::Estimate),
    Eval(Box<eval::Eval>),
    Generate(generate::Generate),
    Pool(pool::Pool),
    Score(score::Score),
    Sft(Box<sft::Sft>),
    TrainCompressor(train_compressor::TrainCompressor),
    Verify(verify::Verify),
}

fn main() -> ExitCode {
    exit_code(match &Arguments::parse().command {
        Command::Annotate(arguments) => annotate::run(arguments),
        Command::Audit(arguments) => audit::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Budgets(arguments) => budgets::run(arguments),
        Command::BuildSft(arguments) => build_sft::run(arguments),
        Command::Chrpo(arguments) => chrpo::run(arguments),
        Command::Classify(arguments) => classify::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Compress(arguments) => compress::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Estimate(arguments) => estimate::run(arguments),
        Command::Eval(arguments) => eval::run(arguments),
        Command::Generate(arguments) => generate::run(arguments),
        Command::Pool(arguments) => pool::run(arguments),
        Command::Score(arguments) => score::run(arguments),
        Command::Sft(arguments) => sft::run(arguments),
        Command::TrainCompressor(arguments) => train_compressor::run(arguments),
        Command::Verify(arguments) => verify::run(arguments),
    })
}
