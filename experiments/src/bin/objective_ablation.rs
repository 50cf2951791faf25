//! CHRPO beside published algorithms: GRPO, Dr. GRPO, DAPO, Thinkless and L1, all from the same fine-tuned
//! model, on the same problems, for the same number of steps.
//!
//! Hypothesis: only CHRPO chooses by difficulty; rewards of correctness alone shorten little, and rewards
//! of length alone move all problems to one level.
#![allow(clippy::print_stdout, reason = "the table is the program's output")]

use std::process::ExitCode;

use anyhow::Result;
use experiments::cli::main_of;
use experiments::pipeline::{
    Pipeline, accuracy_only, dapo, dr_grpo, evaluate_all, full_chrpo, l1_exact, prepare, summarize,
    thinkless, train_arm,
};

fn main() -> ExitCode {
    main_of("objective_ablation", run)
}

fn run(pipeline: &mut Pipeline) -> Result<()> {
    let prepared = prepare(pipeline)?;
    let pipeline = &*pipeline;
    let config = &pipeline.config;
    let mut arms = Vec::new();
    for arm in [
        full_chrpo(config)?,
        accuracy_only(config),
        dr_grpo(config)?,
        dapo(config)?,
        thinkless(config)?,
        l1_exact(config)?,
    ] {
        let settings = (config.reward, config.chrpo);
        arms.push(train_arm(pipeline, &arm, &settings, &prepared)?);
    }
    let evaluations = evaluate_all(pipeline, &prepared, &arms)?;
    let summary = summarize(pipeline, &prepared, &arms, &evaluations)?;
    print!("{}", pipeline.finish(&summary, &prepared, &arms)?);
    Ok(())
}
