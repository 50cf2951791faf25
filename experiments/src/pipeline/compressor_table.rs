//! Fine-tunes on every compressor's texts, evaluates, and puts the comparison together.

use anyhow::Result;
use extracot_core::report::{Comparison, EvalRecord, EvalSummary};
use extracot_core::stats::{mean, paired_bootstrap};
use extracot_core::{ControlToken, KeepLevel, ReasoningTrace};
use extracot_models::checkpoint::save_json;

use super::compressor_arms::{
    ArmText, CompressorArm, check_traces, compress_arm, held_out_fidelity,
};
use super::{Pipeline, evaluate_model, level_sft};
use crate::compressor_summary::{CompressionSample, CompressorRow, CompressorSummary, HeldOutRow};
use crate::config::content_hash;
use crate::report::{render_compressor_html, render_compressor_table};
use crate::run::{StageFolder, write_text};

/// Held-out think texts shown in the report.
const N_SAMPLES: usize = 6;
const N_RESAMPLES: usize = 2000;

/// Compresses, fine-tunes and evaluates every arm; writes `summary.json`, `report.html` and, last, the
/// manifest. Returns the tables for the terminal.
///
/// Texts are compared at 20 and 40 percent, the fine-tuned models at `level` alone.
///
/// # Errors
///
/// What the stages fail with.
pub fn compare_compressors(
    pipeline: &Pipeline,
    base: &StageFolder,
    traces: &StageFolder,
    arms: &[CompressorArm],
    level: KeepLevel,
) -> Result<String> {
    let mut levels = KeepLevel::ALL[..2].to_vec();
    if !levels.contains(&level) {
        levels.push(level);
    }
    let all: Vec<ReasoningTrace> = traces.read("traces.jsonl")?;
    check_traces(pipeline, &all)?;
    let base_records = evaluate_model(pipeline, "base", base, None)?;
    let mut found: Vec<(Vec<ArmText>, Vec<EvalRecord>)> = Vec::new();
    let mut trained = vec![];
    for arm in arms {
        let compressed = compress_arm(pipeline, arm, base, traces, &levels)?;
        let model = level_sft(pipeline, &arm.name, base, traces, &compressed, level)?;
        let control = Some(ControlToken::Level(level));
        let records = evaluate_model(pipeline, &arm.name, &model, control)?;
        found.push((compressed.read("texts.jsonl")?, records));
        trained.push(model);
    }

    let seed = pipeline.seed.derive("statistics", 0);
    let mut rows = Vec::new();
    for (arm, (texts, records)) in arms.iter().zip(&found) {
        let is_first = rows.is_empty();
        let held_out = levels
            .iter()
            .map(|level| {
                let f1 = held_out_f1(texts, *level);
                let first = held_out_f1(&found[0].0, *level);
                let difference = paired_bootstrap(&f1, &first, N_RESAMPLES, seed.derive("f1", 0))?;
                Ok(HeldOutRow {
                    target_ratio: level.ratio().value(),
                    fidelity: held_out_fidelity(texts, *level),
                    label_f1: mean(&f1)?,
                    f1_versus_first: (!is_first).then_some(difference),
                })
            })
            .collect::<Result<_>>()?;
        let comparison = Comparison::try_new(records, &found[0].1, seed.derive("first", 0))?;
        rows.push(CompressorRow {
            name: arm.name.clone(),
            n_taught: texts
                .iter()
                .filter(|text| text.is_taught && text.level == level)
                .count(),
            held_out,
            downstream: EvalSummary::try_new(records, &base_records, seed)?,
            versus_first: (!is_first).then_some(comparison),
        });
    }
    let summary = CompressorSummary {
        experiment: pipeline.experiment.clone(),
        preset: pipeline.preset.clone(),
        seed: pipeline.seed.0,
        problems: pipeline.problems.source.clone(),
        config_hash: content_hash(&pipeline.config)?,
        level: level.ratio().value(),
        n_texts: all.len(),
        n_held_out: held_out_f1(&found[0].0, level).len(),
        base: EvalSummary::try_new(&base_records, &base_records, seed)?,
        rows,
        samples: samples(&all, arms, &found, level),
    };
    let folder = pipeline.run.folder();
    pipeline
        .run
        .gather(&trained.iter().collect::<Vec<_>>(), "events.jsonl")?;
    save_json(&summary, &folder.join("summary.json"))?;
    let report = folder.join("report.html");
    write_text(&report, &render_compressor_html(&summary))?;
    pipeline
        .run
        .finish(&summary.experiment, summary.config_hash.clone())?;
    let table = render_compressor_table(&summary);
    Ok(format!("{table}\nreport: {}\n", report.display()))
}

fn held_out_f1(texts: &[ArmText], level: KeepLevel) -> Vec<f64> {
    let texts = texts.iter().filter(|t| t.is_held_out && t.level == level);
    texts.map(|text| text.label_f1).collect()
}

/// The first held-out texts with what every arm keeps of them.
fn samples(
    traces: &[ReasoningTrace],
    arms: &[CompressorArm],
    found: &[(Vec<ArmText>, Vec<EvalRecord>)],
    level: KeepLevel,
) -> Vec<CompressionSample> {
    let Some((first, _)) = found.first() else {
        return vec![];
    };
    let is_shown = |text: &&ArmText| text.is_held_out && text.level == level;
    let shown = first.iter().filter(is_shown).take(N_SAMPLES);
    shown
        .filter_map(|text| {
            let trace = traces.iter().find(|t| t.problem.id == text.problem_id)?;
            let kept = arms.iter().zip(found).filter_map(|(arm, (texts, _))| {
                let same = |t: &&ArmText| t.problem_id == text.problem_id && t.level == level;
                let text = texts.iter().find(same)?;
                Some((arm.name.clone(), text.kept_spans.clone()))
            });
            Some(CompressionSample {
                problem_id: text.problem_id.clone(),
                question: trace.problem.question.clone(),
                think: trace.think.clone(),
                kept: kept.collect(),
            })
        })
        .collect()
}
