//! Samples of every problem at every level, kept as they come.

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use extracot_core::{
    ControlToken, KeepLevel, Problem, Prompt, ResponseParser, RolloutEngine, SamplingParams, Seed,
    Tokenizer,
};
use extracot_models::{CausalLm, LocalEngine, StopRule, Workload};

use super::Budgets;
use super::report::Report;
use super::samples::{Item, LevelSamples};
use crate::commands::estimate::check_fits;
use crate::commands::generate::files_of;
use crate::commands::model::LoadedModel;
use crate::commands::partial::PartialOutput;
use crate::config::content_hash;
use crate::progress::Progress;

/// Completions after which those that are done are kept.
const KEEP_EVERY: usize = 128;

/// All problems with their samples.
pub(super) struct Measured {
    pub(super) items: Vec<Item>,
    partial: PartialOutput<LevelSamples>,
}

impl Measured {
    /// The output is there: the kept samples go.
    pub(super) fn finish(self) -> Result<()> {
        self.partial.finish(|_| Ok(()))
    }
}

/// Samples every problem at every level, or takes what an earlier run kept of it. A problem whose prompt
/// leaves no room for `--max-new-tokens` is dropped and counted.
///
/// # Errors
///
/// If the model lacks a control token, the memory may not suffice, or sampling or writing fails.
pub(super) fn measure(
    arguments: &Budgets,
    problems: Vec<Problem>,
    model: &LoadedModel,
    device: &Device,
    report: &mut Report,
) -> Result<Measured> {
    let (tokenizer, chat) = (model.tokenizer()?, model.chat()?);
    let parser = ResponseParser::try_new(tokenizer, chat.turn_close()).with_context(|| {
        format!(
            "{} asks for no level; train it with control tokens first",
            arguments.model.display()
        )
    })?;
    let n_workers = rayon::current_num_threads();
    let batch_rows = arguments.batch_rows.get();
    let group_size = arguments.samples.get();
    let params = SamplingParams {
        top_k: arguments.top_k.map(std::num::NonZeroUsize::get),
        top_p: arguments.top_p,
        ..SamplingParams::at(arguments.temperature, group_size, arguments.max_new_tokens)
    };
    let prompt_of = |problem: &Problem, level| -> Result<Prompt> {
        let text = chat.prompt(&problem.question, Some(ControlToken::Level(level)))?;
        let token_ids = tokenizer.encode(&text);
        model.check_vocabulary(&token_ids)?;
        Ok(Prompt {
            id: problem.id.clone(),
            token_ids,
        })
    };
    let mut asked: Vec<(Problem, Vec<Prompt>)> = Vec::new();
    let mut longest = 0;
    for problem in problems {
        let prompts = KeepLevel::ALL.map(|level| prompt_of(&problem, level));
        let prompts = prompts.into_iter().collect::<Result<Vec<_>>>()?;
        let n_tokens = prompts
            .iter()
            .map(|prompt| prompt.token_ids.len())
            .max()
            .unwrap_or(0);
        if n_tokens + params.max_new_tokens > model.decoder.max_positions() {
            report.drop("prompt_too_long");
            continue;
        }
        longest = longest.max(n_tokens);
        asked.push((problem, prompts));
    }
    if asked.is_empty() {
        bail!(
            "no prompt leaves room for --max-new-tokens {} within the model's {} positions",
            params.max_new_tokens,
            model.decoder.max_positions()
        );
    }
    if !arguments.force && arguments.device.starts_with("flex") {
        let workload = Workload::Inference {
            rows: (asked.len() * group_size).min(batch_rows.max(group_size) * n_workers),
            prompt: longest,
            positions: longest + params.max_new_tokens,
        };
        check_fits(&model.config, arguments.dtype.into(), workload)?;
    }

    let key = content_hash(&(
        &asked,
        &params,
        arguments.seed,
        env!("CARGO_PKG_VERSION"),
        (
            &arguments.device,
            arguments.dtype,
            files_of(&arguments.model)?,
        ),
    ))?;
    let mut partial = PartialOutput::open(&arguments.out, &key)?;
    let n_prompts = asked.len() * KeepLevel::ALL.len();
    let progress = Progress::new("budgets", n_prompts, "prompts", arguments.quiet);
    progress.advance(partial.n_rows(), "from an earlier run");
    let engine = LocalEngine {
        model: &model.decoder,
        device,
        stop: StopRule {
            ids: model.stop_ids.clone(),
            strings: None,
        },
        batch_rows,
        n_workers,
        progress: &|n_tokens, n_prompts| progress.advance_tokens(n_tokens, n_prompts),
    };
    let per_chunk = KEEP_EVERY.max(batch_rows * n_workers).div_ceil(group_size);
    for (level_idx, level) in KeepLevel::ALL.into_iter().enumerate() {
        let seed = Seed(arguments.seed).derive("budgets", u64::from(level.percent()));
        let place = |idx: usize| level_idx * asked.len() + idx;
        let open: Vec<usize> = (0..asked.len())
            .filter(|idx| !partial.has(place(*idx)))
            .collect();
        for chunk in open.chunks(per_chunk) {
            let prompts: Vec<Prompt> = chunk
                .iter()
                .map(|idx| asked[*idx].1[level_idx].clone())
                .collect();
            let groups = engine.rollout(&prompts, &params, seed)?;
            let samples = chunk.iter().zip(&groups).map(|(idx, group)| {
                let problem = &asked[*idx].0;
                let samples = LevelSamples::new(group, problem, level, &parser, tokenizer);
                (place(*idx), samples)
            });
            partial.keep(samples)?;
        }
    }
    drop(progress);
    let n_asked = asked.len();
    let mut items = Vec::new();
    for (idx, (problem, _)) in asked.into_iter().enumerate() {
        let places = (0..KeepLevel::ALL.len()).map(|level_idx| level_idx * n_asked + idx);
        let levels: Vec<LevelSamples> = places.filter_map(|p| partial.get(p).cloned()).collect();
        for samples in &levels {
            report.add_samples(samples.outcome, samples.n_stating_another);
        }
        items.push(Item { problem, levels });
    }
    Ok(Measured { items, partial })
}
