//! `summary.json`: every number of the table and of the report, once.

use std::collections::BTreeMap;

use extracot_core::report::{Comparison, EvalSummary};
use serde::{Deserialize, Serialize};

/// What kind of model a row of the table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// The base model, without control tokens.
    Base,
    /// The fine-tuned model at a fixed level.
    FixedLevel,
    /// The fine-tuned model choosing its level.
    SftPolicy,
    /// A model after reinforcement learning, choosing its level.
    Arm,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    /// The row's name, such as `base`, `level 20`, `full CHRPO`.
    pub name: String,
    /// What it is about.
    pub kind: RowKind,
    /// The asked level as a ratio, for fixed levels.
    pub target_ratio: Option<f64>,
    /// The numbers.
    pub summary: EvalSummary,
    /// Against the base model.
    pub versus_base: Option<Comparison>,
    /// Against the first arm (full CHRPO), for the other arms.
    pub versus_full: Option<Comparison>,
}

/// One step of reinforcement learning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyStep {
    /// From 0.
    pub step: usize,
    /// Means over the rollouts of the step, by metric key (see `docs/metrics.md`).
    pub metrics: BTreeMap<String, f64>,
}

/// The course of one arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmCurve {
    /// The arm's name, as in the table.
    pub arm: String,
    /// Its steps.
    pub steps: Vec<PolicyStep>,
}

/// A rollout shown in the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRollout {
    /// The arm that produced it.
    pub arm: String,
    /// The step.
    pub step: usize,
    /// The problem.
    pub problem_id: String,
    /// Its question.
    pub question: String,
    /// The decoded completion.
    pub text: String,
    /// Verdict, as in the rollout log.
    pub verdict: String,
    /// Think tokens.
    pub think_tokens: usize,
    /// Raw reward terms by name.
    pub terms: BTreeMap<String, f64>,
    /// Main reward.
    pub reward_main: f64,
    /// Control-head reward.
    pub reward_control: f64,
    /// Advantages of main and control head.
    pub advantages: [f64; 2],
}

/// How many rows a stage took, and how many it could not use, by reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageCounts {
    /// The stage.
    pub stage: String,
    /// Rows by what became of them.
    pub counts: BTreeMap<String, u64>,
}

/// A statement of the aim that the run was made for, and whether it was reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aim {
    /// What was aimed at.
    pub aim: String,
    /// What came out, with its interval.
    pub found: String,
    /// Whether it was reached.
    pub reached: bool,
}

/// The whole result of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The experiment.
    pub experiment: String,
    /// The preset.
    pub preset: String,
    /// The seed.
    pub seed: u64,
    /// Where the problems come from: `generator` or the file's name and hash.
    pub problems: String,
    /// Hash of the resolved config.
    pub config_hash: String,
    /// The table.
    pub rows: Vec<TableRow>,
    /// Teacher budgets: problems per level (`20` .. `100`, `none`), by difficulty (`all` first).
    pub budgets: Vec<(String, BTreeMap<String, u64>)>,
    /// Reward and level curves.
    pub curves: Vec<ArmCurve>,
    /// Sample rollouts.
    pub samples: Vec<SampleRollout>,
    /// What every stage took and dropped.
    pub counts: Vec<StageCounts>,
    /// Aims and whether they were reached.
    pub aims: Vec<Aim>,
}
