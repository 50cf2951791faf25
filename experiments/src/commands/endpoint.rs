//! Arguments of every command that asks a chat endpoint.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Map, Value};

use crate::openai::{Address, ApiKey, ChatClient, RetryPolicy};

/// How a chat endpoint is asked.
#[derive(Debug, Args)]
pub(super) struct EndpointArguments {
    /// Environment variable that holds the API key; without it no key is sent
    #[arg(long, value_name = "NAME")]
    pub(super) api_key_env: Option<String>,
    /// Further fields of every request, as a JSON object; null removes a field
    #[arg(long, value_name = "JSON", value_parser = object)]
    pub(super) extra_body: Option<Map<String, Value>>,
    /// Requests at one time; no reply depends on it
    #[arg(long, value_name = "N", default_value = "8")]
    pub(super) concurrency: NonZeroUsize,
    /// Seconds for one request
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    timeout: Duration,
    /// How often a request is sent that fails on the way or with status 429 or 5xx
    #[arg(long, value_name = "N", default_value = "5")]
    attempts: NonZeroUsize,
    /// Wait before the second attempt, doubled each time; a Retry-After of the endpoint goes first
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    backoff: Duration,
    /// The longest wait; an endpoint that asks for more fails the request
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    max_wait: Duration,
    /// Stop asking after so many requests in a row failed: without an answer, or with status 429 or 5xx
    #[arg(long, value_name = "N", default_value = "20")]
    pub(super) give_up_after: NonZeroUsize,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("no JSON object: {error}"))
}

impl EndpointArguments {
    /// A client of the model at `address`; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// If the key cannot be used or there is no time for a request.
    pub(super) fn client(&self, address: &Address) -> Result<ChatClient> {
        let key = self.api_key_env.as_deref().map(ApiKey::from_env);
        let retry = self.retry_policy()?;
        Ok(ChatClient::new(address.clone(), key.transpose()?, retry))
    }

    /// When requests are sent again.
    fn retry_policy(&self) -> Result<RetryPolicy> {
        if self.timeout.is_zero() {
            bail!("--timeout has to be above 0");
        }
        Ok(RetryPolicy {
            max_attempts: self.attempts.get(),
            timeout: self.timeout,
            backoff: self.backoff,
            max_wait: self.max_wait,
        })
    }
}
