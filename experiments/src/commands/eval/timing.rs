//! `timing.json`: how fast a level ran, and how long one completion takes alone.
//!
//! Times are kept apart from what was measured of answers, which is the same bytes every time.

use std::time::Duration;

use anyhow::Result;
use extracot_core::stats::{mean, quantile};
use serde::{Deserialize, Serialize};

use super::prediction::Prediction;
use super::source::{SampleSource, Task, TimedAlone};
use crate::commands::asked::Asked;
use crate::progress::Progress;

/// Times of one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// Samples of the last invocation that worked on the level.
    pub(crate) samples: usize,
    /// Tokens of these samples.
    pub(crate) tokens: usize,
    /// Wall time of these samples.
    pub(crate) wall_s: f64,
    /// How they ran side by side.
    pub(crate) side_by_side: String,
    /// Seconds of a request among others, over all samples; endpoints only.
    pub(crate) request_s: Option<Spread>,
    /// Completions that had the model to themselves.
    pub(crate) alone: Option<Alone>,
}

/// Times of completions that had the model to themselves, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alone {
    /// Completions.
    pub(crate) n: usize,
    /// Those that failed; they have no times.
    pub(crate) n_failed: usize,
    /// A completion of one token: reading the prompt and one step.
    pub(crate) first_token_s: Spread,
    /// Each further token of a whole completion; null if all have one token.
    pub(crate) per_token_s: Option<Spread>,
    /// A whole completion.
    pub(crate) whole_s: Spread,
}

/// Mean, quantiles and the largest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one number.
    fn of(values: &[f64]) -> Result<Self> {
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
    /// What is known without timing anything.
    ///
    /// # Errors
    ///
    /// If a latency is no number.
    pub(super) fn of_samples(
        (samples, tokens): (usize, usize),
        wall: Duration,
        source: &dyn SampleSource,
        predictions: &[Prediction],
    ) -> Result<Self> {
        let requests: Vec<f64> = predictions.iter().filter_map(|p| p.latency_s).collect();
        Ok(Self {
            samples,
            tokens,
            wall_s: wall.as_secs_f64(),
            side_by_side: source.side_by_side(),
            request_s: match requests.is_empty() {
                true => None,
                false => Some(Spread::of(&requests)?),
            },
            alone: None,
        })
    }

    /// Tokens in a second, all samples side by side; none if nothing was sampled.
    pub(crate) fn tokens_per_s(&self) -> Option<f64> {
        (self.samples > 0 && self.wall_s > 0.0).then(|| self.tokens as f64 / self.wall_s)
    }
}

/// Times the first `n` prompts of a level one by one.
///
/// # Errors
///
/// If a time is no number; what fails with the model is counted.
pub(super) fn time_alone(
    source: &dyn SampleSource,
    task: &Task<'_>,
    asked: Asked,
    n: usize,
) -> Result<Option<Alone>> {
    let n = n.min(task.problems.len());
    let progress = Progress::new(&format!("time {asked}"), n, "prompts", task.quiet);
    let mut timed = Vec::new();
    for problem_idx in 0..n {
        timed.extend(source.time_alone(asked, problem_idx).ok());
        progress.advance(1, "");
    }
    alone(&timed, n - timed.len())
}

fn alone(timed: &[TimedAlone], n_failed: usize) -> Result<Option<Alone>> {
    if timed.is_empty() {
        return Ok(None);
    }
    let seconds = |of: fn(&TimedAlone) -> Duration| -> Vec<f64> {
        timed.iter().map(|t| of(t).as_secs_f64()).collect()
    };
    let per_token = timed.iter().filter(|t| t.n_tokens > 1).map(|t| {
        let further = t.whole.saturating_sub(t.first_token);
        further.as_secs_f64() / (t.n_tokens - 1) as f64
    });
    let per_token: Vec<f64> = per_token.collect();
    Ok(Some(Alone {
        n: timed.len(),
        n_failed,
        first_token_s: Spread::of(&seconds(|t| t.first_token))?,
        per_token_s: match per_token.is_empty() {
            true => None,
            false => Some(Spread::of(&per_token)?),
        },
        whole_s: Spread::of(&seconds(|t| t.whole))?,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn further_tokens_share_what_the_first_one_leaves() {
        let timed = |first, whole, n_tokens| TimedAlone {
            first_token: Duration::from_millis(first),
            whole: Duration::from_millis(whole),
            n_tokens,
        };
        // 400 ms for 4 further tokens, 300 ms for 2: 0.1 and 0.15 s; one token has no further ones.
        let times = [
            timed(100, 500, 5),
            timed(100, 400, 3),
            timed(100, 100, 1),
        ];
        let alone = alone(&times, 2).unwrap().unwrap();
        let per_token = alone.per_token_s.unwrap();
        assert!((per_token.mean - 0.125).abs() < 1e-9);
        assert!((per_token.max - 0.15).abs() < 1e-9);
        assert_eq!((alone.n, alone.n_failed), (3, 2));
        assert!((alone.whole_s.p50 - 0.4).abs() < 1e-9);
        assert!(super::alone(&[], 3).unwrap().is_none());
    }
}
