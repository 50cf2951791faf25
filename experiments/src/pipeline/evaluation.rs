//! Greedy evaluation on held-out problems: base, every fixed level, the policy, every arm.

use anyhow::Result;
use extracot_core::report::EvalRecord;
use extracot_core::{ControlToken, KeepLevel};
use extracot_train::evaluate::evaluate;

use super::arms::slug;
use super::{Pipeline, Prepared, TrainedArm};
use crate::run::StageFolder;
use crate::summary::RowKind;

/// Name, kind, asked level, records in the order of the test problems.
pub type EvaluatedRow = (String, RowKind, Option<KeepLevel>, Vec<EvalRecord>);

/// All records of the table, row by row; the first is the base model's.
#[derive(Debug, Clone)]
pub struct Evaluations {
    /// The rows.
    pub rows: Vec<EvaluatedRow>,
}

impl Evaluations {
    /// The records of the row with this name.
    pub fn records(&self, name: &str) -> Option<&[EvalRecord]> {
        let row = self.rows.iter().find(|row| row.0 == name);
        row.map(|(.., records)| records.as_slice())
    }
}

/// Evaluates every row of the table.
///
/// # Errors
///
/// If decoding or writing fails.
pub fn evaluate_all(
    pipeline: &Pipeline,
    prepared: &Prepared,
    arms: &[TrainedArm],
) -> Result<Evaluations> {
    let Prepared { base, sft, .. } = prepared;
    let mut rows = Vec::new();
    let mut add = |name: &str, kind, level: Option<KeepLevel>, model: &StageFolder| -> Result<()> {
        let control = match kind {
            RowKind::Base => None,
            _ => Some(level.map_or(ControlToken::Policy, ControlToken::Level)),
        };
        rows.push((
            name.to_owned(),
            kind,
            level,
            evaluate_model(pipeline, name, model, control)?,
        ));
        Ok(())
    };
    add("base", RowKind::Base, None, base)?;
    for level in KeepLevel::ALL {
        add(
            &format!("level {level}"),
            RowKind::FixedLevel,
            Some(level),
            sft,
        )?;
    }
    add("POLICY after SFT", RowKind::SftPolicy, None, sft)?;
    for arm in arms {
        add(&arm.name, RowKind::Arm, None, &arm.stage)?;
    }
    Ok(Evaluations { rows })
}

/// Rows of one model at fixed levels, named by `model_name` and level.
///
/// # Errors
///
/// If decoding or writing fails.
pub fn evaluate_levels(
    pipeline: &Pipeline,
    model_name: &str,
    model: &StageFolder,
    levels: &[KeepLevel],
) -> Result<Vec<EvaluatedRow>> {
    let row = |level: &KeepLevel| {
        let name = format!("{model_name}, level {level}");
        let records = evaluate_model(pipeline, &name, model, Some(ControlToken::Level(*level)))?;
        Ok((name, RowKind::FixedLevel, Some(*level), records))
    };
    levels.iter().map(row).collect()
}

/// Records of one model under one control token, in the order of the evaluation problems; `name`
/// names the stage.
///
/// # Errors
///
/// If decoding or writing fails.
pub fn evaluate_model(
    pipeline: &Pipeline,
    name: &str,
    model: &StageFolder,
    control: Option<ControlToken>,
) -> Result<Vec<EvalRecord>> {
    let problems = &pipeline.problems.evaluation;
    let inputs = (&model.key, control, problems, pipeline.config.decode);
    let stage = pipeline
        .run
        .stage(&format!("eval_{}", slug(name)), &inputs, |stage| {
            let policy = pipeline.policy(model)?;
            let progress = pipeline.progress(&stage.name, problems.len(), "problems");
            let report = |n_tokens, n_prompts| progress.advance_tokens(n_tokens, n_prompts);
            let records = evaluate(
                &pipeline.engine(&policy, &report),
                &policy.context(),
                problems,
                control,
                &pipeline.sampling(0.0, 1),
                pipeline.seed,
            )?;
            stage.write("records.jsonl", &records)
        })?;
    stage.read("records.jsonl")
}
