//! The paper's main table on the embedded task: the base model, TokenSkip and Extra-CoT at every level,
//! Thinkless, and the policy that chooses its own level.
//!
//! Hypothesis: at 20 % Extra-CoT's texts teach more than TokenSkip's, and full CHRPO is as right as the base
//! model with a quarter of its tokens.
//!
//! TokenSkip and Extra-CoT take the same steps on the same traces by the same curriculum: the texts differ.
#![allow(clippy::print_stdout, reason = "the table is the program's output")]

use std::process::ExitCode;

use anyhow::Result;
use experiments::cli::main_of;
use experiments::config::compressed_levels;
use experiments::pipeline::{
    ArmCompressor, CompressorArm, Evaluations, Pipeline, compress_arm, evaluate_levels,
    evaluate_model, fixed_sft_by, full_chrpo, higher_accuracy, prepare, summarize, thinkless,
    train_arm,
};
use experiments::summary::RowKind;
use extracot_core::{ControlToken, KeepLevel};

/// The paper's gain over TokenSkip at 20 %.
const AIM_GAIN: f64 = 0.244;

fn main() -> ExitCode {
    main_of("main_table", run)
}

fn run(pipeline: &mut Pipeline) -> Result<()> {
    let prepared = prepare(pipeline)?;
    let pipeline = &*pipeline;
    let (config, base, traces) = (&pipeline.config, &prepared.base, &prepared.traces);

    let tokenskip = CompressorArm::new("TokenSkip", ArmCompressor::LlmLingua2).unfiltered();
    let levels: Vec<KeepLevel> = compressed_levels().collect();
    let texts = compress_arm(pipeline, &tokenskip, base, traces, &levels)?;
    let (curriculum, settings) = (config.sft.curriculum()?, &config.sft.stages);
    let inputs = (base, traces, &texts);
    let tokenskip = fixed_sft_by(pipeline, "sft_tokenskip", inputs, &curriculum, settings)?;

    let settings = (config.reward, config.chrpo);
    let mut arms = Vec::new();
    for arm in [full_chrpo(config)?, thinkless(config)?] {
        arms.push(train_arm(pipeline, &arm, &settings, &prepared)?);
    }

    let records = evaluate_model(pipeline, "base", base, None)?;
    let mut rows = vec![("base".to_owned(), RowKind::Base, None, records)];
    rows.extend(evaluate_levels(
        pipeline,
        "TokenSkip",
        &tokenskip,
        &KeepLevel::ALL,
    )?);
    rows.extend(evaluate_levels(
        pipeline,
        "Extra-CoT",
        &prepared.fixed,
        &KeepLevel::ALL,
    )?);
    for arm in &arms {
        let records = evaluate_model(pipeline, &arm.name, &arm.stage, Some(ControlToken::Policy))?;
        rows.push((arm.name.clone(), RowKind::Arm, None, records));
    }
    let evaluations = Evaluations { rows };
    let mut summary = summarize(pipeline, &prepared, &arms, &evaluations)?;
    for pair in [
        (("Extra-CoT, level 20", "TokenSkip, level 20"), AIM_GAIN),
        (("Extra-CoT, level 40", "TokenSkip, level 40"), 0.0),
        (("full CHRPO", "base"), 0.006),
    ] {
        let (rows, least) = pair;
        summary
            .aims
            .extend(higher_accuracy(pipeline, &evaluations, rows, least)?);
    }
    print!("{}", pipeline.finish(&summary, &prepared, &arms)?);
    Ok(())
}
