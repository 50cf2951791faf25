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
    Pipeline, accuracy_only, aims, base_model, collect_traces, compress_traces, evaluate_all,
    fixed_sft, full_chrpo, measure_budgets, mixed_sft, summarize, train_arm,
    train_compressor_stage, without_control, without_mode_and_control,
};

fn main() -> ExitCode {
    main_of("chrpo_ablation", run)
}

fn run(pipeline: &mut Pipeline) -> Result<()> {
    let base = base_model(pipeline)?;
    let pipeline = &*pipeline;
    let config = &pipeline.config;
    let problems = &pipeline.problems;

    // Stage 1: the base model's own correct traces, compressed.
    let traces = collect_traces(pipeline, &base)?;
    let compressor = train_compressor_stage(pipeline, &base, &traces)?;
    let compressed = compress_traces(pipeline, &base, &traces, &compressor)?;

    // Stage 2: the fixed levels, then the policy queue at measured difficulty.
    let fixed = fixed_sft(pipeline, &base, &traces, &compressed)?;
    let warmup = &problems.train[..config.problems.n_warmup.min(problems.train.len())];
    let warmup = measure_budgets(pipeline, "budgets_warmup", &fixed, &base, warmup)?;
    let sft = mixed_sft(pipeline, &fixed, &traces, &compressed, &warmup)?;

    // Stage 3: teacher budgets, then one arm after the other from the same model.
    let budgets = measure_budgets(pipeline, "budgets", &sft, &base, &problems.reinforce)?;
    let mut arms = Vec::new();
    for arm in [
        full_chrpo(config)?,
        without_control(config)?,
        without_mode_and_control(config)?,
        accuracy_only(config),
    ] {
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
    let mut summary = summarize(pipeline, &evaluations, &budgets, &arms, &counted)?;
    if !problems.from_file {
        summary.aims = aims(&summary.rows);
    }
    let mut stages = vec![&base, &compressor, &fixed, &sft];
    stages.extend(arms.iter().map(|(_, stage)| stage));
    print!("{}", pipeline.finish(&summary, &stages)?);
    Ok(())
}
