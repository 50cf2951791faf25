//! What is sent to `/chat/completions` and what comes back.

use anyhow::{Context, Result};
use extracot_core::ChatMessage;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One request for a completion.
#[derive(Debug, Clone)]
pub struct ChatRequest<'a> {
    /// The turns so far.
    pub messages: &'a [ChatMessage<'a>],
    /// The sampling temperature.
    pub temperature: f64,
    /// New tokens after which the reply is cut.
    pub max_tokens: usize,
    /// Further fields of the request. One that is named here replaces the client's, null removes it.
    pub extra: &'a Map<String, Value>,
}

impl ChatRequest<'_> {
    /// The body of the request.
    pub(super) fn body(&self, model: &str) -> Value {
        let turn = |turn: &ChatMessage<'_>| json!({"role": turn.role, "content": turn.content});
        let messages: Vec<Value> = self.messages.iter().map(turn).collect();
        let mut body = json!({
            "model": model,
            "messages": messages,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
        });
        for (key, value) in self.extra {
            match (value, body.as_object_mut()) {
                (Value::Null, Some(body)) => drop(body.remove(key)),
                (value, _) => body[key] = value.clone(),
            }
        }
        body
    }
}

/// A completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatReply {
    /// Its text; empty if the endpoint sent none.
    pub content: String,
    /// Why it ended, where the endpoint says so: `stop`, `length`, `content_filter`.
    pub finish_reason: Option<String>,
    /// Why the model declined, if it did.
    pub refusal: Option<String>,
    /// The think text, where the endpoint keeps it apart: `reasoning_content`, `reasoning`.
    pub reasoning: Option<String>,
    /// Tokens that were read and written, where the endpoint counts them.
    pub usage: Option<Usage>,
}

/// Tokens as the endpoint counts them; 0 where it counts one kind only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the requests.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens of the replies.
    #[serde(default)]
    pub completion_tokens: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
    }
}

#[derive(Deserialize)]
struct Body {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
}

impl ChatReply {
    /// The first completion of a response's body.
    ///
    /// # Errors
    ///
    /// If the body is no response of a chat endpoint.
    pub(super) fn parse(body: &str) -> Result<Self> {
        let body: Body = serde_json::from_str(body).context("the body is no chat completion")?;
        let choice = body.choices.into_iter().next();
        let choice = choice.context("the body has no choice")?;
        Ok(Self {
            content: choice.message.content.unwrap_or_default(),
            finish_reason: choice.finish_reason,
            refusal: choice.message.refusal,
            reasoning: choice
                .message
                .reasoning_content
                .or(choice.message.reasoning),
            usage: body.usage,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn further_fields_replace_and_remove() {
        let turns = [ChatMessage {
            role: "user",
            content: "hi",
        }];
        let extra = json!({"seed": 7, "max_tokens": null, "temperature": 1});
        let request = ChatRequest {
            messages: &turns,
            temperature: 0.5,
            max_tokens: 9,
            extra: extra.as_object().unwrap(),
        };
        let want = json!({
            "model": "m", "messages": [{"role": "user", "content": "hi"}],
            "temperature": 1, "seed": 7,
        });
        assert_eq!(request.body("m"), want);
    }

    #[test]
    fn absent_parts_are_empty_and_another_body_is_refused() {
        let reply = ChatReply::parse(r#"{"choices":[{"message":{"content":null}}]}"#).unwrap();
        assert_eq!((reply.content.as_str(), reply.usage), ("", None));
        let full = r#"{"id":"x","choices":[{"index":0,"finish_reason":"length",
            "message":{"role":"assistant","content":"yes"}}],
            "usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;
        let reply = ChatReply::parse(full).unwrap();
        assert_eq!(reply.content, "yes");
        assert_eq!(reply.finish_reason.as_deref(), Some("length"));
        let usage = reply.usage.unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (5, 2));
        assert_eq!(reply.reasoning, None);
        for name in ["reasoning_content", "reasoning"] {
            let body = format!(r#"{{"choices":[{{"message":{{"content":"4","{name}":"2+2"}}}}]}}"#);
            let reply = ChatReply::parse(&body).unwrap();
            assert_eq!(reply.reasoning.as_deref(), Some("2+2"));
        }
        for bad in ["", "{}", r#"{"choices":[]}"#, "<html>"] {
            assert!(ChatReply::parse(bad).is_err(), "{bad}");
        }
    }
}
