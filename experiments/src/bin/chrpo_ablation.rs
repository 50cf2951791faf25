//! The whole of Extra-CoT on a tiny model: base, compressor, mixed-ratio fine-tuning, CHRPO and its
//! ablations, a table and a report.
//!
//! Hypothesis: full CHRPO needs fewer think tokens than each of its ablations at an accuracy that is
//! not lower; plain GRPO on correctness shortens least.
#![allow(clippy::print_stdout, reason = "the table is the program's output")]

use std::process::ExitCode;

use anyhow::Result;
use experiments::cli::main_of;
use experiments::pipeline::{
    Pipeline, accuracy_only, aims, evaluate_all, full_chrpo, prepare, summarize, train_arm,
    without_control, without_mode_and_control,
};

fn main() -> ExitCode {
    main_of("chrpo_ablation", run)
}

fn run(pipeline: &mut Pipeline) -> Result<()> {
    let prepared = prepare(pipeline)?;
    let pipeline = &*pipeline;
    let config = &pipeline.config;
    let mut arms = Vec::new();
    for arm in [
        full_chrpo(config)?,
        without_control(config)?,
        without_mode_and_control(config)?,
        accuracy_only(config),
    ] {
        let settings = (config.reward, config.chrpo);
        arms.push(train_arm(pipeline, &arm, &settings, &prepared)?);
    }
    let evaluations = evaluate_all(pipeline, &prepared, &arms)?;
    let mut summary = summarize(pipeline, &prepared, &arms, &evaluations)?;
    if !pipeline.problems.from_file {
        summary.aims = aims(&summary.rows);
    }
    print!("{}", pipeline.finish(&summary, &prepared, &arms)?);
    Ok(())
}
