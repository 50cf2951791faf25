//! What makes the compressor good? The trained one against its parts and against baselines.
//!
//! Hypothesis: at 20 % a model fine-tuned on texts of the trained compressor is right more often than
//! on texts of any baseline; without atoms formulas are cut, and LLMLingua-2's selection cuts most.
//! LLMLingua-2's texts are taught with the filters of the method and, as published, without. Hardly a text
//! of the baselines without a classifier would pass them.
#![allow(clippy::print_stdout, reason = "the table is the program's output")]

use std::process::ExitCode;

use anyhow::Result;
use experiments::cli::main_of;
use experiments::pipeline::{
    ArmCompressor, Atoms, ClassifierRecipe, CompressorArm, Pipeline, base_model, collect_traces,
    compare_compressors,
};
use extracot_core::KeepLevel;
use extracot_core::compress::{PositionScorer, RandomScorer};

fn main() -> ExitCode {
    main_of("compressor_ablation", run)
}

fn run(pipeline: &mut Pipeline) -> Result<()> {
    use ArmCompressor::{Classifier, LlmLingua2, Scorer, Surprisal};
    let base = base_model(pipeline)?;
    let pipeline = &*pipeline;
    let traces = collect_traces(pipeline, &base)?;
    let method = ClassifierRecipe::default();
    let without_atoms = ClassifierRecipe {
        atoms: Atoms::Words,
        ..method
    };
    let without_question = ClassifierRecipe {
        sees_question: false,
        ..method
    };
    let without_focal = ClassifierRecipe {
        is_focal: false,
        ..method
    };
    let without_context = ClassifierRecipe {
        has_sentence_context: false,
        ..method
    };
    let random = RandomScorer::new(pipeline.seed);
    let arms = [
        CompressorArm::new("trained", Classifier(method)),
        CompressorArm::new("without the filters", Classifier(method)).unfiltered(),
        CompressorArm::new("without atoms", Classifier(without_atoms)),
        CompressorArm::new("without the question", Classifier(without_question)),
        CompressorArm::new("without focal loss", Classifier(without_focal)),
        CompressorArm::new("without sentence context", Classifier(without_context)),
        CompressorArm::new("LLMLingua-2 style", LlmLingua2),
        CompressorArm::new("LLMLingua-2 style, unfiltered", LlmLingua2).unfiltered(),
        CompressorArm::new("surprisal", Surprisal).unfiltered(),
        CompressorArm::new(
            "position",
            Scorer("first".to_owned(), Box::new(PositionScorer::First)),
        )
        .unfiltered(),
        CompressorArm::new("random", Scorer("random".to_owned(), Box::new(random))).unfiltered(),
    ];
    let level = KeepLevel::ALL[0];
    print!(
        "{}",
        compare_compressors(pipeline, &base, &traces, &arms, level)?
    );
    Ok(())
}
