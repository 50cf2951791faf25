//! How much does CHRPO gain from paying for levels below the teacher budget?
//!
//! Hypothesis: with kappa = 0 the policy settles at the budget; with a larger cap it tries shorter
//! levels, at the price of accuracy on hard problems.
#![allow(clippy::print_stdout, reason = "the table is the program's output")]

use std::process::ExitCode;

use anyhow::Result;
use experiments::cli::main_of;
use experiments::pipeline::{Pipeline, evaluate_all, full_chrpo, prepare, summarize, train_arm};

/// Caps on the reward for going below the budget; the first is the default.
const KAPPAS: [f64; 3] = [0.4, 0.0, 0.8];

fn main() -> ExitCode {
    main_of("kappa_ablation", run)
}

fn run(pipeline: &mut Pipeline) -> Result<()> {
    let prepared = prepare(pipeline)?;
    let pipeline = &*pipeline;
    let mut arms = Vec::new();
    for kappa in KAPPAS {
        let mut config = pipeline.config.clone();
        config.reward.mode.kappa = kappa;
        let mut arm = full_chrpo(&config)?;
        arm.name = format!("kappa {kappa}");
        let settings = (config.reward, config.chrpo);
        arms.push(train_arm(pipeline, &arm, &settings, &prepared)?);
    }
    let evaluations = evaluate_all(pipeline, &prepared, &arms)?;
    let summary = summarize(pipeline, &prepared, &arms, &evaluations)?;
    print!("{}", pipeline.finish(&summary, &prepared, &arms)?);
    Ok(())
}
