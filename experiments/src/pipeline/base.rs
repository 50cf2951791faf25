//! The base model: shipped with the source, or trained on worked solutions.

use anyhow::{Result, bail};
use burn::module::Module;
use burn::tensor::Device;
use extracot_core::jsonl::write_atomic;
use extracot_core::sft::{SftBuilder, SftExample};
use extracot_core::{ChatTemplate, Problem, Seed};
use extracot_models::init::randomize;
use extracot_models::{Decoder, DecoderConfig, HfTokenizer, PolicyCheckpoint};
use extracot_train::metrics::{JsonLinesSink, MetricRow, MetricSink};
use extracot_train::{TrainError, train_sft};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::Pipeline;
use crate::config::{BaseConfig, BaseSource};
use crate::progress::Progress;
use crate::run::StageFolder;
use crate::word_problems::{MAX_STEPS, Split, WordProblem, draw_plan, problem_set, word_problem};

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
pub fn base_model(pipeline: &Pipeline) -> Result<StageFolder> {
    let config = &pipeline.config.base;
    match (config.source, pipeline.problems.from_file) {
        (BaseSource::Shipped, true) => bail!(
            "the shipped base model knows the generator's problems only; \
             add --set base.source=\"trained\" to train one on the file"
        ),
        (BaseSource::Shipped, false) => {
            let lengths: Vec<usize> = SHIPPED.iter().map(|(_, bytes)| bytes.len()).collect();
            let weights = content_of(SHIPPED[2].1);
            pipeline
                .run
                .stage("base", &("shipped", lengths, weights), |stage| {
                    std::fs::create_dir_all(&stage.model)?;
                    for (name, bytes) in SHIPPED {
                        write_atomic(&stage.model.join(name), |out| out.write_all(bytes))?;
                    }
                    Ok(())
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
                let examples = if from_file {
                    worked_examples(&pipeline.problems.train)
                } else {
                    vec![]
                };
                let checkpoint = train_base(
                    config,
                    &examples,
                    &pipeline.device,
                    seed,
                    pipeline.quiet,
                    |row| JsonLinesSink::create(&stage.path("events.jsonl"))?.record(row),
                )?;
                Ok(checkpoint.save(&stage.model)?)
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

/// Trains a tokenizer and a base model: on `examples`, or, if there are none, on an endless stream
/// of the generator's problems, short ones first.
///
/// # Errors
///
/// If training fails.
pub fn train_base(
    config: &BaseConfig,
    examples: &[WordProblem],
    device: &Device,
    seed: Seed,
    quiet: bool,
    mut report: impl FnMut(&MetricRow) -> Result<(), extracot_core::CoreError>,
) -> Result<PolicyCheckpoint> {
    let chat = ChatTemplate::default();
    let generated;
    let texts_of = if examples.is_empty() {
        generated = problem_set(
            Split::Pretrain,
            N_TOKENIZER_PROBLEMS,
            seed.derive("tokenizer", 0),
        );
        &generated
    } else {
        examples
    };
    let texts: Vec<String> = texts_of
        .iter()
        .flat_map(|item| {
            [
                chat.prompt(&item.problem.question, None),
                item.think.clone(),
                item.visible.clone(),
            ]
        })
        .collect();
    let tokenizer = HfTokenizer::train(texts.iter().map(String::as_str), config.vocab_size)?;
    let vocab_size = tokenizer.vocab_size().next_multiple_of(VOCAB_MULTIPLE);
    let decoder = DecoderConfig::qwen3(config.decoder, vocab_size);
    decoder.check()?;
    let autodiff = device.clone().autodiff();
    let model = Decoder::new(&decoder, &autodiff);
    let model = randomize(model, 1.0, EMBEDDING_GAIN, seed.derive("weights", 0));

    let builder = SftBuilder {
        chat: &chat,
        tokenizer: &tokenizer,
    };
    let draw = |progress: f64, seed: Seed| -> Result<SftExample, TrainError> {
        let mut rng = seed.rng();
        let item = if examples.is_empty() {
            let plan = draw_plan(
                Split::Pretrain,
                rng.random_range(1..=longest(progress)),
                seed,
            );
            word_problem(&plan, String::new(), seed)
        } else {
            examples[rng.random_range(0..examples.len())].clone()
        };
        let mut example = builder.plain(&item.problem, &item.think, &item.visible);
        // A worked solution longer than the model's positions would be cut silently later on.
        let room = decoder
            .max_position_embeddings
            .saturating_sub(example.prompt_ids.len());
        example.completion_ids.truncate(room.max(1));
        Ok(example)
    };
    let progress = Progress::new("base", config.sft.n_steps, "steps", quiet);
    let mut failed = None;
    let model = train_sft(model, &config.sft, &autodiff, seed, draw, |step, stats| {
        progress.advance(1, &format!("loss {:.3}", stats.loss));
        if let Err(error) = report(&MetricRow::of_step("base", step, stats)) {
            failed.get_or_insert(error);
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    Ok(PolicyCheckpoint {
        model: model.valid(),
        config: decoder,
        tokenizer,
    })
}

/// Steps of the longest problems drawn at a progress: arithmetic is learned on short problems first.
fn longest(progress: f64) -> u32 {
    match progress {
        p if p < 0.1 => 2,
        p if p < 0.25 => 4,
        _ => MAX_STEPS,
    }
}
