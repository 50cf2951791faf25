//! `extracot generate`: completions of prompts or questions.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use extracot_core::{
    ControlToken, FinishReason, Prompt, Rollout, RolloutEngine, SamplingParams, Seed, Tokenizer,
};
use extracot_models::{CausalLm, LocalEngine, StopRule, Workload};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::asked::Asked;
use super::estimate::check_fits;
use super::model::{LoadedModel, WeightDtype};
use super::partial::PartialOutput;
use super::{RowArguments, rows};
use crate::config::content_hash;
use crate::progress::Progress;

/// Rows after which those that are done are kept.
const KEEP_EVERY: usize = 128;

/// Completes prompts: greedy, or sampled at a temperature.
///
/// Reads {"id", "input_ids"}, {"id", "prompt"} or {"id", "question"}; a question is put into the
/// model's chat template with the instruction to reason and the control token of --ratio. Writes
/// {"id", "output_ids", "text", "finish_reason", "control"}; control is the control token that the
/// completion begins with, text is null if the folder has no tokenizer.
///
/// Rows are kept in FILE.unfinished as they come: the same command again goes on where it was killed.
#[derive(Debug, Args)]
pub struct Generate {
    #[command(flatten)]
    rows: RowArguments,
    /// Budget to ask for in questions: 20, 40, 60, 80, 100, policy or none
    #[arg(long, default_value = "none")]
    ratio: Asked,
    /// Tokens after which a completion is cut
    #[arg(long, default_value_t = 512)]
    max_new_tokens: usize,
    /// 0 takes the most likely token each time
    #[arg(long, default_value_t = 0.0)]
    temperature: f64,
    /// Draw from so many most likely tokens only
    #[arg(long)]
    top_k: Option<NonZeroUsize>,
    /// Draw from the most likely tokens that have this probability together only
    #[arg(long, default_value_t = 1.0)]
    top_p: f64,
    /// Text at which a completion ends (repeatable)
    #[arg(long = "stop", value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    stop: Vec<String>,
    /// System turn of questions
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Dtype of weights and computation
    #[arg(long, value_enum, default_value_t)]
    dtype: WeightDtype,
    /// Rows decoded together
    #[arg(long, default_value_t = 16)]
    batch_rows: usize,
    /// Run even if the memory may not suffice
    #[arg(long)]
    force: bool,
    /// Root of all random streams: the same seed gives the same samples on CPU
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Deserialize)]
struct Row {
    id: Value,
    input_ids: Option<Vec<u32>>,
    prompt: Option<String>,
    question: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Completion {
    id: Value,
    output_ids: Vec<u32>,
    text: Option<String>,
    finish_reason: FinishReason,
    control: Option<ControlToken>,
}

/// Runs the command.
///
/// # Errors
///
/// If the model, an input row or an argument cannot be used, by file and line, or the output cannot
/// be written.
pub fn run(arguments: &Generate) -> Result<()> {
    let common = &arguments.rows;
    let device = common.device()?;
    let input: Vec<(usize, Row)> = rows::read(&common.input)?;
    rows::check_ids(
        &common.input,
        input.iter().map(|(line, row)| (*line, &row.id)),
    )?;
    let is_temperature = arguments.temperature.is_finite() && arguments.temperature >= 0.0;
    if !(0.0..=1.0).contains(&arguments.top_p) || !is_temperature {
        bail!("--top-p has to be from 0 to 1 and --temperature a number of at least 0");
    }
    let system = arguments.system.clone();
    let model = LoadedModel::load(&common.model, system, arguments.dtype, &device)?;
    let prompts = input
        .iter()
        .map(|(line, row)| {
            prompt(row, arguments.ratio, &model)
                .with_context(|| format!("{}:{line}", common.input.display()))
        })
        .collect::<Result<Vec<Prompt>>>()?;
    let n_workers = rayon::current_num_threads();
    if !arguments.force && common.is_on_host() {
        let prompt = prompts.iter().map(|p| p.token_ids.len()).max().unwrap_or(0);
        let workload = Workload::Inference {
            rows: prompts.len().min(arguments.batch_rows * n_workers),
            prompt,
            positions: (prompt + arguments.max_new_tokens).min(model.decoder.max_positions()),
        };
        check_fits(&model.config, arguments.dtype.into(), workload)?;
    }

    let progress = Progress::new("generate", prompts.len(), "rows", common.quiet);
    let strings = match (&arguments.stop[..], &model.tokenizer) {
        ([], _) => None,
        (strings, Some(tokenizer)) => Some((strings, tokenizer as &dyn Tokenizer)),
        (_, None) => bail!("--stop needs a tokenizer.json in the model folder"),
    };
    let engine = LocalEngine {
        model: &model.decoder,
        device: &device,
        stop: StopRule {
            ids: model.stop_ids.clone(),
            strings,
        },
        batch_rows: arguments.batch_rows,
        n_workers,
        progress: &|n_tokens, n_prompts| progress.advance_tokens(n_tokens, n_prompts),
    };
    let params = SamplingParams {
        top_k: arguments.top_k.map(NonZeroUsize::get),
        top_p: arguments.top_p,
        ..SamplingParams::at(arguments.temperature, 1, arguments.max_new_tokens)
    };
    for ((line, _), prompt) in input.iter().zip(&prompts) {
        engine
            .check_prompt(prompt, &params)
            .with_context(|| format!("{}:{line}", common.input.display()))?;
    }
    let completion = |row: &Row, rollout: &Rollout| {
        let tokenizer = model.tokenizer.as_ref();
        let first = rollout.token_ids.first();
        let first = tokenizer.zip(first).map(|(t, id)| t.decode(&[*id]));
        Completion {
            id: row.id.clone(),
            output_ids: rollout.token_ids.clone(),
            text: tokenizer.map(|tokenizer| tokenizer.decode(&rollout.token_ids)),
            finish_reason: rollout.finish,
            control: first.and_then(|text| text.parse().ok()),
        }
    };
    let complete = |places: &[usize]| -> Result<Vec<Completion>> {
        let prompts: Vec<Prompt> = places.iter().map(|idx| prompts[*idx].clone()).collect();
        let groups = engine.rollout(&prompts, &params, Seed(arguments.seed))?;
        Ok(places
            .iter()
            .zip(&groups)
            .flat_map(|(idx, group)| {
                let rollouts = group.rollouts.iter();
                rollouts.map(|rollout| completion(&input[*idx].1, rollout))
            })
            .collect())
    };
    let places: Vec<usize> = (0..prompts.len()).collect();
    if rows::is_stream(&common.out) {
        return rows::write(&common.out, &complete(&places)?);
    }
    let inputs = (&prompts, &params, &arguments.stop, arguments.seed);
    let program = (env!("CARGO_PKG_VERSION"), &common.device, arguments.dtype);
    let key = content_hash(&(inputs, program, files_of(&common.model)?))?;
    let mut partial = PartialOutput::open(&common.out, &key)?;
    progress.advance(partial.n_rows(), "from an earlier run");
    let open: Vec<usize> = places
        .into_iter()
        .filter(|idx| !partial.has(*idx))
        .collect();
    for places in open.chunks(KEEP_EVERY.max(arguments.batch_rows * n_workers)) {
        partial.keep(places.iter().copied().zip(complete(places)?))?;
    }
    partial.finish(|completions| rows::write(&common.out, completions))
}

/// Names, sizes and times of the files of a model that decoding reads: a changed model is another
/// run.
pub(super) fn files_of(folder: &Path) -> Result<Vec<(String, u64, u64)>> {
    let place = || format!("cannot read {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let entry = entry.with_context(place)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_read = ["config.json", "tokenizer.json", "tokenizer_config.json"]
            .contains(&name.as_str())
            || ["generation_config.json", "chat_template.jinja"].contains(&name.as_str())
            || (name.starts_with("model") && name.contains(".safetensors"));
        if !is_read {
            continue;
        }
        let about = std::fs::metadata(entry.path()).with_context(place)?;
        let changed = about.modified().with_context(place)?;
        let changed = changed
            .duration_since(UNIX_EPOCH)
            .map_or(0, |t| t.as_secs());
        files.push((name, about.len(), changed));
    }
    files.sort();
    Ok(files)
}

fn prompt(row: &Row, ratio: Asked, model: &LoadedModel) -> Result<Prompt> {
    let token_ids = match (&row.input_ids, &row.prompt, &row.question) {
        (Some(ids), None, None) => ids.clone(),
        (None, Some(prompt), None) => model.tokenizer()?.encode(prompt),
        (None, None, Some(question)) => {
            model.check_control(ratio.0)?;
            let tokenizer = model.tokenizer()?;
            tokenizer.encode(&model.chat()?.prompt(question, ratio.0)?)
        }
        _ => bail!("a row needs one of `input_ids`, `prompt` and `question`"),
    };
    if row.question.is_none() && ratio.0.is_some() {
        bail!("--ratio is for rows with `question`");
    }
    model.check_vocabulary(&token_ids)?;
    Ok(Prompt {
        id: row.id.to_string(),
        token_ids,
    })
}
