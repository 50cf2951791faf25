//! Requests with retries.

use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use ureq::Agent;
use ureq::http::HeaderMap;
use ureq::http::header::RETRY_AFTER;

use super::{Address, ApiKey, ChatReply, ChatRequest};

/// Bytes of a response after which it is no chat completion.
const MAX_RESPONSE_BYTES: u64 = 16 << 20;

/// Characters of an error response that a message quotes.
const N_QUOTED: usize = 200;

/// When a request is sent again.
///
/// Sent again are requests without a whole answer, and those that came back with status 429 or 5xx.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Requests at most, the first one included.
    pub max_attempts: usize,
    /// Time for one request with its answer.
    pub timeout: Duration,
    /// Wait before the second request; it doubles each time. There is no random part: the number of
    /// requests at one time is bounded by the caller.
    pub backoff: Duration,
    /// The longest wait. If the endpoint's `Retry-After` asks for a longer one, the request fails.
    pub max_wait: Duration,
}

impl RetryPolicy {
    /// The wait after a failed attempt, counted from 0; `None` if it was the last one.
    fn wait(&self, attempt: usize, failure: &ChatFailure) -> Option<Duration> {
        if attempt + 1 >= self.max_attempts || !failure.may_pass() {
            return None;
        }
        if let ChatFailure::Http {
            retry_after: Some(asked),
            ..
        } = failure
        {
            return (*asked <= self.max_wait).then_some(*asked);
        }
        let factor = 2_u32.saturating_pow(u32::try_from(attempt).unwrap_or(u32::MAX));
        Some(self.backoff.saturating_mul(factor).min(self.max_wait))
    }
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatFailure {
    /// The endpoint answered with a status that is no success.
    Http {
        /// The status.
        status: u16,
        /// The beginning of the body.
        message: String,
        /// How long the endpoint wants to be left alone; dates are not read.
        retry_after: Option<Duration>,
    },
    /// No whole answer came back, or none of a chat endpoint.
    Transport {
        /// Why.
        message: String,
    },
}

impl ChatFailure {
    /// Whether the same request may succeed later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Http { status, .. } => *status == 429 || *status >= 500,
            Self::Transport { .. } => true,
        }
    }
}

/// What became of a request.
#[derive(Debug)]
pub struct Exchange {
    /// How often it was sent.
    pub n_attempts: usize,
    /// Time of the last attempt, from sending to the whole answer.
    pub latency: Duration,
    /// The reply, or why the last attempt has none.
    pub result: Result<ChatReply, ChatFailure>,
}

/// A client of one model behind one endpoint.
pub struct ChatClient {
    agent: Agent,
    address: Address,
    key: Option<ApiKey>,
    retry: RetryPolicy,
}

impl fmt::Debug for ChatClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatClient")
            .field("address", &self.address)
            .field("key", &self.key)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

impl ChatClient {
    /// A client; nothing is sent yet. Redirects are not followed. A proxy of the environment is used
    /// unless the endpoint is on this machine.
    pub fn new(address: Address, key: Option<ApiKey>, retry: RetryPolicy) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(retry.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("extracot/", env!("CARGO_PKG_VERSION")));
        let config = match address.is_local() {
            true => config.proxy(None),
            false => config,
        };
        Self {
            agent: config.build().new_agent(),
            address,
            key,
            retry,
        }
    }

    /// Asks for one completion, several times if need be.
    pub fn complete(&self, request: &ChatRequest<'_>) -> Exchange {
        let body = request.body(&self.address.model).to_string();
        let mut n_attempts = 0;
        loop {
            let sent_at = Instant::now();
            let result = self.send(&body);
            let latency = sent_at.elapsed();
            let wait = match &result {
                Ok(_) => None,
                Err(failure) => self.retry.wait(n_attempts, failure),
            };
            n_attempts += 1;
            match wait {
                None => {
                    return Exchange {
                        n_attempts,
                        latency,
                        result,
                    };
                }
                Some(wait) => sleep(wait),
            }
        }
    }

    fn send(&self, body: &str) -> Result<ChatReply, ChatFailure> {
        let url = format!("{}/chat/completions", self.address.base_url);
        let mut request = self
            .agent
            .post(url)
            .header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", key.bearer());
        }
        let transport = |error: &dyn fmt::Display| ChatFailure::Transport {
            message: self.hide_key(&error.to_string()),
        };
        let mut response = request.send(body).map_err(|error| transport(&error))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let body = response.body_mut().with_config();
        let body = body.limit(MAX_RESPONSE_BYTES).read_to_vec();
        if !(200..300).contains(&status) {
            // The status says enough if the body does not arrive. The key is hidden before the cut.
            let body = body.unwrap_or_default();
            let message = self.hide_key(String::from_utf8_lossy(&body).trim());
            return Err(ChatFailure::Http {
                status,
                message: message.chars().take(N_QUOTED).collect(),
                retry_after,
            });
        }
        let body = body.map_err(|error| transport(&error))?;
        let body = self.hide_key(&String::from_utf8_lossy(&body));
        ChatReply::parse(&body).map_err(|error| transport(&format!("{error:#}")))
    }

    fn hide_key(&self, text: &str) -> String {
        match &self.key {
            Some(key) => key.hide_in(text),
            None => text.to_owned(),
        }
    }
}

/// The seconds of a `Retry-After` header.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse();
    seconds.ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16, retry_after: Option<u64>) -> ChatFailure {
        ChatFailure::Http {
            status,
            message: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_obey_the_endpoint() {
        let retry = RetryPolicy {
            max_attempts: 5,
            timeout: Duration::from_secs(1),
            backoff: Duration::from_secs(2),
            max_wait: Duration::from_secs(10),
        };
        let lost = ChatFailure::Transport {
            message: "closed".to_owned(),
        };
        let waits: Vec<_> = (0..5).map(|attempt| retry.wait(attempt, &lost)).collect();
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(
            waits,
            [seconds(2), seconds(4), seconds(8), seconds(10), None]
        );
        assert_eq!(retry.wait(0, &http(503, None)), seconds(2));
        assert_eq!(retry.wait(2, &http(429, Some(0))), seconds(0));
        assert_eq!(retry.wait(0, &http(429, Some(11))), None);
        for status in [301, 400, 401, 403, 404, 422] {
            assert_eq!(retry.wait(0, &http(status, None)), None, "{status}");
        }
    }

    #[test]
    fn a_retry_after_is_a_number_of_seconds() {
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            headers
        };
        assert_eq!(retry_after(&headers("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers("Fri, 31 Dec 1999 23:59:59 GMT")), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
