//! How much does CHRPO gain from paying for levels below the teacher budget?
//!
//! Hypothesis: with kappa = 0 the policy settles at the budget; with a larger cap it tries shorter
//! levels, at the price of accuracy on hard problems.
#![allow(clippy::print_stdout, reason = "the table is the program's output")]

use std::process::ExitCode;

use anyhow::Result;
use experiments::cli::main_of;
use experiments::pipeline::{
    Pipeline, base_model, collect_traces, compress_traces, evaluate_all, fixed_sft, full_chrpo,
    measure_budgets, mixed_sft, summarize, train_arm, train_compressor_stage,
};

/// Caps on the reward for going below the budget; the first is the default.
const KAPPAS: [f64; 3] = [0.4, 0.0, 0.8];

fn main() -> ExitCode {
    main_of("kappa_ablation", run)
}

fn run(pipeline: &mut Pipeline) -> Result<()> {
    let base = base_model(pipeline)?;
    let pipeline = &*pipeline;
    let problems = &pipeline.problems;
    let traces = collect_traces(pipeline, &base)?;
    let compressor = train_compressor_stage(pipeline, &base, &traces)?;
    let compressed = compress_traces(pipeline, &base, &traces, &compressor)?;
    let fixed = fixed_sft(pipeline, &base, &traces, &compressed)?;
    let n_warmup = pipeline.config.problems.n_warmup.min(problems.train.len());
    let warmup = &problems.train[..n_warmup];
    let warmup = measure_budgets(pipeline, "budgets_warmup", &fixed, &base, warmup)?;
    let sft = mixed_sft(pipeline, &fixed, &traces, &compressed, &warmup)?;
    let budgets = measure_budgets(pipeline, "budgets", &sft, &base, &problems.reinforce)?;

    let mut arms = Vec::new();
    for kappa in KAPPAS {
        let mut config = pipeline.config.clone();
        config.reward.mode.kappa = kappa;
        let mut arm = full_chrpo(&config)?;
        arm.name = format!("kappa {kappa}");
        let stage = train_arm(
            pipeline,
            &arm,
            &(config.reward, config.chrpo),
            &sft,
            &budgets,
        )?;
        arms.push((arm.name, stage));
    }
    let evaluations = evaluate_all(pipeline, &base, &sft, &arms)?;
    let counted = [&base, &traces, &compressor, &compressed, &warmup, &budgets];
    let summary = summarize(pipeline, &evaluations, &budgets, &arms, &counted)?;
    let stages: Vec<_> = arms.iter().map(|(_, stage)| stage).collect();
    print!("{}", pipeline.finish(&summary, &stages)?);
    Ok(())
}
