//! Takes the times of a level. They are kept apart from what is measured of answers, which is the same
//! bytes every time.

use std::time::Duration;

use anyhow::Result;

use super::source::{SampleSource, Task, TimedAlone};
use crate::commands::asked::Asked;
use crate::progress::Progress;
use crate::sweep::{Alone, Prediction, Spread, Timing};

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
) -> Result<Timing> {
    let requests: Vec<f64> = predictions.iter().filter_map(|p| p.latency_s).collect();
    Ok(Timing {
        samples,
        tokens,
        wall_s: wall.as_secs_f64(),
        side_by_side: source.side_by_side(),
        request_s: match requests.is_empty() {
            true => None,
            false => Some(Spread::of(&requests)?),
        },
        alone: None,
        alone_failure: None,
    })
}

/// Times the first `n` prompts of a level one by one; with the message of the first that failed, if one did.
///
/// # Errors
///
/// If a time is no number; what fails with the model is counted.
pub(super) fn time_alone(
    source: &dyn SampleSource,
    task: &Task<'_>,
    asked: Asked,
    n: usize,
) -> Result<(Option<Alone>, Option<String>)> {
    let n = n.min(task.problems.len());
    let progress = Progress::new(&format!("time {asked}"), n, "prompts", task.quiet);
    let (mut timed, mut failure) = (Vec::new(), None);
    for problem_idx in 0..n {
        match source.time_alone(asked, problem_idx) {
            Ok(found) => timed.push(found),
            Err(error) => failure = failure.or_else(|| Some(format!("{error:#}"))),
        }
        progress.advance(1, "");
    }
    Ok((alone(&timed, n - timed.len())?, failure))
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
        let times = [timed(100, 500, 5), timed(100, 400, 3), timed(100, 100, 1)];
        let alone = alone(&times, 2).unwrap().unwrap();
        let per_token = alone.per_token_s.unwrap();
        assert!((per_token.mean - 0.125).abs() < 1e-9);
        assert!((per_token.max - 0.15).abs() < 1e-9);
        assert_eq!((alone.n, alone.n_failed), (3, 2));
        assert!((alone.whole_s.p50 - 0.4).abs() < 1e-9);
        assert!(super::alone(&[], 3).unwrap().is_none());
    }
}
