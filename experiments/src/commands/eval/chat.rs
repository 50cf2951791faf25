//! Samples of a model behind an endpoint: one request for each.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use extracot_core::prompt::{THINK_CLOSE, THINK_OPEN, user_text};
use extracot_core::{ChatMessage, FinishReason, Tokenizer};
use extracot_models::HfTokenizer;
use serde_json::{Map, Value};

use super::arguments::Eval;
use super::source::{Failures, SampleSource, Take, Task, TimedAlone};
use crate::commands::ask::{Patience, Setback, ask_all};
use crate::commands::asked::Asked;
use crate::commands::response_text::{ResponseText, leading_control};
use crate::openai::{Address, ChatClient, ChatFailure, ChatReply, ChatRequest, Exchange};
use crate::progress::Progress;
use crate::sweep::{Completion, Prediction};

/// Bits of the seed that a request carries: some servers read no more.
const SEED_BITS: u32 = 31;

/// An endpoint as a source of samples.
pub(super) struct ChatSource<'a> {
    task: &'a Task<'a>,
    client: ChatClient,
    tokenizer: HfTokenizer,
    system: Option<&'a str>,
    extra: Map<String, Value>,
    concurrency: usize,
    give_up_after: usize,
}

/// Why a sample is still open, or why all would be.
#[derive(Debug)]
struct Open {
    reason: String,
    message: String,
    /// Whether every other request would end the same way.
    is_hopeless: bool,
}

impl Open {
    fn new(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: message.into(),
            is_hopeless: false,
        }
    }
}

impl<'a> ChatSource<'a> {
    /// A source; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// If the tokenizer, the key or a setting cannot be used.
    pub(super) fn open(address: &Address, arguments: &'a Eval, task: &'a Task<'a>) -> Result<Self> {
        let folder = arguments.tokenizer.as_deref();
        let folder = folder.context("--tokenizer is missing")?;
        let endpoint = &arguments.endpoint;
        Ok(Self {
            task,
            client: endpoint.client(address)?,
            tokenizer: HfTokenizer::load(folder)?,
            system: arguments.system.as_deref(),
            extra: endpoint.extra_body.clone().unwrap_or_default(),
            concurrency: endpoint.concurrency.get(),
            give_up_after: endpoint.give_up_after.get(),
        })
    }

    fn send(&self, asked: Asked, place: usize, max_tokens: usize) -> Exchange {
        let (problem_idx, sample_idx) = self.task.of_place(place);
        let problem = &self.task.problems[problem_idx];
        let user = user_text(&problem.question, asked.0);
        let turn = |role, content| ChatMessage { role, content };
        let system = self.system.map(|text| turn("system", text));
        let messages: Vec<_> = system.into_iter().chain([turn("user", &user)]).collect();
        let seed = self.task.seed.derive(&problem.id, sample_idx as u64).0 >> (64 - SEED_BITS);
        let mut extra = Map::from_iter([("seed".to_owned(), seed.into())]);
        if self.task.params.top_p < 1.0 {
            extra.insert("top_p".to_owned(), self.task.params.top_p.into());
        }
        extra.extend(self.extra.clone());
        self.client.complete(&ChatRequest {
            messages: &messages,
            temperature: self.task.params.temperature,
            max_tokens,
            extra: &extra,
        })
    }

    fn ask(&self, asked: Asked, place: usize) -> Result<Prediction, Open> {
        let exchange = self.send(asked, place, self.task.params.max_new_tokens);
        let completion = self.completion(exchange)?;
        let (problem_idx, sample_idx) = self.task.of_place(place);
        let problem = &self.task.problems[problem_idx];
        Ok(Prediction::judge(problem, sample_idx, asked.0, completion))
    }

    /// Reads a reply, or says why it is of no use. What the model wrote is always of use.
    fn completion(&self, exchange: Exchange) -> Result<Completion, Open> {
        let reply = match exchange.result {
            Ok(reply) => reply,
            Err(ChatFailure::Http {
                status, message, ..
            }) => return Err(Open::new(format!("http_{status}"), message)),
            Err(ChatFailure::Transport { message }) => {
                return Err(Open::new("transport", message));
            }
        };
        let finish = finish(reply.finish_reason.as_deref())?;
        let Some(usage) = reply.usage else {
            let message = "the endpoint does not say how many tokens a completion has (`usage`)";
            return Err(Open {
                is_hopeless: true,
                ..Open::new("no_usage", message)
            });
        };
        let latency = Some(exchange.latency.as_secs_f64());
        let total_tokens = usage.completion_tokens as usize;
        Ok(self.taken_apart(text(reply, finish), total_tokens, finish, latency))
    }

    fn taken_apart(
        &self,
        text: String,
        total_tokens: usize,
        finish: FinishReason,
        latency_s: Option<f64>,
    ) -> Completion {
        let parts = ResponseText::split(&text);
        // In the unit of the think text, so that no think text is longer than its completion.
        let n_total = self.tokenizer.encode(&text).len();
        Completion {
            control: parts.control,
            think_state: parts.think_state,
            visible: parts.visible.to_owned(),
            think_tokens: parts.think_tokens(&self.tokenizer, n_total),
            total_tokens,
            finish,
            latency_s,
            text,
        }
    }
}

/// Why a completion ended, in the words that servers have for it.
fn finish(reason: Option<&str>) -> Result<FinishReason, Open> {
    match reason {
        Some("stop" | "eos" | "eos_token" | "end_turn") => Ok(FinishReason::EndToken),
        Some("stop_sequence") => Ok(FinishReason::StopString),
        Some("length" | "max_tokens") => Ok(FinishReason::MaxTokens),
        Some("content_filter") => Err(Open::new(
            "content_filter",
            "the endpoint's filter cut the completion",
        )),
        Some(other) => Err(Open::new(
            "unknown_finish",
            format!("finish_reason is `{other}`"),
        )),
        None => Err(Open::new(
            "no_finish",
            "without finish_reason nobody knows whether the completion was cut",
        )),
    }
}

/// The whole completion as one text, where the endpoint keeps its parts apart too.
fn text(reply: ChatReply, finish: FinishReason) -> String {
    let refused = reply
        .refusal
        .filter(|text| reply.content.is_empty() && !text.is_empty());
    let visible = refused.unwrap_or(reply.content);
    match reply.reasoning.filter(|text| !text.trim().is_empty()) {
        None => visible,
        Some(reasoning) => {
            let (control, think) = leading_control(&reasoning);
            let control = control.map_or_else(String::new, |token| format!("{token}\n"));
            let open = format!("{control}{THINK_OPEN}\n{}", think.trim());
            match visible.is_empty() && finish == FinishReason::MaxTokens {
                true => open,
                false => format!("{open}\n{THINK_CLOSE}\n{visible}"),
            }
        }
    }
}

impl SampleSource for ChatSource<'_> {
    fn prompts(&self, asked: Asked) -> Result<Vec<String>> {
        let problems = self.task.problems.iter();
        let text = |question| user_text(question, asked.0);
        Ok(problems.map(|problem| text(&problem.question)).collect())
    }

    fn sample(&self, asked: Asked, open: &[usize], take: &mut Take<'_>) -> Result<Failures> {
        let mut failures = Failures::default();
        let mut patience = Patience::new(self.give_up_after);
        let mut unheard: BTreeSet<usize> = open.iter().copied().collect();
        let name = format!("eval {asked}");
        let progress = Progress::new(&name, open.len(), "samples", self.task.quiet);
        let ask = |place| self.ask(asked, place);
        ask_all(open, self.concurrency, ask, |place, answer| {
            unheard.remove(&place);
            match answer {
                Ok(sample) => {
                    let n_tokens = sample.total_tokens;
                    take(vec![(place, sample)])?;
                    progress.advance_tokens(n_tokens, 1);
                    Ok(patience.goes_on(Setback::None))
                }
                Err(open) => {
                    let status = open.reason.strip_prefix("http_");
                    let setback = match status.and_then(|status| status.parse().ok()) {
                        Some(status) => Setback::Status(status, &open.message),
                        None if open.reason == "transport" => Setback::Lost(&open.message),
                        None => Setback::None,
                    };
                    let goes_on = patience.goes_on(setback) && !open.is_hopeless;
                    if open.is_hopeless {
                        patience.stop(open.message.clone());
                    }
                    failures.add(self.task, place, &open.reason, &open.message);
                    Ok(goes_on)
                }
            }
        })?;
        for place in unheard {
            failures.add(self.task, place, "not_asked", "asking stopped before");
        }
        failures.stopped_by = patience.stopped_by;
        Ok(failures)
    }

    fn time_alone(&self, asked: Asked, problem_idx: usize) -> Result<TimedAlone> {
        let place = problem_idx * self.task.params.group_size;
        let once = |max_tokens| -> Result<(Duration, usize)> {
            let exchange = self.send(asked, place, max_tokens);
            let latency = exchange.latency;
            match self.completion(exchange) {
                Ok(completion) => Ok((latency, completion.total_tokens)),
                Err(open) => bail!("{}: {}", open.reason, open.message),
            }
        };
        let (first_token, n_first) = once(1)?;
        // Some servers count an end of turn beside it.
        if n_first > 2 {
            bail!(
                "asked for one token the endpoint gave {n_first}: \
                 a limit in --extra-body takes the place of max_tokens, so no first token can be timed"
            );
        }
        let (whole, n_tokens) = once(self.task.params.max_new_tokens)?;
        Ok(TimedAlone {
            first_token,
            whole,
            n_tokens,
        })
    }

    fn seen_again(&self, asked: Asked, place: usize, kept: Prediction) -> Result<Prediction> {
        let (problem_idx, sample_idx) = self.task.of_place(place);
        let problem = &self.task.problems[problem_idx];
        let completion =
            self.taken_apart(kept.text, kept.total_tokens, kept.finish, kept.latency_s);
        Ok(Prediction::judge(problem, sample_idx, asked.0, completion))
    }

    fn count(&self, text: &str) -> Option<usize> {
        Some(self.tokenizer.encode(text).len())
    }

    fn side_by_side(&self) -> String {
        format!("up to {} request(s) at one time", self.concurrency)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use extracot_core::ThinkState;

    fn reply(content: &str, reasoning: Option<&str>) -> ChatReply {
        ChatReply {
            content: content.to_owned(),
            finish_reason: None,
            refusal: None,
            reasoning: reasoning.map(str::to_owned),
            usage: None,
        }
    }

    #[test]
    fn reasoning_that_comes_apart_is_the_think_text() {
        let done = FinishReason::EndToken;
        assert_eq!(text(reply("4", None), done), "4");
        let whole = text(reply("4", Some("<COMP_40>\n2+2\n")), done);
        assert_eq!(whole, "<COMP_40>\n<think>\n2+2\n</think>\n4");
        let cut = text(reply("", Some("2+")), FinishReason::MaxTokens);
        assert_eq!(ResponseText::split(&cut).think_state, ThinkState::Unclosed);
        // A think text that ended and says nothing visible is closed.
        let silent = text(reply("", Some("2+2")), done);
        assert_eq!(ResponseText::split(&silent).think_state, ThinkState::Closed);
    }

    #[test]
    fn only_known_ends_are_read() {
        assert_eq!(finish(Some("stop")).unwrap(), FinishReason::EndToken);
        assert_eq!(finish(Some("length")).unwrap(), FinishReason::MaxTokens);
        for (reason, name) in [
            (None, "no_finish"),
            (Some("content_filter"), "content_filter"),
            (Some("tool_calls"), "unknown_finish"),
        ] {
            assert_eq!(finish(reason).unwrap_err().reason, name);
        }
    }
}
