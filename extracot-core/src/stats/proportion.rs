//! Intervals of proportions.

use super::{Interval, check_sample, mean_of, setting};
use crate::CoreError;

/// Wilson score interval of a proportion; `z` = 1.96 gives 95 %.
///
/// # Errors
///
/// [`CoreError::EmptySample`] if `n` is 0; [`CoreError::Setting`] if there are more successes than
/// trials or `z` is not positive and finite.
///
/// # Examples
///
/// ```
/// let interval = extracot_core::stats::wilson_interval(8, 10, 1.96)?;
/// assert!((interval.low - 0.4902).abs() < 1e-4 && (interval.high - 0.9433).abs() < 1e-4);
/// # Ok::<(), extracot_core::CoreError>(())
/// ```
///
/// # Source
///
/// Wilson, Journal of the American Statistical Association 22 (1927).
pub fn wilson_interval(successes: u64, n: u64, z: f64) -> Result<Interval, CoreError> {
    if n == 0 {
        return Err(CoreError::EmptySample {
            what: "wilson interval",
        });
    }
    if successes > n {
        return Err(setting(
            "successes",
            successes,
            "at most the number of trials",
        ));
    }
    check_z(z)?;
    let trials = n as f64;
    Ok(wilson_of(successes as f64 / trials, trials, z))
}

/// Wilson interval of the share of right samples, where each of several problems has `n_each` samples
/// that may agree more with each other than with those of other problems.
///
/// `shares` holds, per problem, its share of right samples; the estimate is their mean. The samples
/// count as fewer independent ones:
///
/// ```text
/// p = mean(shares), v = sum (share - p)^2 / (m (m - 1)) for m problems
/// n = p (1 - p) / v, at least m and at most m n_each; then Wilson's formula with p and n
/// ```
///
/// So with `n_each` = 1 it is [`wilson_interval`]. Where all samples are right, or none is, nothing is
/// known of how they agree, and n is m. The bound m holds because samples of one problem cannot tell
/// less than one of them.
///
/// # Errors
///
/// [`CoreError::EmptySample`] without problems; [`CoreError::Setting`] if a share is outside [0, 1],
/// `n_each` is 0, or `z` is as for [`wilson_interval`].
///
/// # Source
///
/// Dean and Pagano, Journal of Survey Statistics and Methodology 3 (2015): the effective sample size
/// in Wilson's interval; the bounds of n are our own choice.
pub fn clustered_wilson_interval(
    shares: &[f64],
    n_each: usize,
    z: f64,
) -> Result<Interval, CoreError> {
    check_sample("clustered wilson interval", shares)?;
    if let Some(outside) = shares.iter().find(|share| !(0.0..=1.0).contains(*share)) {
        return Err(setting("share", outside, "from 0 to 1"));
    }
    if n_each == 0 {
        return Err(setting("n_each", n_each, "at least 1"));
    }
    check_z(z)?;
    let problems = shares.len() as f64;
    let p = mean_of(shares).clamp(0.0, 1.0);
    let squares: f64 = shares.iter().map(|share| (share - p) * (share - p)).sum();
    let variance = squares / (problems * (problems - 1.0));
    let effective = if shares.len() > 1 && variance > 0.0 {
        (p * (1.0 - p) / variance).clamp(problems, problems * n_each as f64)
    } else if p > 0.0 && p < 1.0 && shares.len() > 1 {
        problems * n_each as f64
    } else {
        problems
    };
    Ok(wilson_of(p, effective, z))
}

fn check_z(z: f64) -> Result<(), CoreError> {
    // Beyond 1e6 the square of z swallows the counts; it stands for no confidence anyone means.
    if !(z > 0.0 && z <= 1e6) {
        return Err(setting("z", z, "above 0, at most 1e6"));
    }
    Ok(())
}

fn wilson_of(p: f64, trials: f64, z: f64) -> Interval {
    let z2 = z * z;
    let center = (p + z2 / (2.0 * trials)) / (1.0 + z2 / trials);
    let spread = (p * (1.0 - p) / trials + z2 / (4.0 * trials * trials)).sqrt();
    let half = z / (1.0 + z2 / trials) * spread;
    Interval {
        estimate: p,
        // Rounding must not push a bound over the estimate at 0 and 1 successes of `n`.
        low: (center - half).clamp(0.0, p),
        high: (center + half).clamp(p, 1.0),
    }
}
