//! The base model: shipped with the source, or trained on worked solutions.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use burn::module::Module;
use burn::tensor::Device;
use extracot_core::jsonl::write_atomic;
use extracot_core::sft::{SftBuilder, SftExample};
use extracot_core::{ChatTemplate, ControlToken, CoreError, Problem, Seed};
use extracot_models::init::randomize;
use extracot_models::{Decoder, DecoderConfig, HfTokenizer, PolicyCheckpoint};
use extracot_train::metrics::{JsonLinesSink, MetricRow, MetricSink};
use extracot_train::train_sft;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::Pipeline;
use crate::config::{BaseConfig, BaseSource};
use crate::progress::Progress;
use crate::run::StageFolder;
use crate::word_problems::{
    MAX_STEPS, Split, WordProblem, draw_plan, drill, problem_set, word_problem,
};

const SHIPPED: [(&str, &[u8]); 3] = [
    (
        "config.json",
        include_bytes!("../../assets/base/config.json"),
    ),
    (
        "tokenizer.json",
        include_bytes!("../../assets/base/tokenizer.json"),
    ),
    (
        "model.safetensors",
        include_bytes!("../../assets/base/model.safetensors"),
    ),
];

/// Deviation of the initial embeddings.
const EMBEDDING_GAIN: f64 = 0.05;
/// Problems whose text trains the tokenizer of the shipped base.
const N_TOKENIZER_PROBLEMS: usize = 1200;
/// Share of bare equations among the pretraining examples: arithmetic is learned from them at a
/// fraction of the tokens of a verbose chain of thought.
const DRILL_SHARE: f64 = 0.3;
/// The same while refining.
const REFINE_DRILL_SHARE: f64 = 0.8;
/// Share of the pretraining steps with chains of thought of at most half the steps.
const SHORT_UNTIL: f64 = 0.25;
/// Steps of the longest chain of bare equations.
const DRILL_STEPS: u32 = 12;
/// Rows of the embedding are rounded up to a multiple of this.
const VOCAB_MULTIPLE: usize = 16;

/// Settings of `build_base`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasePreset {
    /// The root of its random streams.
    pub seed: u64,
    /// Sizes and training.
    pub base: BaseConfig,
}

/// Stage 0: the base model of the run.
///
/// # Errors
///
/// If the shipped base is asked for with a problem file, or training or writing fails.
pub fn base_model(pipeline: &mut Pipeline) -> Result<StageFolder> {
    let base = base_stage(pipeline)?;
    drop_long_problems(pipeline, &base)?;
    Ok(base)
}

/// Drops, and counts, problems whose prompt leaves no room for an answer.
fn drop_long_problems(pipeline: &mut Pipeline, base: &StageFolder) -> Result<()> {
    let policy = pipeline.policy(base)?;
    let room = policy
        .checkpoint
        .config
        .max_position_embeddings
        .saturating_sub(pipeline.config.decode.max_new_tokens);
    let problems = &mut pipeline.problems;
    let mut n_dropped = 0;
    for set in [
        &mut problems.train,
        &mut problems.reinforce,
        &mut problems.test,
    ] {
        let n_before = set.len();
        set.retain(|problem| {
            let control = Some(ControlToken::Policy);
            policy.context().prompt(problem, control).token_ids.len() <= room
        });
        n_dropped += n_before - set.len();
        if set.is_empty() {
            bail!(
                "every problem of a split has a prompt of more than {room} tokens; \
                 lower decode.max_new_tokens or raise base.decoder.max_position_embeddings"
            );
        }
    }
    if n_dropped > 0 {
        let reason = "dropped: the prompt leaves no room for an answer".to_owned();
        problems.counts.insert(reason, n_dropped as u64);
    }
    Ok(())
}

fn base_stage(pipeline: &Pipeline) -> Result<StageFolder> {
    let config = &pipeline.config.base;
    match (config.source, pipeline.problems.from_file) {
        (BaseSource::Shipped, true) => bail!(
            "the shipped base model knows the generator's problems only; \
             add --set base.source=\"trained\" to train one on the file"
        ),
        (BaseSource::Shipped, false) => {
            let contents = SHIPPED.map(|(_, bytes)| content_of(bytes));
            pipeline.run.stage("base", &("shipped", contents), |stage| {
                std::fs::create_dir_all(&stage.model)?;
                for (name, bytes) in SHIPPED {
                    write_atomic(&stage.model.join(name), |out| out.write_all(bytes))?;
                }
                let counts = BTreeMap::from([("shipped model".to_owned(), 1_u64)]);
                stage.write("counts.jsonl", &[counts])
            })
        }
        (BaseSource::Trained, from_file) => {
            let inputs = (
                config,
                pipeline.seed,
                &pipeline.problems.source,
                pipeline.problems.train.len(),
            );
            pipeline.run.stage("base", &inputs, |stage| {
                let seed = pipeline.seed.derive("base", 0);
                let worked = match from_file {
                    true => worked_examples(&pipeline.problems.train),
                    false => Vec::new(),
                };
                let mut sink = JsonLinesSink::create(&stage.path("events.jsonl"))?;
                let device = &pipeline.device;
                let trained = train_base(config, &worked, device, seed, pipeline.quiet, |row| {
                    sink.record(row)
                })?;
                stage.write("counts.jsonl", &[trained.counts])?;
                Ok(trained.checkpoint.save(&stage.model)?)
            })
        }
    }
}

fn content_of(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Worked solutions as chains of thought.
fn worked_examples(problems: &[Problem]) -> Vec<WordProblem> {
    problems
        .iter()
        .map(|problem| WordProblem {
            problem: problem.clone(),
            think: problem.solution.clone().unwrap_or_default(),
            visible: visible_answer(&problem.answer),
        })
        .collect()
}

/// The visible part of a worked answer.
pub(super) fn visible_answer(answer: &str) -> String {
    format!("The answer is \\boxed{{{answer}}}.")
}

/// A base model, and what it was trained on by reason.
#[derive(Debug)]
pub struct TrainedBase {
    /// The model.
    pub checkpoint: PolicyCheckpoint,
    /// Examples by what became of them.
    pub counts: BTreeMap<String, u64>,
}

/// Trains a tokenizer and a base model: on `worked`, or, if that is empty, on an endless stream of
/// the generator's problems. Worked examples that exceed the model's positions are dropped and
/// counted.
///
/// # Errors
///
/// If no example fits, training fails, or `report` does.
pub fn train_base(
    config: &BaseConfig,
    worked: &[WordProblem],
    device: &Device,
    seed: Seed,
    quiet: bool,
    mut report: impl FnMut(&MetricRow) -> Result<(), CoreError>,
) -> Result<TrainedBase> {
    let chat = ChatTemplate::default();
    let tokenizer = match worked {
        [] => train_tokenizer(
            &problem_set(Split::Pretrain, N_TOKENIZER_PROBLEMS, seed)?,
            config,
        )?,
        worked => train_tokenizer(worked, config)?,
    };
    let vocab_size = tokenizer.vocab_size().next_multiple_of(VOCAB_MULTIPLE);
    let decoder = DecoderConfig::qwen3(config.decoder, vocab_size);
    decoder.check()?;
    let builder = SftBuilder {
        chat: &chat,
        tokenizer: &tokenizer,
    };
    let example = |item: &WordProblem| builder.plain(&item.problem, &item.think, &item.visible);
    let (fitting, too_long): (Vec<SftExample>, Vec<SftExample>) =
        worked.iter().map(example).partition(|example| {
            example.prompt_ids.len() + example.completion_ids.len()
                <= decoder.max_position_embeddings
        });
    if fitting.is_empty() && !worked.is_empty() {
        bail!(
            "no worked solution fits the base model's {} positions",
            decoder.max_position_embeddings
        );
    }

    let autodiff = device.clone().autodiff();
    let mut model = randomize(Decoder::new(&decoder, &autodiff), 1.0, EMBEDDING_GAIN, seed);
    for (phase, settings, seed) in [
        (Phase::Train, &config.sft, seed),
        (Phase::Refine, &config.refine, seed.derive("refine", 0)),
    ] {
        let draw = |progress: f64, seed: Seed| match fitting.len() {
            0 => Ok(example(&pretraining_example(phase, progress, seed))),
            n => Ok(fitting[seed.rng().random_range(0..n)].clone()),
        };
        let bar = Progress::new(phase.name(), settings.n_steps, "steps", quiet);
        model = train_sft(model, settings, &autodiff, seed, draw, |step, stats| {
            bar.advance(1, &format!("loss {:.3}", stats.loss));
            Ok(report(&MetricRow::of_step(phase.name(), step, stats))?)
        })?;
    }
    let checkpoint = PolicyCheckpoint {
        model: model.valid(),
        config: decoder,
        tokenizer,
    };
    let mut counts = BTreeMap::new();
    if worked.is_empty() {
        let n_drawn = config.sft.n_steps * config.sft.batch_size
            + config.refine.n_steps * config.refine.batch_size;
        counts.insert("generated examples".to_owned(), n_drawn as u64);
    } else {
        counts.insert("worked solutions".to_owned(), fitting.len() as u64);
        counts.insert(
            "dropped: exceeds the model's positions".to_owned(),
            too_long.len() as u64,
        );
    }
    Ok(TrainedBase { checkpoint, counts })
}

fn train_tokenizer(items: &[WordProblem], config: &BaseConfig) -> Result<HfTokenizer> {
    let chat = ChatTemplate::default();
    let texts: Vec<String> = items
        .iter()
        .flat_map(|item| {
            let prompt = chat.prompt(&item.problem.question, None);
            [prompt, item.think.clone(), item.visible.clone()]
        })
        .collect();
    Ok(HfTokenizer::train(
        texts.iter().map(String::as_str),
        config.vocab_size,
    )?)
}

/// The two parts of the base model's training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Mostly verbose chains of thought, short ones first.
    Train,
    /// Mostly bare equations: without the noise of the wording, arithmetic is learned quickly.
    Refine,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Train => "base",
            Self::Refine => "base_refine",
        }
    }
}

/// An example of the generator: a verbose chain of thought, or bare equations.
fn pretraining_example(phase: Phase, progress: f64, seed: Seed) -> WordProblem {
    let mut rng = seed.rng();
    let (drill_share, longest) = match phase {
        Phase::Train if progress < SHORT_UNTIL => (DRILL_SHARE, MAX_STEPS / 2),
        Phase::Train => (DRILL_SHARE, MAX_STEPS),
        Phase::Refine => (REFINE_DRILL_SHARE, MAX_STEPS),
    };
    if rng.random_bool(drill_share) {
        let plan = draw_plan(Split::Pretrain, rng.random_range(1..=DRILL_STEPS), seed);
        return drill(&plan, String::new());
    }
    let plan = draw_plan(Split::Pretrain, rng.random_range(1..=longest), seed);
    word_problem(&plan, String::new(), seed)
}
