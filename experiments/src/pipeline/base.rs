//! The base model: shipped with the source, or trained on worked solutions.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::module::Module;
use burn::tensor::Device;
use extracot_core::digest::sha256;
use extracot_core::jsonl::write_atomic;
use extracot_core::prompt::TURN_CLOSE;
use extracot_core::sft::{SftBuilder, SftExample};
use extracot_core::{ChatTemplate, ControlToken, CoreError, Problem, Seed, Tokenizer};
use extracot_models::init::randomize;
use extracot_models::weights::{load_weights, save_weights};
use extracot_models::{CompanionFiles, Decoder, DecoderConfig, HfTokenizer, PolicyCheckpoint};
use extracot_train::metrics::{MetricRow, MetricSink, StepLog};
use extracot_train::sft_trainer::{ExampleDraw, train_sft};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::Pipeline;
use crate::config::{BaseConfig, BasePart, BaseSource, content_hash};
use crate::progress::Progress;
use crate::run::StageFolder;
use crate::word_problems::{
    Detail, MAX_STEPS, OperationMix, Split, WordProblem, draw_plan, drill, problem_set,
    word_problem,
};

macro_rules! shipped {
    ($($name:literal),+) => {
        [$(($name, include_bytes!(concat!("../../assets/base/", $name)).as_slice())),+]
    };
}

const SHIPPED: [(&str, &[u8]); 6] = shipped![
    "config.json",
    "tokenizer.json",
    "model.safetensors",
    "tokenizer_config.json",
    "generation_config.json",
    "chat_template.jinja"
];

/// Deviation of the initial embeddings.
const EMBEDDING_GAIN: f64 = 0.05;
/// The tokenizer of the shipped base.
///
/// # Errors
///
/// If the shipped file is malformed.
pub fn shipped_tokenizer() -> Result<HfTokenizer> {
    let json = SHIPPED.iter().find(|(name, _)| *name == "tokenizer.json");
    let (_, json) = json.context("no tokenizer.json is shipped")?;
    Ok(HfTokenizer::from_json(json)?)
}

/// Writes the shipped base as a model folder.
///
/// # Errors
///
/// If a file cannot be written.
pub(crate) fn write_shipped_base(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, bytes) in SHIPPED {
        write_atomic(&folder.join(name), |out| out.write_all(bytes))?;
    }
    Ok(())
}

/// Problems whose text trains the tokenizer of the shipped base.
const N_TOKENIZER_PROBLEMS: usize = 1200;
/// Equations of a drill.
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
        &mut problems.evaluation,
    ] {
        let n_before = set.len();
        let mut fitting = Vec::with_capacity(n_before);
        for problem in std::mem::take(set) {
            let prompt = policy
                .context()
                .prompt(&problem, Some(ControlToken::Policy))?;
            if prompt.token_ids.len() <= room {
                fitting.push(problem);
            }
        }
        *set = fitting;
        n_dropped += n_before - set.len();
        if set.is_empty() {
            bail!(
                "every problem of a split has a prompt of more than {room} tokens; \
                 lower decode.max_new_tokens or raise base.decoder.max_position_embeddings"
            );
        }
    }
    if n_dropped > 0 {
        let n_dropped = n_dropped as u64;
        for counted in ["used", "generated"] {
            if let Some(n) = problems.counts.get_mut(counted) {
                *n -= n_dropped;
            }
        }
        let reason = "dropped: the prompt leaves no room for an answer".to_owned();
        problems.counts.insert(reason, n_dropped);
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
            let contents = SHIPPED.map(|(_, bytes)| sha256(bytes));
            pipeline.run.stage("base", &("shipped", contents), |stage| {
                write_shipped_base(&stage.model)?;
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
                let mut sink = StepLog::create(&stage.path("events.jsonl"))?;
                let device = &pipeline.device;
                let trained =
                    train_base(config, &worked, device, seed, pipeline.quiet, None, |row| {
                        sink.record(row)
                    })?;
                stage.write("counts.jsonl", &[trained.counts])?;
                Ok(trained.checkpoint.save(&stage.model)?)
            })
        }
    }
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
/// With a folder for `parts`, the model after each part is kept there, and a part that is there
/// under the same settings is not trained again: a killed run goes on behind it.
///
/// # Errors
///
/// If no example fits, training, reading or writing fails, or `report` does.
pub fn train_base(
    config: &BaseConfig,
    worked: &[WordProblem],
    device: &Device,
    seed: Seed,
    quiet: bool,
    parts: Option<&Path>,
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
    let worked_examples = worked.iter().map(example).collect::<Result<Vec<_>, _>>()?;
    let (fitting, too_long): (Vec<SftExample>, Vec<SftExample>) =
        worked_examples.into_iter().partition(|example| {
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
    let mut key = content_hash(&(env!("CARGO_PKG_VERSION"), &decoder, config.vocab_size, seed))?;
    for (name, part, seed) in [
        ("base_first", &config.first, seed),
        ("base_second", &config.second, seed.derive("base-second", 0)),
    ] {
        key = content_hash(&(key, part))?;
        let kept = parts.map(|folder| folder.join(format!("{name}-{key}.safetensors")));
        if let Some(kept) = kept.as_ref().filter(|kept| kept.is_file()) {
            model = load_weights(model, kept)?;
            continue;
        }
        let draw = |ExampleDraw { progress, seed, .. }| match fitting.len() {
            0 => Ok(example(&pretraining_example(part, progress, seed))?),
            n => Ok(fitting[seed.rng().random_range(0..n)].clone()),
        };
        let bar = Progress::new(name, part.sft.n_steps, "steps", quiet);
        model = train_sft(model, &part.sft, &autodiff, seed, draw, |step, stats| {
            bar.advance(1, &format!("loss {:.3}", stats.loss));
            Ok(report(&MetricRow::of_step(name, step, stats))?)
        })?;
        if let Some(kept) = kept {
            save_weights(&model.valid(), &kept)?;
        }
    }
    let Some(stop_id) = tokenizer.token_id(TURN_CLOSE) else {
        bail!("the tokenizer has no {TURN_CLOSE}");
    };
    let checkpoint = PolicyCheckpoint {
        model: model.valid(),
        companions: CompanionFiles::chat_ml(stop_id, decoder.max_position_embeddings),
        config: decoder,
        tokenizer,
    };
    let mut counts = BTreeMap::new();
    if worked.is_empty() {
        let parts = [&config.first, &config.second];
        let n_drawn = parts.map(|part| part.sft.n_steps * part.sft.batch_size);
        let n_drawn: usize = n_drawn.iter().sum();
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
    let mut texts = Vec::with_capacity(3 * items.len());
    for item in items {
        texts.push(chat.prompt(&item.problem.question, None)?);
        texts.extend([item.think.clone(), item.visible.clone()]);
    }
    Ok(HfTokenizer::train(
        texts.iter().map(String::as_str),
        config.vocab_size,
    )?)
}

/// An example of the generator: a drill, or a chain of thought of some detail.
fn pretraining_example(part: &BasePart, progress: f64, seed: Seed) -> WordProblem {
    let mut rng = seed.rng();
    if rng.random_bool(part.drill_share(progress)) {
        let plan = draw_plan(Split::Pretrain, DRILL_STEPS, &OperationMix::DRILL, seed);
        return drill(&plan, String::new());
    }
    let draws = (0..part.longest_of).map(|_| rng.random_range(1..=MAX_STEPS));
    let n_steps = draws.max().unwrap_or(1);
    let plan = draw_plan(Split::Pretrain, n_steps, &OperationMix::STORY, seed);
    let detail = match rng.random_bool(part.brief_share) {
        true => Detail::draw_brief(&mut rng),
        false => Detail::Full,
    };
    word_problem(&plan, String::new(), detail, seed)
}
