//! `summary.json` of a comparison of compressors: every number of its table and report, once.

use extracot_core::compress::FidelitySum;
use extracot_core::report::{Comparison, EvalSummary};
use extracot_core::stats::PairedDifference;
use serde::{Deserialize, Serialize};

/// What one compressor kept of the held-out think texts at one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldOutRow {
    /// The level as a ratio.
    pub target_ratio: f64,
    /// Formulas, answers, numbers and tokens.
    pub fidelity: FidelitySum,
    /// Mean over texts of the F1 of kept against labeled bytes.
    pub label_f1: f64,
    /// That F1 minus the first arm's, paired by text; none for the first arm.
    pub f1_versus_first: Option<PairedDifference>,
}

/// One compressor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompressorRow {
    /// The arm's name.
    pub name: String,
    /// Its texts at the level of the downstream models that passed the filters: fine-tuning draws from them.
    pub n_taught: usize,
    /// By level, smallest first.
    pub held_out: Vec<HeldOutRow>,
    /// The model fine-tuned on its texts, asked for the level.
    pub downstream: EvalSummary,
    /// That model against the first arm's; none for the first arm.
    pub versus_first: Option<Comparison>,
}

/// A held-out think text with what every arm keeps of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompressionSample {
    /// The problem.
    pub problem_id: String,
    /// Its question.
    pub question: String,
    /// The whole think text.
    pub think: String,
    /// Per arm its name and the kept byte spans.
    pub kept: Vec<(String, Vec<(usize, usize)>)>,
}

/// The whole result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompressorSummary {
    /// The experiment.
    pub experiment: String,
    /// The preset.
    pub preset: String,
    /// The seed.
    pub seed: u64,
    /// Where the problems come from.
    pub problems: String,
    /// Hash of the resolved config.
    pub config_hash: String,
    /// The level of the downstream models and of the samples, as a ratio.
    pub level: f64,
    /// Think texts that every arm compressed.
    pub n_texts: usize,
    /// Those of them that no classifier was trained on.
    pub n_held_out: usize,
    /// The base model, on whole think texts.
    pub base: EvalSummary,
    /// The arms; the first is the one that the others are compared with.
    pub rows: Vec<CompressorRow>,
    /// Samples.
    pub samples: Vec<CompressionSample>,
}
