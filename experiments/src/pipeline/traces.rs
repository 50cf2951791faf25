//! Stage 2, sources: the base model's own correct chains of thought.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use extracot_core::sft::SftBuilder;
use extracot_core::{
    ControlToken, KeepLevel, Problem, ReasoningTrace, ThinkState, Tokenizer, Verdict,
};

use super::base::visible_answer;
use super::{Pipeline, Policy};
use crate::run::StageFolder;

/// Samples one chain of thought per training problem and keeps the correct ones. With a problem
/// file, a worked solution stands in where the base model's answer is not correct.
///
/// # Errors
///
/// If sampling or writing fails, or no trace is left.
pub fn collect_traces(pipeline: &Pipeline, base: &StageFolder) -> Result<StageFolder> {
    let problems = &pipeline.problems;
    let inputs = (
        &base.key,
        &problems.train,
        pipeline.config.decode,
        pipeline.seed,
        problems.from_file,
    );
    pipeline.run.stage("traces", &inputs, |stage| {
        let policy = pipeline.policy(base)?;
        let context = policy.context();
        let prompts: Vec<_> = problems
            .train
            .iter()
            .map(|p| context.prompt(p, None))
            .collect::<Result<_, _>>()?;
        let progress = pipeline.progress("traces", prompts.len(), "problems");
        let seed = pipeline.seed.derive("traces", 0);
        let groups = pipeline.rollout(
            &policy,
            &prompts,
            &pipeline.sampling(0.0, 1),
            seed,
            &progress,
        )?;

        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut count = |reason: &str| *counts.entry(reason.to_owned()).or_default() += 1;
        let mut traces = Vec::new();
        for (problem, group) in problems.train.iter().zip(&groups) {
            let judged = context.judge(problem, &group.rollouts[0]);
            let response = judged.response;
            let reason = match (&judged.verdict, response.think_state) {
                (Verdict::Correct, ThinkState::Closed) if response.think_tokens > 0 => {
                    count("base correct");
                    traces.push(ReasoningTrace {
                        problem: problem.clone(),
                        think: response.think,
                        visible: response.visible,
                        think_tokens: response.think_tokens,
                    });
                    continue;
                }
                (Verdict::Correct, _) => "base correct without a sound think text",
                (Verdict::Incorrect, _) => "base incorrect",
                (Verdict::NoAnswer, _) => "base without an answer",
                (Verdict::Undecided(_), _) => "base undecided",
            };
            match worked_trace(pipeline, &policy, problem)? {
                Some(trace) => {
                    count(&format!("{reason}, worked solution used"));
                    traces.push(trace);
                }
                None => count(&format!("dropped: {reason}")),
            }
        }
        if traces.is_empty() {
            bail!("no usable trace: {counts:?}");
        }
        stage.write("counts.jsonl", &[counts])?;
        stage.write("traces.jsonl", &traces)
    })
}

/// The worked solution of a problem of a file, unless it does not fit the model.
fn worked_trace(
    pipeline: &Pipeline,
    policy: &Policy,
    problem: &Problem,
) -> Result<Option<ReasoningTrace>> {
    let solution = problem.solution.as_ref();
    let Some(think) = solution.filter(|_| pipeline.problems.from_file) else {
        return Ok(None);
    };
    let think = think.trim();
    let visible = visible_answer(&problem.answer);
    let context = policy.context();
    let builder = SftBuilder {
        chat: context.chat,
        tokenizer: context.tokenizer,
    };
    let full = KeepLevel::FULL;
    let example = builder.controlled(problem, ControlToken::Level(full), full, think, &visible)?;
    let n_tokens = example.prompt_ids.len() + example.completion_ids.len();
    let fits = n_tokens <= policy.checkpoint.config.max_position_embeddings;
    Ok(fits.then(|| ReasoningTrace {
        problem: problem.clone(),
        think: think.to_owned(),
        visible,
        think_tokens: policy.checkpoint.tokenizer.n_tokens(think),
    }))
}
