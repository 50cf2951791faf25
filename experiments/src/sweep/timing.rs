//! How fast a level ran, and how long one completion takes alone: `timing.json`.

use anyhow::Result;
use extracot_core::stats::{mean, quantile};
use serde::{Deserialize, Serialize};

/// Times of one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Samples of the last invocation that worked on the level.
    pub samples: usize,
    /// Tokens of these samples.
    pub tokens: usize,
    /// Wall time of these samples.
    pub wall_s: f64,
    /// How they ran side by side.
    pub side_by_side: String,
    /// Seconds of a request among others, over all samples; endpoints only.
    pub request_s: Option<Spread>,
    /// Completions that had the model to themselves.
    pub alone: Option<Alone>,
    /// Why the first of them that failed has no times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone_failure: Option<String>,
}

/// Times of completions that had the model to themselves, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alone {
    /// Completions.
    pub n: usize,
    /// Those that failed; they have no times.
    pub n_failed: usize,
    /// A completion of one token: reading the prompt and one step.
    pub first_token_s: Spread,
    /// Each further token of a whole completion; null if all have one token.
    pub per_token_s: Option<Spread>,
    /// A whole completion.
    pub whole_s: Spread,
}

/// Mean, quantiles and the largest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// The 0.9-quantile.
    pub p90: f64,
    /// The 0.99-quantile; with few numbers near the largest.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of at least one number.
    ///
    /// # Errors
    ///
    /// If there is none, or one is not finite.
    pub fn of(values: &[f64]) -> Result<Self> {
        Ok(Self {
            mean: mean(values)?,
            p50: quantile(values, 0.5)?,
            p90: quantile(values, 0.9)?,
            p99: quantile(values, 0.99)?,
            max: quantile(values, 1.0)?,
        })
    }
}

impl Timing {
    /// Tokens in a second, all samples side by side; none if nothing was sampled.
    pub fn tokens_per_s(&self) -> Option<f64> {
        (self.samples > 0 && self.wall_s > 0.0).then(|| self.tokens as f64 / self.wall_s)
    }
}
