//! Stage 1: annotate, train the token classifier, compress every trace at every level.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::module::Module;
use extracot_core::compress::SentenceContextScorer;
use extracot_core::compress::quality::{self, QualityConfig};
use extracot_core::label::{Annotator, HeuristicAnnotator, SolutionAnnotator};
use extracot_core::{
    AtomizedCot, Compressor, KeepLevel, KeepScorer, Problem, ReasoningTrace, segment,
};
use extracot_models::checkpoint::save_json;
use extracot_models::init::randomize;
use extracot_models::longformer::{Longformer, LongformerConfig, LongformerSize};
use extracot_models::scorer::{
    ClassifierInput, ClassifierScorer, InputLayout, Pooling, separator_id,
};
use extracot_models::weights::{WEIGHTS, load_weights, save_weights};
use extracot_train::compressor_trainer::{KeepExample, train_compressor};
use extracot_train::metrics::{MetricRow, MetricSink, StepLog};
use serde::{Deserialize, Serialize};

use super::{Pipeline, Policy};
use crate::config::compressed_levels;
use crate::run::StageFolder;

/// Think texts scored together.
const SCORE_BATCH: usize = 16;

/// A think text at one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompressedTrace {
    /// The problem.
    pub problem_id: String,
    /// The level asked for.
    pub level: KeepLevel,
    /// The compressed think text.
    pub think: String,
    /// Its tokens, as the sum over its atoms.
    pub kept_tokens: usize,
    /// Tokens of the whole think text.
    pub total_tokens: usize,
}

/// Labels the traces and trains the classifier on them.
///
/// Labels come from the worked solution ([`SolutionAnnotator`]): the embedded task knows which
/// equations carry the answer. A trace it cannot label falls to the heuristic, and is counted.
///
/// # Errors
///
/// If labelling, training or writing fails.
pub fn train_compressor_stage(
    pipeline: &Pipeline,
    base: &StageFolder,
    traces: &StageFolder,
) -> Result<StageFolder> {
    let config = &pipeline.config.compressor;
    let inputs = (&traces.key, config, pipeline.seed);
    pipeline.run.stage("compressor", &inputs, |stage| {
        let policy = pipeline.policy(base)?;
        let traces: Vec<ReasoningTrace> = traces.read("traces.jsonl")?;
        let tokenizer = &policy.checkpoint.tokenizer;
        let size = LongformerSize {
            hidden_size: config.hidden_size,
            intermediate_size: config.intermediate_size,
            num_hidden_layers: config.n_layers,
            num_attention_heads: config.n_heads,
            attention_window: config.window,
            max_positions: policy.checkpoint.config.max_position_embeddings,
        };
        let longformer = LongformerConfig::longformer(size, tokenizer.vocab_size());
        longformer.check()?;
        let layout = InputLayout {
            tokenizer,
            separator_id: separator_id(tokenizer)?,
            max_positions: size.max_positions,
        };
        let (examples, counts) = label(&traces, &layout)?;

        let device = pipeline.device.clone().autodiff();
        let seed = pipeline.seed.derive("compressor", 0);
        let model = randomize(Longformer::new(&longformer, &device), 1.0, 0.05, seed);
        let progress = pipeline.progress("compressor", config.train.n_steps, "steps");
        let mut sink = StepLog::create(&stage.path("events.jsonl"))?;
        let model = train_compressor(
            model,
            &examples,
            &config.train,
            &device,
            seed,
            |step, stats| {
                progress.advance(1, &format!("loss {:.3}", stats.loss));
                Ok(sink.record(&MetricRow::of_step("compressor", step, stats))?)
            },
        )?;
        std::fs::create_dir_all(&stage.model)?;
        save_weights(&model.valid(), &stage.model.join(WEIGHTS))?;
        save_json(&longformer, &stage.model.join("config.json"))?;
        stage.write("counts.jsonl", &[counts])
    })
}

fn label(
    traces: &[ReasoningTrace],
    layout: &InputLayout<'_>,
) -> Result<(Vec<KeepExample>, BTreeMap<String, u64>)> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut examples = Vec::new();
    for trace in traces {
        let cot = segment(&trace.think);
        let (name, labels) = match SolutionAnnotator.annotate(&trace.problem, &cot) {
            Ok(labels) => (SolutionAnnotator.name(), labels),
            Err(_) => (
                HeuristicAnnotator.name(),
                HeuristicAnnotator.annotate(&trace.problem, &cot)?,
            ),
        };
        *counts.entry(format!("labelled by {name}")).or_default() += 1;
        for input in ClassifierInput::windows(&trace.problem.question, &cot, layout)? {
            examples.push(KeepExample {
                input,
                keep: labels.as_slice().to_vec(),
            });
        }
    }
    Ok((examples, counts))
}

/// Compresses every trace at 20, 40, 60 and 80 percent with one forward pass each, and drops
/// degenerate results by reason.
///
/// # Errors
///
/// If scoring or writing fails.
pub fn compress_traces(
    pipeline: &Pipeline,
    base: &StageFolder,
    traces: &StageFolder,
    compressor: &StageFolder,
) -> Result<StageFolder> {
    let inputs = (&compressor.key, &traces.key, QualityConfig::default());
    pipeline.run.stage("compress", &inputs, |stage| {
        let policy = pipeline.policy(base)?;
        let tokenizer = &policy.checkpoint.tokenizer;
        let longformer = LongformerConfig::load(&compressor.model)?;
        let classifier = load_weights(
            Longformer::new(&longformer, &pipeline.device),
            &compressor.model.join(WEIGHTS),
        )?;
        let scorer = ClassifierScorer {
            classifier: &classifier,
            device: &pipeline.device,
            tokenizer,
            separator_id: separator_id(tokenizer)?,
            batch_size: SCORE_BATCH,
            pooling: Pooling::Mean,
        };
        let scorer = SentenceContextScorer::new(scorer);
        let traces: Vec<ReasoningTrace> = traces.read("traces.jsonl")?;
        let (rows, counts) = compress(pipeline, &policy, scorer, &traces)?;
        stage.write("counts.jsonl", &[counts])?;
        stage.write("compressed.jsonl", &rows)
    })
}

/// Compresses with any scorer.
fn compress(
    pipeline: &Pipeline,
    policy: &Policy,
    scorer: impl KeepScorer,
    traces: &[ReasoningTrace],
) -> Result<(Vec<CompressedTrace>, BTreeMap<String, u64>)> {
    let compressor = Compressor::new(scorer, &policy.checkpoint.tokenizer);
    let quality = QualityConfig::default();
    let progress = pipeline.progress("compress", traces.len(), "traces");
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut count = |reason: String| *counts.entry(reason).or_default() += 1;
    let mut rows = Vec::new();
    for batch in traces.chunks(SCORE_BATCH) {
        let items: Vec<(&str, &str)> = batch
            .iter()
            .map(|t| (t.problem.question.as_str(), t.think.as_str()))
            .collect();
        let scored = compressor.score_batch(&items)?;
        for (trace, scored) in batch.iter().zip(&scored) {
            let original: AtomizedCot = segment(&trace.think);
            for level in compressed_levels() {
                let compressed = scored.at(level.ratio());
                let Problem {
                    question, answer, ..
                } = &trace.problem;
                let outcome = quality::check(&original, &compressed, question, answer, &quality);
                if let Err(degenerate) = outcome {
                    count(format!("level {level} dropped: {}", degenerate.reason()));
                    continue;
                }
                count(format!("level {level} kept"));
                rows.push(CompressedTrace {
                    problem_id: trace.problem.id.clone(),
                    level,
                    think: compressed.text,
                    kept_tokens: compressed.kept_tokens,
                    total_tokens: compressed.total_tokens,
                });
            }
        }
        progress.advance(batch.len(), "");
    }
    Ok((rows, counts))
}
