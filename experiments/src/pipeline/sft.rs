//! Stage 2: mixed-ratio fine-tuning. First the fixed levels, long ones first; then, once difficulty
//! has been measured, both queues.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::module::Module;
use extracot_core::sft::{FixedRatio, MixedRatio, RatioCurriculum, SftBuilder, SftExample};
use extracot_core::{ControlToken, KeepLevel, ReasoningTrace, Seed, Tokenizer};
use extracot_models::PolicyCheckpoint;
use extracot_train::checkpoints::RunControl;
use extracot_train::metrics::{MetricRow, MetricSink, StepLog};
use extracot_train::policy_trainer::PolicyProblem;
use extracot_train::sft_trainer::{ExampleDraw, SftRun};
use extracot_train::{SftConfig, TrainError};
use rand::RngExt;
use serde::Serialize;

use super::arms::slug;
use super::compressor::CompressedTrace;
use super::{Pipeline, Policy};
use crate::interrupt;
use crate::run::{StageFolder, steps_done};

/// The stage of the fixed levels, and its random stream.
const FIXED: &str = "sft_fixed";

/// Steps between two states of a stage: a killed run loses fewer.
const SFT_STATE_EVERY: usize = 20;

/// Think texts by level; each problem once per level.
struct Queues {
    fixed: BTreeMap<KeepLevel, Vec<SftExample>>,
    /// Policy examples by level, whatever their measured difficulty.
    policy_any: BTreeMap<KeepLevel, Vec<SftExample>>,
    /// Policy examples at the measured level of their problem.
    policy_measured: Vec<SftExample>,
    /// What the queues hold, by name.
    counts: BTreeMap<String, u64>,
}

/// Fine-tunes the base model on the fixed levels, by the curriculum of the settings.
///
/// # Errors
///
/// If training or writing fails.
pub fn fixed_sft(
    pipeline: &Pipeline,
    base: &StageFolder,
    traces: &StageFolder,
    compressed: &StageFolder,
) -> Result<StageFolder> {
    let curriculum = pipeline.config.sft.curriculum()?;
    let stages = &pipeline.config.sft.stages;
    let inputs = (base, traces, compressed);
    fixed_sft_by(pipeline, FIXED, inputs, &curriculum, stages)
}

/// Fine-tunes the base model on the fixed levels, by any curriculum and on the texts of any compressor:
/// `inputs` are base, traces and compressed texts. `name` names the stage; whatever it is, the same random
/// stream draws the examples.
///
/// `settings` must hold every constant of the curriculum: it decides whether a finished stage is
/// reused.
///
/// # Errors
///
/// If training or writing fails.
pub fn fixed_sft_by(
    pipeline: &Pipeline,
    name: &str,
    (base, traces, compressed): (&StageFolder, &StageFolder, &StageFolder),
    curriculum: &dyn RatioCurriculum,
    settings: &impl Serialize,
) -> Result<StageFolder> {
    let config = &pipeline.config.sft;
    let inputs = (&compressed.key, settings, config.fixed, pipeline.seed);
    pipeline.run.stage(name, &inputs, |stage| {
        let policy = with_fresh_control_tokens(pipeline.policy(base)?, pipeline.seed)?;
        let queues = queues(&policy, traces, compressed, &BTreeMap::new())?;
        let counts = queues.counts.clone();
        train(
            pipeline,
            stage,
            FIXED,
            policy,
            &config.fixed,
            counts,
            |progress, seed| draw(&queues, curriculum, 0.0, progress, seed),
        )
    })
}

/// Fine-tunes the base model at one level alone: what the texts of one compressor teach. Whatever the
/// name, the same random stream draws: compressors that keep the same problems teach them in the same order.
///
/// # Errors
///
/// If training or writing fails.
pub fn level_sft(
    pipeline: &Pipeline,
    name: &str,
    base: &StageFolder,
    traces: &StageFolder,
    compressed: &StageFolder,
    level: KeepLevel,
) -> Result<StageFolder> {
    let config = &pipeline.config.sft.fixed;
    let inputs = (&compressed.key, level, config, pipeline.seed);
    pipeline
        .run
        .stage(&format!("sft_{}", slug(name)), &inputs, |stage| {
            let policy = with_fresh_control_tokens(pipeline.policy(base)?, pipeline.seed)?;
            let queues = queues(&policy, traces, compressed, &BTreeMap::new())?;
            let curriculum = FixedRatio(ControlToken::Level(level));
            let counts = queues.counts.clone();
            train(
                pipeline,
                stage,
                "sft_level",
                policy,
                config,
                counts,
                |progress, seed| draw(&queues, &curriculum, 0.0, progress, seed),
            )
        })
}

/// Goes on with both queues: every fixed level equally, and policy examples at measured levels.
///
/// # Errors
///
/// If training or writing fails.
pub fn mixed_sft(
    pipeline: &Pipeline,
    fixed: &StageFolder,
    traces: &StageFolder,
    compressed: &StageFolder,
    warmup: &StageFolder,
) -> Result<StageFolder> {
    let config = &pipeline.config.sft;
    let inputs = (
        &fixed.key,
        &warmup.key,
        config.mixed,
        config.policy_share,
        config.explore,
        pipeline.seed,
    );
    pipeline.run.stage("sft", &inputs, |stage| {
        let policy = pipeline.policy(fixed)?;
        let measured: BTreeMap<String, KeepLevel> = warmup
            .read::<PolicyProblem>("budgets.jsonl")?
            .into_iter()
            .filter_map(|row| Some((row.problem.id, row.budget?)))
            .collect();
        let queues = queues(&policy, traces, compressed, &measured)?;
        let curriculum = MixedRatio::even(config.policy_share)?;
        let counts = queues.counts.clone();
        train(
            pipeline,
            stage,
            &stage.name,
            policy,
            &config.mixed,
            counts,
            |progress, seed| draw(&queues, &curriculum, config.explore, progress, seed),
        )
    })
}

/// Embeddings for the control tokens, which the base model never saw.
fn with_fresh_control_tokens(mut policy: Policy, seed: Seed) -> Result<Policy> {
    let checkpoint = &mut policy.checkpoint;
    let ids = ControlToken::ALL
        .iter()
        .map(|token| {
            let id = checkpoint.tokenizer.token_id(&token.to_string());
            id.with_context(|| format!("the tokenizer has no {token}"))
        })
        .collect::<Result<Vec<u32>>>()?;
    let n_trained = checkpoint.tokenizer.base_vocab_size();
    let seed = seed.derive("control-tokens", 0);
    checkpoint.model = checkpoint
        .model
        .clone()
        .with_new_tokens(&ids, n_trained, seed);
    Ok(policy)
}

/// Trains on drawn examples; `stream` names their random stream, so that stages of one stream draw the
/// same problems in the same order.
fn train(
    pipeline: &Pipeline,
    stage: &StageFolder,
    stream: &str,
    policy: Policy,
    config: &SftConfig,
    mut counts: BTreeMap<String, u64>,
    draw: impl Fn(f64, Seed) -> Result<Drawn, TrainError>,
) -> Result<()> {
    let seed = pipeline.seed.derive(stream, 0);
    let (device, model) = pipeline.trainable(&policy.checkpoint.model);
    let checkpoints = stage.checkpoints(SFT_STATE_EVERY);
    let n_done = steps_done(&checkpoints, &stage.name)?;
    let progress = pipeline.progress(&stage.name, config.n_steps - n_done, "steps");
    let mut sink = StepLog::resume(&stage.path("events.jsonl"), n_done)?;
    let run = SftRun {
        config,
        device: &device,
        seed,
        held_out: None,
        control: Some(RunControl {
            checkpoints: &checkpoints,
            should_stop: &interrupt::is_asked,
        }),
    };
    let example = |of: ExampleDraw| Ok(draw(of.progress, of.seed)?.example);
    let trained = run.train(model, example, |step| {
        progress.advance(1, &format!("loss {:.3}", step.stats.loss));
        Ok(sink.record(&MetricRow::of_step(&stage.name, step.step, &step.stats))?)
    })?;
    for index in 0..config.n_steps * config.batch_size {
        let of = ExampleDraw::of_run(index, config, seed);
        let source = draw(of.progress, of.seed)?.source;
        *counts.entry(format!("drawn: {source}")).or_default() += 1;
    }
    let checkpoint = PolicyCheckpoint {
        model: trained.model.valid(),
        ..policy.checkpoint
    };
    stage.write("counts.jsonl", &[counts])?;
    Ok(checkpoint.save(&stage.model)?)
}

fn queues(
    policy: &Policy,
    traces: &StageFolder,
    compressed: &StageFolder,
    measured: &BTreeMap<String, KeepLevel>,
) -> Result<Queues> {
    let traces: Vec<ReasoningTrace> = traces.read("traces.jsonl")?;
    let by_id: BTreeMap<&str, &ReasoningTrace> = traces
        .iter()
        .map(|trace| (trace.problem.id.as_str(), trace))
        .collect();
    let compressed: Vec<CompressedTrace> = compressed.read("compressed.jsonl")?;
    let context = policy.context();
    let builder = SftBuilder {
        chat: context.chat,
        tokenizer: context.tokenizer,
    };
    let mut queues = Queues {
        fixed: BTreeMap::new(),
        policy_any: BTreeMap::new(),
        policy_measured: vec![],
        counts: BTreeMap::new(),
    };
    let texts = compressed
        .iter()
        .filter_map(|row| {
            Some((
                *by_id.get(row.problem_id.as_str())?,
                row.level,
                row.think.as_str(),
            ))
        })
        .chain(
            traces
                .iter()
                .map(|trace| (trace, KeepLevel::FULL, trace.think.as_str())),
        );
    for (trace, level, think) in texts {
        let example =
            |control| builder.controlled(&trace.problem, control, level, think, &trace.visible);
        queues
            .fixed
            .entry(level)
            .or_default()
            .push(example(ControlToken::Level(level))?);
        let policy_example = example(ControlToken::Policy)?;
        if measured.get(&trace.problem.id) == Some(&level) {
            queues.policy_measured.push(policy_example.clone());
        }
        queues
            .policy_any
            .entry(level)
            .or_default()
            .push(policy_example);
    }
    let n_usable = queues.policy_measured.len();
    if !measured.is_empty() {
        let counts = [
            ("measured problems with a text at their level", n_usable),
            (
                "measured problems without: no correct trace, or its compression was dropped",
                measured.len() - n_usable,
            ),
        ];
        let counts = counts.map(|(name, n)| (name.to_owned(), n as u64));
        queues.counts.extend(counts);
    }
    Ok(queues)
}

/// An example and the queue it came from, by a name to count by.
struct Drawn {
    source: String,
    example: SftExample,
}

/// One example: the curriculum names the token, the queue gives the text.
///
/// A level whose compressions were all dropped, and a policy queue without measured problems, fall
/// to another queue under a name of their own.
fn draw(
    queues: &Queues,
    curriculum: &dyn RatioCurriculum,
    explore: f64,
    progress: f64,
    seed: Seed,
) -> Result<Drawn, TrainError> {
    let mut rng = seed.rng();
    let (queue, source) = match curriculum.choose(progress, &mut rng) {
        ControlToken::Level(level) => (queues.fixed.get(&level), format!("level {level}")),
        ControlToken::Policy => {
            let explores = rng.random::<f64>() < explore;
            let n_levels = queues.policy_any.len().max(1);
            let even = queues
                .policy_any
                .values()
                .nth(rng.random_range(0..n_levels));
            match (explores, queues.policy_measured.is_empty()) {
                (true, _) => (even, "policy, even".to_owned()),
                (false, false) => (Some(&queues.policy_measured), "policy, measured".to_owned()),
                (false, true) => (even, "policy, even: no problem was measured".to_owned()),
            }
        }
    };
    let (queue, source) = match queue.filter(|queue| !queue.is_empty()) {
        Some(queue) => (Some(queue), source),
        None => (
            queues.fixed.get(&KeepLevel::FULL),
            format!("{source}: no compressed text, level 100 instead"),
        ),
    };
    let queue = queue.ok_or(TrainError::NoData {
        what: "supervised fine-tuning",
    })?;
    let example = queue[rng.random_range(0..queue.len())].clone();
    Ok(Drawn { source, example })
}
