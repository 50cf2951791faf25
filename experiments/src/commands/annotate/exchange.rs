//! One window, one exchange with the endpoint.

use std::collections::BTreeSet;

use extracot_core::ChatMessage;
use extracot_core::label::chat::{LabelRequest, ParsedReply, WindowOutcome, parse_reply};
use serde_json::Map;

use super::arguments::ChatArguments;
use super::windows::Answer;
use crate::commands::ask::Setback;
use crate::openai::{ChatClient, ChatFailure, ChatRequest};

/// Asks for one window and reads the reply.
pub(super) fn ask(
    client: &ChatClient,
    settings: &ChatArguments,
    request: &LabelRequest,
    n_pieces: usize,
) -> Answer {
    let turn = |role, content| ChatMessage { role, content };
    let messages = [turn("system", request.system), turn("user", &request.user)];
    let none = Map::new();
    let exchange = client.complete(&ChatRequest {
        messages: &messages,
        temperature: request.temperature,
        max_tokens: settings.max_tokens,
        extra: settings.endpoint.extra_body.as_ref().unwrap_or(&none),
    });
    let usage = exchange.result.as_ref().ok().and_then(|reply| reply.usage);
    let usage = usage.unwrap_or_default();
    let plain = |outcome| ParsedReply {
        outcome,
        tolerances: BTreeSet::new(),
    };
    let reply = match exchange.result {
        Err(ChatFailure::Http {
            status, message, ..
        }) => plain(WindowOutcome::Http { status, message }),
        Err(ChatFailure::Transport { message }) => plain(WindowOutcome::Transport { message }),
        Ok(reply) => match (reply.refusal, reply.finish_reason.as_deref()) {
            (Some(message), _) if !message.is_empty() => plain(WindowOutcome::Refused { message }),
            (_, Some("content_filter")) => plain(WindowOutcome::Refused {
                message: "content filter of the endpoint".to_owned(),
            }),
            (_, Some("length")) => plain(WindowOutcome::Truncated),
            _ => parse_reply(&reply.content, n_pieces),
        },
    };
    Answer {
        reply,
        n_requests: exchange.n_attempts,
        usage,
    }
}

/// What an outcome tells about the next request.
pub(super) fn setback(outcome: &WindowOutcome) -> Setback<'_> {
    match outcome {
        WindowOutcome::Http { status, message } => Setback::Status(*status, message),
        WindowOutcome::Transport { message } => Setback::Lost(message),
        _ => Setback::None,
    }
}

/// What an outcome says beyond its name.
pub(super) fn message(outcome: &WindowOutcome) -> Option<String> {
    match outcome {
        WindowOutcome::Labeled { .. } | WindowOutcome::Empty => None,
        WindowOutcome::Truncated => Some("raise --max-tokens".to_owned()),
        WindowOutcome::WrongIndex { index, n_atoms } => {
            Some(format!("piece {index} of a window of {n_atoms}"))
        }
        WindowOutcome::Http { status, message } => Some(format!("status {status}: {message}")),
        WindowOutcome::BadJson { message }
        | WindowOutcome::Refused { message }
        | WindowOutcome::Transport { message } => Some(message.clone()),
    }
}
