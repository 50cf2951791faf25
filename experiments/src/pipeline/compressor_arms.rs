//! Compressors side by side: each trained where it has to be, on the same labels, and applied to the
//! same think texts.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use extracot_core::compress::llmlingua2::LlmLingua2Config;
use extracot_core::compress::quality::{self, QualityConfig};
use extracot_core::compress::{CompressedCot, Fidelity, FidelitySum, SentenceContextScorer};
use extracot_core::label::{Annotator, SolutionAnnotator};
use extracot_core::{
    AtomizedCot, Compressor, KeepLabels, KeepLevel, KeepScorer, Problem, ReasoningTrace, Seed,
    segment, segment_words,
};
use extracot_models::init::randomize;
use extracot_models::scorer::{
    ClassifierInput, ClassifierScorer, InputLayout, Pooling, separator_id,
};
use extracot_models::{
    HfTokenizer, LlmLingua2, Longformer, LongformerConfig, LongformerSize, Roberta, RobertaConfig,
    SurprisalScorer, TokenClassifier,
};
use extracot_train::compressor_trainer::{KeepExample, train_compressor};
use extracot_train::{ClassWeights, CompressorConfig};
use serde::{Deserialize, Serialize};

use super::compressor::CompressedTrace;
use super::{Pipeline, Policy};
use crate::run::StageFolder;

/// Think texts scored together.
const SCORE_BATCH: usize = 16;
/// Tokens of a batch of surprisal.
const SURPRISAL_BATCH_TOKENS: usize = 8192;
/// One think text in so many is held out.
const HELD_OUT_EVERY: u64 = 5;

/// How a classifier arm is trained and applied; the default is the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClassifierRecipe {
    /// What is kept or dropped whole.
    pub atoms: Atoms,
    /// Whether the classifier sees the question.
    pub sees_question: bool,
    /// Whether the loss has the focal factor.
    pub is_focal: bool,
    /// Whether what the classifier would drop is ranked by its sentence ([`SentenceContextScorer`]).
    pub has_sentence_context: bool,
}

/// What is kept or dropped whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Atoms {
    /// Formulas, numbers and words ([`segment()`]).
    Formulas,
    /// Words alone ([`segment_words`]).
    Words,
}

impl Atoms {
    fn atomizer(self) -> fn(&str) -> AtomizedCot {
        match self {
            Self::Formulas => segment,
            Self::Words => segment_words,
        }
    }
}

impl Default for ClassifierRecipe {
    fn default() -> Self {
        Self {
            atoms: Atoms::Formulas,
            sees_question: true,
            is_focal: true,
            has_sentence_context: true,
        }
    }
}

/// How an arm compresses.
pub enum ArmCompressor {
    /// A Longformer trained on the labels; atoms are selected within the budget.
    Classifier(ClassifierRecipe),
    /// LLMLingua-2's: a RoBERTa trained on the same labels by plain cross-entropy, without the
    /// question; words are selected by their percentile.
    LlmLingua2,
    /// Self-information under the base model.
    Surprisal,
    /// A scorer without a model, under a name that holds all its settings.
    Scorer(String, Box<dyn KeepScorer>),
}

impl ArmCompressor {
    /// Everything that tells it from another, for reuse of stages.
    fn key(&self) -> (&str, Option<ClassifierRecipe>) {
        match self {
            Self::Classifier(recipe) => ("classifier", Some(*recipe)),
            Self::LlmLingua2 => ("llmlingua2", None),
            Self::Surprisal => ("surprisal", None),
            Self::Scorer(name, _) => (name, None),
        }
    }
}

/// One compressor of the comparison.
#[derive(Debug)]
pub struct CompressorArm {
    /// Its name in the table.
    pub name: String,
    /// How it compresses.
    pub compressor: ArmCompressor,
    /// Whether texts that a filter of [`quality`] refuses are left out of fine-tuning.
    pub is_filtered: bool,
}

impl CompressorArm {
    /// An arm whose texts pass the filters, as in the method.
    pub fn new(name: &str, compressor: ArmCompressor) -> Self {
        Self {
            name: name.to_owned(),
            compressor,
            is_filtered: true,
        }
    }

    /// The same arm with all its texts.
    #[must_use]
    pub fn unfiltered(self) -> Self {
        Self {
            is_filtered: false,
            ..self
        }
    }
}

impl std::fmt::Debug for ArmCompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Classifier(recipe) => f.debug_tuple("Classifier").field(recipe).finish(),
            Self::LlmLingua2 => f.write_str("LlmLingua2"),
            Self::Surprisal => f.write_str("Surprisal"),
            Self::Scorer(name, _) => f.debug_tuple("Scorer").field(name).finish_non_exhaustive(),
        }
    }
}

/// One think text under one arm at one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmText {
    /// The problem.
    pub problem_id: String,
    /// The level asked for.
    pub level: KeepLevel,
    /// Whether no classifier was trained on the text.
    pub is_held_out: bool,
    /// Whether it passed the arm's filters, so that fine-tuning may draw it.
    pub is_taught: bool,
    /// Kept byte spans of the think text.
    pub kept_spans: Vec<(usize, usize)>,
    /// What was kept of what matters.
    pub fidelity: Fidelity,
    /// How well the kept bytes agree with the labels'.
    pub label_f1: f64,
}

/// Compresses every trace by an arm at every level: `compressed.jsonl` for fine-tuning, without the
/// texts that the filters refuse; `texts.jsonl` with what each text kept; `counts.jsonl` with what
/// became of each.
///
/// # Errors
///
/// If a trace has no labels, or training, scoring or writing fails.
pub fn compress_arm(
    pipeline: &Pipeline,
    arm: &CompressorArm,
    base: &StageFolder,
    traces: &StageFolder,
    levels: &[KeepLevel],
) -> Result<StageFolder> {
    let name = format!("compressed_{}", super::arms::slug(&arm.name));
    let inputs = (
        &traces.key,
        arm.compressor.key(),
        arm.is_filtered.then(QualityConfig::default),
        &pipeline.config.compressor,
        levels,
        pipeline.seed,
    );
    pipeline.run.stage(&name, &inputs, |stage| {
        let policy = pipeline.policy(base)?;
        let traces: Vec<ReasoningTrace> = traces.read("traces.jsonl")?;
        let labels = traces
            .iter()
            .map(|trace| Ok(SolutionAnnotator.annotate(&trace.problem, &segment(&trace.think))?))
            .collect::<Result<Vec<KeepLabels>>>()?;
        let texts = compressed(pipeline, stage, arm, &policy, &traces, &labels, levels)?;
        let mut rows = Vec::new();
        let mut arm_texts = Vec::new();
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for ((trace, labels), texts) in traces.iter().zip(&labels).zip(texts) {
            for (level, compressed) in levels.iter().zip(texts) {
                let Problem {
                    question, answer, ..
                } = &trace.problem;
                let original = segment(&trace.think);
                let refused = match arm.is_filtered {
                    true => {
                        let quality = QualityConfig::default();
                        quality::check(&original, &compressed, question, answer, &quality).err()
                    }
                    false => None,
                };
                let outcome = match &refused {
                    Some(degenerate) => format!("dropped: {}", degenerate.reason()),
                    None => "kept".to_owned(),
                };
                *counts
                    .entry(format!("level {level} {outcome}"))
                    .or_default() += 1;
                arm_texts.push(ArmText {
                    problem_id: trace.problem.id.clone(),
                    level: *level,
                    is_held_out: is_held_out(pipeline.seed, trace),
                    is_taught: refused.is_none(),
                    fidelity: Fidelity::of(&trace.think, &compressed, answer),
                    label_f1: label_f1(&original, labels, &compressed.kept_spans),
                    kept_spans: compressed.kept_spans,
                });
                if refused.is_some() {
                    continue;
                }
                rows.push(CompressedTrace {
                    problem_id: trace.problem.id.clone(),
                    level: *level,
                    think: compressed.text,
                    kept_tokens: compressed.kept_tokens,
                    total_tokens: compressed.total_tokens,
                });
            }
        }
        stage.write("counts.jsonl", &[counts])?;
        stage.write("texts.jsonl", &arm_texts)?;
        stage.write("compressed.jsonl", &rows)
    })
}

/// Checks what the comparison needs of the traces before anything is trained: worked solutions, and
/// traces on both sides of the split.
///
/// # Errors
///
/// By problem, if a trace cannot be labeled; if one side is empty.
pub(super) fn check_traces(pipeline: &Pipeline, traces: &[ReasoningTrace]) -> Result<()> {
    for trace in traces {
        SolutionAnnotator.annotate(&trace.problem, &segment(&trace.think))?;
    }
    let n_held_out = traces
        .iter()
        .filter(|t| is_held_out(pipeline.seed, t))
        .count();
    if n_held_out == 0 || n_held_out == traces.len() {
        bail!(
            "{n_held_out} of {} traces are held out; take more training problems",
            traces.len()
        );
    }
    Ok(())
}

/// Whether a trace is held out from training; it depends on the seed and the problem alone.
fn is_held_out(seed: Seed, trace: &ReasoningTrace) -> bool {
    let draw = seed.derive("held-out", 0).derive(&trace.problem.id, 0);
    draw.0.is_multiple_of(HELD_OUT_EVERY)
}

/// F1 of the kept bytes against the bytes of the atoms that are labeled to be kept, white space not
/// counted: the same measure for arms with atoms and without.
fn label_f1(cot: &AtomizedCot, labels: &KeepLabels, kept_spans: &[(usize, usize)]) -> f64 {
    let text = cot.text().as_bytes();
    let mut is_wanted = vec![false; text.len()];
    for (atom_idx, _) in labels
        .as_slice()
        .iter()
        .enumerate()
        .filter(|(_, keep)| **keep)
    {
        is_wanted[cot.core_span(atom_idx)].fill(true);
    }
    let mut is_kept = vec![false; text.len()];
    for (start, end) in kept_spans {
        is_kept[*start..*end].fill(true);
    }
    let (mut n_both, mut n_wanted, mut n_kept) = (0_usize, 0_usize, 0_usize);
    for idx in (0..text.len()).filter(|idx| !text[*idx].is_ascii_whitespace()) {
        n_wanted += usize::from(is_wanted[idx]);
        n_kept += usize::from(is_kept[idx]);
        n_both += usize::from(is_wanted[idx] && is_kept[idx]);
    }
    match n_wanted + n_kept {
        0 => 1.0,
        n => 2.0 * n_both as f64 / n as f64,
    }
}

/// Sums what an arm kept of the held-out texts at a level.
pub(super) fn held_out_fidelity(texts: &[ArmText], level: KeepLevel) -> FidelitySum {
    let mut sum = FidelitySum::default();
    for text in texts.iter().filter(|t| t.is_held_out && t.level == level) {
        sum.add(&text.fidelity);
    }
    sum
}

/// Every trace at every level.
fn compressed(
    pipeline: &Pipeline,
    stage: &StageFolder,
    arm: &CompressorArm,
    policy: &Policy,
    traces: &[ReasoningTrace],
    labels: &[KeepLabels],
    levels: &[KeepLevel],
) -> Result<Vec<Vec<CompressedCot>>> {
    let tokenizer = &policy.checkpoint.tokenizer;
    let device = &pipeline.device;
    let config = &pipeline.config.compressor;
    match &arm.compressor {
        ArmCompressor::Scorer(_, scorer) => by_scorer(
            pipeline,
            scorer,
            tokenizer,
            &ClassifierRecipe::default(),
            traces,
            levels,
        ),
        ArmCompressor::Surprisal => {
            let scorer = SurprisalScorer {
                model: &policy.checkpoint.model,
                device,
                tokenizer,
                chat: Some(policy.context().chat),
                batch_tokens: SURPRISAL_BATCH_TOKENS,
            };
            by_scorer(
                pipeline,
                scorer,
                tokenizer,
                &ClassifierRecipe::default(),
                traces,
                levels,
            )
        }
        ArmCompressor::Classifier(recipe) => {
            let size = longformer_size(pipeline, policy);
            let longformer = LongformerConfig::longformer(size, tokenizer.vocab_size());
            longformer.check()?;
            let model = Longformer::new(&longformer, &device.clone().autodiff());
            let gamma = if recipe.is_focal {
                config.train.gamma
            } else {
                0.0
            };
            let train = CompressorConfig {
                gamma,
                ..config.train
            };
            let classifier = trained(
                pipeline, stage, model, recipe, &train, tokenizer, traces, labels,
            )?;
            let scorer = ClassifierScorer {
                classifier: &classifier,
                device,
                tokenizer,
                separator_id: separator_id(tokenizer)?,
                batch_size: SCORE_BATCH,
                pooling: Pooling::Mean,
            };
            match recipe.has_sentence_context {
                true => {
                    let scorer = SentenceContextScorer::new(scorer);
                    by_scorer(pipeline, scorer, tokenizer, recipe, traces, levels)
                }
                false => by_scorer(pipeline, scorer, tokenizer, recipe, traces, levels),
            }
        }
        ArmCompressor::LlmLingua2 => {
            let size = longformer_size(pipeline, policy);
            let roberta = RobertaConfig::roberta(size, tokenizer.vocab_size());
            let model = Roberta::new(&roberta, &device.clone().autodiff());
            let recipe = ClassifierRecipe {
                atoms: Atoms::Words,
                sees_question: false,
                is_focal: false,
                has_sentence_context: false,
            };
            let train = CompressorConfig {
                gamma: 0.0,
                class_weights: ClassWeights::None,
                ..config.train
            };
            let classifier = trained(
                pipeline, stage, model, &recipe, &train, tokenizer, traces, labels,
            )?;
            let baseline = LlmLingua2 {
                classifier: &classifier,
                device,
                tokenizer,
                enclosing_ids: (Some(separator_id(tokenizer)?), None),
                batch_size: SCORE_BATCH,
                config: LlmLingua2Config::default(),
            };
            traces
                .iter()
                .map(|trace| {
                    let chunks = baseline.probabilities(&trace.think)?;
                    let at = |level: &KeepLevel| {
                        baseline.compress(&trace.think, &chunks, level.ratio(), tokenizer)
                    };
                    Ok(levels.iter().map(at).collect())
                })
                .collect()
        }
    }
}

fn longformer_size(pipeline: &Pipeline, policy: &Policy) -> LongformerSize {
    let config = &pipeline.config.compressor;
    LongformerSize {
        hidden_size: config.hidden_size,
        intermediate_size: config.intermediate_size,
        num_hidden_layers: config.n_layers,
        num_attention_heads: config.n_heads,
        attention_window: config.window,
        max_positions: policy.checkpoint.config.max_position_embeddings,
    }
}

fn by_scorer(
    pipeline: &Pipeline,
    scorer: impl KeepScorer,
    tokenizer: &HfTokenizer,
    recipe: &ClassifierRecipe,
    traces: &[ReasoningTrace],
    levels: &[KeepLevel],
) -> Result<Vec<Vec<CompressedCot>>> {
    let compressor = Compressor::new(scorer, tokenizer).with_atomizer(recipe.atoms.atomizer());
    let progress = pipeline.progress("compress", traces.len(), "traces");
    let mut texts = Vec::new();
    for batch in traces.chunks(SCORE_BATCH) {
        let items: Vec<(&str, &str)> = batch
            .iter()
            .map(|trace| (recipe.question(trace), trace.think.as_str()))
            .collect();
        for scored in compressor.score_batch(&items)? {
            texts.push(
                levels
                    .iter()
                    .map(|level| scored.at(level.ratio()))
                    .collect(),
            );
        }
        progress.advance(batch.len(), "");
    }
    Ok(texts)
}

impl ClassifierRecipe {
    fn question<'a>(&self, trace: &'a ReasoningTrace) -> &'a str {
        if self.sees_question {
            &trace.problem.question
        } else {
            ""
        }
    }
}

/// Trains a classifier on the labels of the traces that are not held out.
#[allow(
    clippy::too_many_arguments,
    reason = "the parts of one training; a struct of them would be used once"
)]
fn trained<C: TokenClassifier + Sync>(
    pipeline: &Pipeline,
    stage: &StageFolder,
    model: C,
    recipe: &ClassifierRecipe,
    train: &CompressorConfig,
    tokenizer: &HfTokenizer,
    traces: &[ReasoningTrace],
    labels: &[KeepLabels],
) -> Result<C> {
    let layout = InputLayout {
        tokenizer,
        separator_id: separator_id(tokenizer)?,
        max_positions: model.max_positions(),
    };
    let mut examples = Vec::new();
    for (trace, labels) in traces.iter().zip(labels) {
        if is_held_out(pipeline.seed, trace) {
            continue;
        }
        let cot = (recipe.atoms.atomizer())(&trace.think);
        let keep = spread(&segment(&trace.think), labels, &cot);
        for input in ClassifierInput::windows(recipe.question(trace), &cot, &layout)? {
            let keep = keep.clone();
            examples.push(KeepExample { input, keep });
        }
    }
    let device = pipeline.device.clone().autodiff();
    let seed = pipeline.seed.derive("compressor", 0);
    let model = randomize(model, 1.0, 0.05, seed);
    let progress = pipeline.progress(&stage.name, train.n_steps, "steps");
    let model = train_compressor(model, &examples, train, &device, seed, |_, stats| {
        progress.advance(1, &format!("loss {:.3}", stats.loss));
        Ok(())
    })?;
    Ok(model.valid())
}

/// Labels of other atoms: an atom is to be kept if it touches one that is.
fn spread(labeled: &AtomizedCot, labels: &KeepLabels, cot: &AtomizedCot) -> Vec<bool> {
    let mut wanted = labels
        .as_slice()
        .iter()
        .enumerate()
        .filter(|(_, keep)| **keep)
        .map(|(atom_idx, _)| labeled.core_span(atom_idx))
        .peekable();
    (0..cot.n_atoms())
        .map(|atom_idx| {
            let core = cot.core_span(atom_idx);
            while wanted.next_if(|span| span.end <= core.start).is_some() {}
            wanted.peek().is_some_and(|span| span.start < core.end)
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn labels_spread_to_every_word_that_touches_a_kept_atom() {
        let text = "so $1 + 2 = 3$. Then 4 cm go";
        let labeled = segment(text);
        let keep: Vec<bool> = (0..labeled.n_atoms())
            .map(|idx| ["$1 + 2 = 3$.", "4 cm"].contains(&labeled.core_text(idx)))
            .collect();
        let words = segment_words(text);
        let spread = spread(&labeled, &KeepLabels::new(keep), &words);
        let kept: Vec<&str> = (0..words.n_atoms())
            .filter(|idx| spread[*idx])
            .map(|idx| words.core_text(idx))
            .collect();
        assert_eq!(kept, ["$1", "+", "2", "=", "3$.", "4", "cm"]);
    }

    #[test]
    fn label_f1_counts_bytes() {
        let cot = segment("ab cdef g");
        let labels = KeepLabels::new(vec![true, true, false]);
        // Wanted ab cdef (6), kept `def g` (4): three in common.
        assert_eq!(label_f1(&cot, &labels, &[(4, 9)]), 2.0 * 3.0 / 10.0);
        assert_eq!(label_f1(&cot, &labels, &[(0, 7)]), 1.0);
        assert_eq!(label_f1(&cot, &labels, &[]), 0.0);
    }
}
