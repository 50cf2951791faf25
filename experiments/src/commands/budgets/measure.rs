//! Samples of every problem at every level, kept as they come.

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use extracot_core::budget::LevelOutcome;
use extracot_core::dataset::verify_problem;
use extracot_core::{
    ControlToken, KeepLevel, MathVerifier, Problem, Prompt, ResponseParser, RolloutEngine,
    RolloutGroup, SamplingParams, Seed, Tokenizer,
};
use extracot_models::{CausalLm, LocalEngine, StopRule, Workload};
use serde::{Deserialize, Serialize};

use super::Budgets;
use super::report::Report;
use super::row::ReferenceSource;
use crate::commands::estimate::check_fits;
use crate::commands::generate::files_of;
use crate::commands::model::LoadedModel;
use crate::commands::partial::PartialOutput;
use crate::config::content_hash;
use crate::pipeline::has_thought;
use crate::progress::Progress;

/// Completions after which those that are done are kept.
const KEEP_EVERY: usize = 128;

/// What the samples of a problem at one level were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LevelSamples {
    outcome: LevelOutcome,
    /// Samples that state no level or another one.
    n_stating_another: usize,
    /// Think tokens of the right ones.
    right_tokens: Vec<usize>,
    /// Think tokens of the others that have a closed think text.
    wrong_tokens: Vec<usize>,
}

impl LevelSamples {
    fn new(
        group: &RolloutGroup,
        problem: &Problem,
        level: KeepLevel,
        parser: &ResponseParser,
        tokenizer: &dyn Tokenizer,
    ) -> Self {
        let mut found = Self {
            outcome: LevelOutcome {
                level,
                n_correct: 0,
                n: group.rollouts.len(),
            },
            n_stating_another: 0,
            right_tokens: Vec::new(),
            wrong_tokens: Vec::new(),
        };
        for rollout in &group.rollouts {
            let response = parser.parse(tokenizer, &rollout.token_ids);
            let verdict = verify_problem(&MathVerifier, &response.visible, problem);
            let states_it = response.control == Some(ControlToken::Level(level));
            found.n_stating_another += usize::from(!states_it);
            match (has_thought(&response), states_it && verdict.is_correct()) {
                (true, true) => found.right_tokens.push(response.think_tokens),
                (true, false) => found.wrong_tokens.push(response.think_tokens),
                (false, _) => {}
            }
        }
        found.outcome.n_correct = found.right_tokens.len();
        found
    }
}

/// A problem with its samples, one entry per level.
pub(super) struct Item {
    pub(super) problem: Problem,
    levels: Vec<LevelSamples>,
}

impl Item {
    /// Right answers by level.
    pub(super) fn outcomes(&self) -> Vec<LevelOutcome> {
        self.levels.iter().map(|samples| samples.outcome).collect()
    }

    /// The reference tokens: of the right answers at level 100, else of the trace, else of the wrong
    /// answers at level 100. Means are rounded down.
    pub(super) fn reference(
        &self,
        trace_tokens: Option<usize>,
    ) -> Option<(usize, ReferenceSource)> {
        let mut full = self
            .levels
            .iter()
            .filter(|samples| samples.outcome.level == KeepLevel::FULL);
        let full = full.next()?;
        let mean = |tokens: &[usize]| {
            let n = tokens.len();
            (n > 0).then(|| tokens.iter().sum::<usize>() / n)
        };
        let right = mean(&full.right_tokens).map(|n| (n, ReferenceSource::Level100));
        let trace = trace_tokens.map(|n| (n, ReferenceSource::Trace));
        let wrong = mean(&full.wrong_tokens).map(|n| (n, ReferenceSource::Level100Wrong));
        [right, trace, wrong]
            .into_iter()
            .flatten()
            .find(|(n, _)| *n > 0)
    }
}

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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use extracot_core::prompt::TURN_CLOSE;
    use extracot_core::{ByteTokenizer, FinishReason, Rollout};

    fn samples(level: KeepLevel, texts: &[&str]) -> LevelSamples {
        let rollout = |(sample_idx, text): (usize, &&str)| Rollout {
            sample_idx,
            token_ids: ByteTokenizer.encode(text),
            logprobs: vec![],
            finish: FinishReason::EndToken,
        };
        let group = RolloutGroup {
            prompt: Prompt {
                id: "p".into(),
                token_ids: vec![],
            },
            rollouts: texts.iter().enumerate().map(rollout).collect(),
        };
        let parser = ResponseParser::try_new(&ByteTokenizer, TURN_CLOSE).unwrap();
        LevelSamples::new(&group, &problem(), level, &parser, &ByteTokenizer)
    }

    fn problem() -> Problem {
        Problem {
            id: "p".into(),
            question: "2+2?".into(),
            solution: None,
            answer: "4".into(),
            difficulty: None,
            options: Vec::new(),
        }
    }

    #[test]
    fn a_sample_is_right_if_it_answers_thinks_and_states_the_level() {
        let found = samples(
            KeepLevel::FULL,
            &[
                "<COMP_100>\n<think>\nabc\n</think>\n\\boxed{4}<|im_end|>",
                "<COMP_100>\n<think>\nabcde\n</think>\n\\boxed{5}<|im_end|>",
                "<COMP_80>\n<think>\nabcdefg\n</think>\n\\boxed{4}<|im_end|>",
                "<COMP_100>\n<think>\n\n</think>\n\\boxed{4}<|im_end|>",
                "<COMP_100>\n<think>\nabc \\boxed{4}",
            ],
        );
        assert_eq!((found.outcome.n_correct, found.outcome.n), (1, 5));
        assert_eq!(
            (found.right_tokens, found.wrong_tokens),
            (vec![3], vec![5, 7])
        );
        assert_eq!(found.n_stating_another, 1);
    }

    #[test]
    fn reference_tokens_are_those_of_right_answers_then_of_the_trace_then_of_wrong_ones() {
        let full = |texts: &[&str]| Item {
            problem: problem(),
            levels: vec![
                samples(KeepLevel::ALL[0], &[]),
                samples(KeepLevel::FULL, texts),
            ],
        };
        let right = "<COMP_100>\n<think>\nabc\n</think>\n\\boxed{4}<|im_end|>";
        let longer = "<COMP_100>\n<think>\nabcdef\n</think>\n\\boxed{4}<|im_end|>";
        let wrong = "<COMP_100>\n<think>\nabcde\n</think>\n\\boxed{5}<|im_end|>";
        // (3 + 6) / 2 = 4.5, rounded down.
        let item = full(&[right, longer, wrong]);
        assert_eq!(
            item.reference(Some(50)),
            Some((4, ReferenceSource::Level100))
        );
        assert_eq!(
            full(&[wrong]).reference(Some(50)),
            Some((50, ReferenceSource::Trace))
        );
        assert_eq!(
            full(&[wrong]).reference(None),
            Some((5, ReferenceSource::Level100Wrong))
        );
        assert_eq!(full(&["nothing"]).reference(Some(0)), None);
    }
}
