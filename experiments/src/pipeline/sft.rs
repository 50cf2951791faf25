//! Stage 2: mixed-ratio fine-tuning. First the fixed levels, long ones first; then, once difficulty
//! has been measured, both queues.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::module::Module;
use extracot_core::sft::{
    MixedRatio, RatioCurriculum, SftBuilder, SftExample, Stage, StagedMixture,
};
use extracot_core::{ControlToken, KeepLevel, ReasoningTrace, Seed};
use extracot_models::PolicyCheckpoint;
use extracot_train::metrics::{JsonLinesSink, MetricRow, MetricSink};
use extracot_train::policy_trainer::PolicyProblem;
use extracot_train::{SftConfig, TrainError, train_sft};
use rand::RngExt;

use super::compressor::CompressedTrace;
use super::{Pipeline, Policy};
use crate::run::StageFolder;

/// Think texts by level; each problem once per level.
struct Queues {
    fixed: BTreeMap<KeepLevel, Vec<SftExample>>,
    /// Policy examples by level, whatever their measured difficulty.
    policy_any: BTreeMap<KeepLevel, Vec<SftExample>>,
    /// Policy examples at the measured level of their problem.
    policy_measured: Vec<SftExample>,
}

/// Fine-tunes the base model on the fixed levels.
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
    let config = &pipeline.config.sft;
    let inputs = (&compressed.key, &config.stages, config.fixed, pipeline.seed);
    pipeline.run.stage("sft_fixed", &inputs, |stage| {
        let policy = pipeline.policy(base)?;
        let queues = queues(&policy, traces, compressed, &BTreeMap::new())?;
        let stages = config
            .stages
            .iter()
            .map(|keys| {
                let levels: Vec<_> = KeepLevel::ALL.into_iter().zip(keys.weights).collect();
                let mixture = MixedRatio::try_new(&levels, keys.policy_share)?;
                Ok(Stage {
                    from: keys.from,
                    mixture,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let curriculum = StagedMixture::try_new(stages)?;
        train(pipeline, stage, policy, &config.fixed, |progress, seed| {
            draw(&queues, &curriculum, 0.0, progress, seed)
        })
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
        train(pipeline, stage, policy, &config.mixed, |progress, seed| {
            draw(&queues, &curriculum, config.explore, progress, seed)
        })
    })
}

fn train(
    pipeline: &Pipeline,
    stage: &StageFolder,
    policy: Policy,
    config: &SftConfig,
    draw: impl FnMut(f64, Seed) -> Result<SftExample, TrainError>,
) -> Result<()> {
    let seed = pipeline.seed.derive(&stage.name, 0);
    let (device, model) = pipeline.trainable(&policy.checkpoint.model);
    let progress = pipeline.progress(&stage.name, config.n_steps, "steps");
    let mut sink = JsonLinesSink::create(&stage.path("events.jsonl"))?;
    let model = train_sft(model, config, &device, seed, draw, |step, stats| {
        progress.advance(1, &format!("loss {:.3}", stats.loss));
        Ok(sink.record(&MetricRow::of_step(&stage.name, step, stats))?)
    })?;
    let checkpoint = PolicyCheckpoint {
        model: model.valid(),
        ..policy.checkpoint
    };
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
            .push(example(ControlToken::Level(level)));
        let policy_example = example(ControlToken::Policy);
        if measured.get(&trace.problem.id) == Some(&level) {
            queues.policy_measured.push(policy_example.clone());
        }
        queues
            .policy_any
            .entry(level)
            .or_default()
            .push(policy_example);
    }
    Ok(queues)
}

/// One example: the curriculum names the token, the queue gives the text.
fn draw(
    queues: &Queues,
    curriculum: &dyn RatioCurriculum,
    explore: f64,
    progress: f64,
    seed: Seed,
) -> Result<SftExample, TrainError> {
    let mut rng = seed.rng();
    let queue: Option<&Vec<SftExample>> = match curriculum.choose(progress, &mut rng) {
        ControlToken::Level(level) => queues.fixed.get(&level),
        ControlToken::Policy => {
            let measured = Some(&queues.policy_measured).filter(|queue| !queue.is_empty());
            if rng.random::<f64>() < explore || measured.is_none() {
                let n_levels = queues.policy_any.len();
                queues
                    .policy_any
                    .values()
                    .nth(rng.random_range(0..n_levels.max(1)))
            } else {
                measured
            }
        }
    };
    // A level whose compressions were all dropped (and counted) falls to the uncompressed queue.
    let queue = queue
        .filter(|queue| !queue.is_empty())
        .or(queues.fixed.get(&KeepLevel::FULL));
    let queue = queue.ok_or(TrainError::NoData {
        what: "supervised fine-tuning",
    })?;
    Ok(queue[rng.random_range(0..queue.len())].clone())
}
