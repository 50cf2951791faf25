//! What a sweep over levels measures: every number once, as `extracot eval` writes it.

mod prediction;
mod statistics;
mod timing;
mod verdict;

use std::collections::BTreeMap;
use std::fmt;

use extracot_core::Problem;
use extracot_core::dataset::SharedProblem;
use extracot_core::report::{Comparison, ControlFidelity, EvalSummary};
use serde::{Deserialize, Serialize};

pub use prediction::{Completion, Prediction};
pub use statistics::{SweptLevel, Versus, fidelity, sweep_rows, versus};
pub use timing::{Alone, Spread, Timing};
pub use verdict::VerdictName;

/// Ids that are listed of a group; the count says how many there are.
const MAX_LISTED: usize = 20;

/// `summary.json` of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepSummary {
    /// The model's folder, or `openai:NAME`.
    pub model: String,
    /// The problems.
    pub problems: ProblemsUsed,
    /// How samples were drawn.
    pub decoding: Decoding,
    /// What one think token is.
    pub token_unit: String,
    /// Hash of the resolved settings.
    pub config_hash: String,
    /// What is compared with.
    pub baseline: Baseline,
    /// Evaluated problems that were trained on, if somebody looked.
    pub leakage: Option<Leakage>,
    /// One row per level, in the order they were asked for.
    pub rows: Vec<SweepRow>,
    /// How think lengths follow levels; none with fewer than two fixed levels.
    pub fidelity: Option<ControlFidelity>,
}

/// The problems of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemsUsed {
    /// The file.
    pub file: String,
    /// Which form of problem files it is.
    pub kind: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Problems of the file that were used, from its beginning.
    pub n: usize,
    /// Problems of the file.
    pub n_in_file: usize,
    /// Rows of the file by what became of them.
    pub counts: BTreeMap<String, u64>,
    /// Used problems whose gold answer cannot be read: every sample of them is undecided.
    pub unreadable_gold: Listed,
}

/// How samples were drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decoding {
    /// Samples of every problem.
    pub n_samples: usize,
    /// 0 is greedy.
    pub temperature: f64,
    /// Of the most likely tokens only those that have this probability together.
    pub top_p: f64,
    /// Only so many of the most likely tokens.
    pub top_k: Option<usize>,
    /// Tokens after which a completion is cut.
    pub max_new_tokens: usize,
    /// The system turn.
    pub system: Option<String>,
    /// Root of all random streams.
    pub seed: u64,
}

/// What is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The level.
    pub level: String,
    /// The run that it is from, if it is not this one.
    pub run: Option<String>,
    /// Why it was taken.
    pub chosen_by: String,
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.run {
            None => write!(f, "{}", self.level),
            Some(run) => write!(f, "{} of {run}", self.level),
        }
    }
}

/// One level of a sweep: `metrics.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepRow {
    /// `none`, `20` .. `100` or `policy`.
    pub level: String,
    /// Hash of all prompts: two rows with the same one were asked the same.
    pub prompts_hash: String,
    /// The numbers of the level; ActRatio is against the baseline.
    #[serde(flatten)]
    pub summary: EvalSummary,
    /// Samples without a completion, by reason; none unless the run was ended with `--accept-open`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<String, usize>,
    /// Tokens of all completions as the tokenizer counts them / as the endpoint reports them. Far from
    /// 1 if the tokenizer is another model's. None for a model folder.
    pub counted_over_reported: Option<f64>,
    /// Against the baseline; none for the baseline itself.
    pub versus_baseline: Option<Versus>,
}

/// Problems that something is to be said of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// How many.
    pub n: usize,
    /// Ids of the first ones.
    pub ids: Vec<String>,
}

impl Listed {
    /// These problems.
    pub fn of<'a>(problems: impl Iterator<Item = &'a Problem>) -> Self {
        let ids: Vec<String> = problems.map(|problem| problem.id.clone()).collect();
        let n = ids.len();
        Self {
            n,
            ids: ids.into_iter().take(MAX_LISTED).collect(),
        }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.n > self.ids.len() { ", .." } else { "" };
        write!(f, "{}{more}", self.ids.join(", "))
    }
}

/// Evaluated problems that are in a training file too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leakage {
    /// The training file.
    pub file: String,
    /// SHA-256 of it.
    pub sha256: String,
    /// Its problems.
    pub n_problems: usize,
    /// Evaluated problems whose question is there, but for case, white space and punctuation.
    pub n_shared: usize,
    /// Which.
    pub shared: Vec<SharedProblem>,
}

/// Two levels of two runs on the same problems: a row of `extracot compare`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedLevel {
    /// The level, or both where they differ.
    pub level: String,
    /// Accuracy and think tokens of the first run.
    pub a: EvalSummary,
    /// Of the second run; its ActRatio is against the first one.
    pub b: EvalSummary,
    /// The second against the first.
    pub versus: Versus,
}

/// The p-value of "equally often right": McNemar's where each problem has one sample, else the
/// bootstrap's.
pub(crate) fn accuracy_p(comparison: &Comparison) -> f64 {
    comparison
        .mcnemar
        .map_or(comparison.accuracy.p_two_sided, |test| test.p_two_sided)
}
