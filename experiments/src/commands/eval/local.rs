//! Samples of a model on this machine.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::Device;
use extracot_core::{
    Problem, Prompt, ResponseParser, Rollout, RolloutEngine, SamplingParams, Tokenizer,
};
use extracot_models::{CausalLm, Decoder, LocalEngine, StopRule, Workload};

use super::arguments::LocalArguments;
use super::pace::Pace;
use super::source::{Failures, SampleSource, Take, Task, TimedAlone};
use crate::commands::ask::ask_all;
use crate::commands::asked::Asked;
use crate::commands::estimate::check_fits;
use crate::commands::model::LoadedModel;
use crate::commands::response_text::ResponseText;
use crate::progress::Progress;
use crate::sweep::{Completion, Prediction};

/// A model folder as a source of samples.
pub(super) struct LocalSource<'a> {
    task: &'a Task<'a>,
    model: LoadedModel,
    device: Device,
    /// Takes completions apart by ids, where the vocabulary has all markers.
    parser: Option<ResponseParser>,
    batch_rows: usize,
    n_workers: usize,
}

impl<'a> LocalSource<'a> {
    /// Loads a folder.
    ///
    /// # Errors
    ///
    /// If it cannot be used, or memory may not suffice.
    pub(super) fn load(
        folder: &Path,
        system: Option<String>,
        arguments: &LocalArguments,
        task: &'a Task<'a>,
    ) -> Result<Self> {
        let device = crate::device::device(&arguments.device)?;
        let model = LoadedModel::load(folder, system, arguments.dtype, &device)?;
        let tokenizer = model.tokenizer()?;
        let parser = match model.chat() {
            Ok(chat) => ResponseParser::try_new(tokenizer, chat.turn_close()).ok(),
            Err(error) => return Err(error),
        };
        let source = Self {
            task,
            model,
            device,
            parser,
            batch_rows: arguments.batch_rows.get(),
            n_workers: rayon::current_num_threads(),
        };
        if !arguments.force && arguments.device.starts_with("flex") {
            source.check_memory(arguments)?;
        }
        Ok(source)
    }

    fn check_memory(&self, arguments: &LocalArguments) -> Result<()> {
        let prompts = self.token_ids(Asked(None))?;
        let prompt = prompts.iter().map(|p| p.token_ids.len()).max().unwrap_or(0);
        let longest = prompt + self.task.params.max_new_tokens;
        let workload = Workload::Inference {
            rows: self.task.n_places().min(self.batch_rows * self.n_workers),
            prompt,
            positions: longest.min(self.model.decoder.max_positions()),
        };
        check_fits(&self.model.config, arguments.dtype.into(), workload)?;
        Ok(())
    }

    fn text(&self, problem_idx: usize, asked: Asked) -> Result<String> {
        let question = &self.task.problems[problem_idx].question;
        Ok(self.model.chat()?.prompt(question, asked.0)?)
    }

    /// The prompts of a level; every one of them can be completed.
    fn token_ids(&self, asked: Asked) -> Result<Vec<Prompt>> {
        self.model.check_control(asked.0)?;
        let tokenizer = self.model.tokenizer()?;
        let engine = self.engine(&|_, _| ());
        let prompt = |(idx, problem): (usize, &Problem)| -> Result<Prompt> {
            let prompt = Prompt {
                id: problem.id.clone(),
                token_ids: tokenizer.encode(&self.text(idx, asked)?),
            };
            self.model.check_vocabulary(&prompt.token_ids)?;
            engine.check_prompt(&prompt, &self.task.params)?;
            Ok(prompt)
        };
        let named = |(idx, problem): (usize, &Problem)| {
            prompt((idx, problem)).with_context(|| format!("problem `{}`", problem.id))
        };
        self.task.problems.iter().enumerate().map(named).collect()
    }

    fn engine<'b>(
        &'b self,
        progress: &'b (dyn Fn(usize, usize) + Sync),
    ) -> LocalEngine<'b, Decoder> {
        LocalEngine {
            model: &self.model.decoder,
            device: &self.device,
            stop: StopRule {
                ids: self.model.stop_ids.clone(),
                strings: None,
            },
            batch_rows: self.batch_rows,
            n_workers: self.n_workers,
            progress,
        }
    }

    /// Takes a completion apart: by ids where the markers have ids, else by the text.
    fn completion(&self, rollout: &Rollout) -> Result<Completion> {
        let tokenizer = self.model.tokenizer()?;
        let ids = &rollout.token_ids;
        let body = match ids.split_last() {
            Some((last, body)) if self.model.stop_ids.contains(last) => body,
            _ => ids,
        };
        let text = tokenizer.decode(body);
        let (control, think_state, visible, think_tokens) = match &self.parser {
            Some(parser) => {
                let response = parser.parse(tokenizer, ids);
                (
                    response.control,
                    response.think_state,
                    response.visible,
                    response.think_tokens,
                )
            }
            None => {
                let parts = ResponseText::split(&text);
                (
                    parts.control,
                    parts.think_state,
                    parts.visible.to_owned(),
                    parts.think_tokens(tokenizer, ids.len()),
                )
            }
        };
        Ok(Completion {
            control,
            think_state,
            visible,
            think_tokens,
            total_tokens: ids.len(),
            finish: rollout.finish,
            latency_s: None,
            text,
        })
    }
}

impl LocalSource<'_> {
    fn judged(
        &self,
        asked: Asked,
        problem_idx: usize,
        rollout: &Rollout,
    ) -> Result<(usize, Prediction)> {
        let place = problem_idx * self.task.params.group_size + rollout.sample_idx;
        let problem = &self.task.problems[problem_idx];
        let completion = self.completion(rollout)?;
        let sample = Prediction::judge(problem, rollout.sample_idx, asked.0, completion);
        Ok((place, sample))
    }
}

impl SampleSource for LocalSource<'_> {
    fn prompts(&self, asked: Asked) -> Result<Vec<String>> {
        self.token_ids(asked)?;
        let n = self.task.problems.len();
        (0..n).map(|idx| self.text(idx, asked)).collect()
    }

    fn sample(&self, asked: Asked, open: &[usize], take: &mut Take<'_>) -> Result<Failures> {
        let Task { params, seed, .. } = self.task;
        let prompts = self.token_ids(asked)?;
        let mut problems: Vec<usize> = open.iter().map(|p| self.task.of_place(*p).0).collect();
        problems.dedup();
        // Prompts of similar lengths share a batch.
        problems.sort_by_key(|idx| prompts[*idx].token_ids.len());
        let name = format!("eval {asked}");
        let progress = Progress::new(&name, problems.len(), "problems", self.task.quiet);
        let report = |n_tokens, n_prompts| progress.advance_tokens(n_tokens, n_prompts);
        let engine = LocalEngine {
            n_workers: 1,
            ..self.engine(&report)
        };
        let pace = Mutex::new(Pace::new(&problems, self.batch_rows / params.group_size));
        let lock = || pace.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = |_| -> Result<Vec<(usize, Prediction)>> {
            let batch = lock().next();
            if batch.is_empty() {
                return Ok(vec![]);
            }
            let started = Instant::now();
            let chosen: Vec<Prompt> = batch.iter().map(|idx| prompts[*idx].clone()).collect();
            let groups = engine.rollout(&chosen, params, *seed)?;
            lock().heard(batch.len(), started.elapsed());
            let rollouts = batch.iter().zip(&groups);
            let rollouts =
                rollouts.flat_map(|(idx, group)| group.rollouts.iter().map(move |r| (*idx, r)));
            let judged = rollouts.map(|(idx, rollout)| self.judged(asked, idx, rollout));
            judged.collect()
        };
        // One turn per problem is enough, however small the batches are.
        ask_all(&problems, self.n_workers, batch, |_, judged| {
            let mut judged = judged?;
            judged.retain(|(place, _)| open.binary_search(place).is_ok());
            if !judged.is_empty() {
                take(judged)?;
            }
            Ok(true)
        })?;
        Ok(Failures::default())
    }

    fn time_alone(&self, asked: Asked, problem_idx: usize) -> Result<TimedAlone> {
        let problem = &self.task.problems[problem_idx];
        let text = self.text(problem_idx, asked)?;
        let prompt = Prompt {
            id: problem.id.clone(),
            token_ids: self.model.tokenizer()?.encode(&text),
        };
        let engine = LocalEngine {
            n_workers: 1,
            ..self.engine(&|_, _| ())
        };
        let once = |max_new_tokens| -> Result<_> {
            let params = SamplingParams {
                group_size: 1,
                max_new_tokens,
                ..self.task.params
            };
            let started = Instant::now();
            let groups = engine.rollout(std::slice::from_ref(&prompt), &params, self.task.seed)?;
            let n_tokens = groups[0].rollouts[0].token_ids.len();
            Ok((started.elapsed(), n_tokens))
        };
        let (first_token, _) = once(1)?;
        let (whole, n_tokens) = once(self.task.params.max_new_tokens)?;
        Ok(TimedAlone {
            first_token,
            whole,
            n_tokens,
        })
    }

    fn seen_again(&self, _asked: Asked, place: usize, kept: Prediction) -> Result<Prediction> {
        let parts = ResponseText::split(&kept.text);
        let n_think = parts.think_tokens(self.model.tokenizer()?, kept.total_tokens);
        let (state, visible) = (parts.think_state, parts.visible.to_owned());
        let problem = &self.task.problems[self.task.of_place(place).0];
        let is_by_ids = self.parser.is_some();
        // A tag that is spelled out by other tokens is none by ids, and looks like one here.
        if is_by_ids && state != kept.think_state {
            return Ok(kept);
        }
        let kept = Prediction {
            think_state: state,
            think_tokens: if is_by_ids {
                kept.think_tokens
            } else {
                n_think
            },
            ..kept
        };
        Ok(kept.judged_again(problem, &visible))
    }

    fn count(&self, _text: &str) -> Option<usize> {
        None
    }

    fn side_by_side(&self) -> String {
        let (rows, workers) = (self.batch_rows, self.n_workers);
        format!("batches of up to {rows} rows on {workers} workers")
    }
}
