//! What does mixing the ratios bring? The staged mixture of the method against an even mixture and against
//! fine-tuning at one level alone, on the same texts and for the same number of steps.
//!
//! Hypothesis: at 20 % the mixtures are right more often than training at 20 % alone, as the longer levels
//! teach the steps that the short texts leave out.
#![allow(clippy::print_stdout, reason = "the table is the program's output")]

use std::process::ExitCode;

use anyhow::Result;
use experiments::cli::main_of;
use experiments::pipeline::{
    Evaluations, Pipeline, evaluate_levels, evaluate_model, fixed_sft_by, higher_accuracy, prepare,
    summarize,
};
use experiments::summary::RowKind;
use extracot_core::sft::{FixedRatio, MixedRatio, RatioCurriculum};
use extracot_core::{ControlToken, KeepLevel};

fn main() -> ExitCode {
    main_of("curriculum_ablation", run)
}

fn run(pipeline: &mut Pipeline) -> Result<()> {
    let prepared = prepare(pipeline)?;
    let pipeline = &*pipeline;
    let inputs = (&prepared.base, &prepared.traces, &prepared.compressed);
    let [twenty, forty, ..] = KeepLevel::ALL;
    let only = |level| Box::new(FixedRatio(ControlToken::Level(level)));
    let arms: [(&str, Box<dyn RatioCurriculum>, &[KeepLevel]); 3] = [
        (
            "even mixture",
            Box::new(MixedRatio::even(0.0)?),
            &KeepLevel::ALL,
        ),
        ("20 alone", only(twenty), &[twenty]),
        ("40 alone", only(forty), &[forty]),
    ];

    let records = evaluate_model(pipeline, "base", &prepared.base, None)?;
    let mut rows = vec![("base".to_owned(), RowKind::Base, None, records)];
    let staged = "staged mixture";
    rows.extend(evaluate_levels(
        pipeline,
        staged,
        &prepared.fixed,
        &KeepLevel::ALL,
    )?);
    for (name, curriculum, levels) in &arms {
        let stage = format!("sft_{}", name.replace(' ', "_"));
        let model = fixed_sft_by(pipeline, &stage, inputs, curriculum.as_ref(), name)?;
        rows.extend(evaluate_levels(pipeline, name, &model, levels)?);
    }
    let evaluations = Evaluations { rows };
    let mut summary = summarize(pipeline, &prepared, &[], &evaluations)?;
    for pair in [
        ("staged mixture, level 20", "20 alone, level 20"),
        ("even mixture, level 20", "20 alone, level 20"),
        ("staged mixture, level 40", "40 alone, level 40"),
        ("staged mixture, level 20", "even mixture, level 20"),
    ] {
        summary
            .aims
            .extend(higher_accuracy(pipeline, &evaluations, pair, 0.0)?);
    }
    print!("{}", pipeline.finish(&summary, &prepared, &[])?);
    Ok(())
}
