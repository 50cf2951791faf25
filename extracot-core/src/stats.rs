//! Means, quantiles, intervals and tests for reports. Nothing here returns NaN: samples that have
//! no answer are errors.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::{CoreError, Seed};

/// An estimate with the bounds of its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Difference of two means over the same problems.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// mean(a) - mean(b).
    pub mean: f64,
    /// Lower bound of the 95 % interval.
    pub low: f64,
    /// Upper bound of the 95 % interval.
    pub high: f64,
    /// Two-sided p-value of "no difference"; never 0.
    pub p_two_sided: f64,
}

/// Arithmetic mean.
///
/// # Errors
///
/// [`CoreError::EmptySample`] without values, [`CoreError::NonFiniteSample`] if a value is NaN,
/// infinite or too large to be summed.
pub fn mean(values: &[f64]) -> Result<f64, CoreError> {
    check_sample("mean", values)?;
    Ok(mean_of(values))
}

/// The `q`-quantile, interpolated linearly between the two nearest order statistics.
///
/// ```text
/// h = (n - 1) q;  x[floor(h)] + (h - floor(h)) (x[floor(h) + 1] - x[floor(h)])
/// ```
///
/// # Errors
///
/// As [`mean`]; [`CoreError::Setting`] if `q` is outside [0, 1].
///
/// # Source
///
/// Type 7 of Hyndman and Fan, The American Statistician 50 (1996), the default of NumPy and R.
pub fn quantile(values: &[f64], q: f64) -> Result<f64, CoreError> {
    check_sample("quantile", values)?;
    if !(0.0..=1.0).contains(&q) {
        return Err(setting("q", q, "from 0 to 1"));
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Ok(quantile_of(&sorted, q))
}

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
    // Beyond 1e6 the square of z swallows the counts; it stands for no confidence anyone means.
    if !(z > 0.0 && z <= 1e6) {
        return Err(setting("z", z, "above 0, at most 1e6"));
    }
    let trials = n as f64;
    let p = successes as f64 / trials;
    let z2 = z * z;
    let center = (p + z2 / (2.0 * trials)) / (1.0 + z2 / trials);
    let spread = (p * (1.0 - p) / trials + z2 / (4.0 * trials * trials)).sqrt();
    let half = z / (1.0 + z2 / trials) * spread;
    Ok(Interval {
        estimate: p,
        // Rounding must not push a bound over the estimate at 0 and 1 successes of `n`.
        low: (center - half).clamp(0.0, p),
        high: (center + half).clamp(p, 1.0),
    })
}

/// Exact two-sided McNemar test: the p-value of "both are right equally often".
///
/// `n_only_a` problems are solved by a alone, `n_only_b` by b alone. Without any the p-value is 1.
/// Takes time linear in the smaller count.
///
/// ```text
/// p = min(1, 2 P(X <= min(n_only_a, n_only_b))),  X ~ Binomial(n_only_a + n_only_b, 1/2)
/// ```
pub fn mcnemar_exact(n_only_a: u64, n_only_b: u64) -> f64 {
    let n = n_only_a as f64 + n_only_b as f64;
    let fewer = n_only_a.min(n_only_b);
    // ln C(n, fewer), and the tail in units of that largest term: no term over- or underflows.
    let mut ln_choose = 0.0;
    for k in 0..fewer {
        ln_choose += ((n - k as f64) / (k as f64 + 1.0)).ln();
    }
    let (mut term, mut tail) = (1.0, 1.0);
    for k in (1..=fewer).rev() {
        term *= k as f64 / (n - k as f64 + 1.0);
        tail += term;
        if term < f64::EPSILON * 1e-3 {
            break;
        }
    }
    let ln_p = std::f64::consts::LN_2 * (1.0 - n) + ln_choose + f64::ln(tail);
    ln_p.exp().min(1.0)
}

/// Bootstrap of mean(a) - mean(b), where `a[i]` and `b[i]` belong to the same problem.
///
/// Problems are resampled with replacement. The interval holds the central 95 % of the resampled
/// differences; with c of the B resamples on the rarer side of zero (zero included),
/// `p_two_sided = min(1, 2 (c + 1) / (B + 1))`. The same seed gives the same numbers.
///
/// # Errors
///
/// As [`mean`]; [`CoreError::SampleLengths`] if the lengths differ; [`CoreError::Setting`] if
/// `n_resamples` is 0.
///
/// # Source
///
/// Percentile method and its p-value: Efron and Tibshirani, An Introduction to the Bootstrap
/// (1993), chapters 13 and 15.
pub fn paired_bootstrap(
    a: &[f64],
    b: &[f64],
    n_resamples: usize,
    seed: Seed,
) -> Result<PairedDifference, CoreError> {
    check_pair("paired bootstrap", a, b, n_resamples)?;
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let mut rng = seed.derive("stats/paired_bootstrap", 0).rng();
    let n = differences.len();
    let mut resampled: Vec<f64> = (0..n_resamples)
        .map(|_| {
            (0..n)
                .map(|_| differences[rng.random_range(0..n)])
                .sum::<f64>()
                / n as f64
        })
        .collect();
    resampled.sort_by(f64::total_cmp);
    let n_not_above = resampled.iter().filter(|d| **d <= 0.0).count();
    let n_not_below = resampled.iter().filter(|d| **d >= 0.0).count();
    let rarer = n_not_above.min(n_not_below);
    Ok(PairedDifference {
        mean: mean_of(&differences),
        low: quantile_of(&resampled, 0.025),
        high: quantile_of(&resampled, 0.975),
        p_two_sided: (2.0 * (rarer + 1) as f64 / (n_resamples + 1) as f64).min(1.0),
    })
}

/// Bootstrap of mean(numerator) / mean(denominator) over the same problems, for `act_ratio`.
///
/// Problems are resampled in pairs; the interval holds the central 95 %. A resample whose
/// denominators are all 0 has no ratio and is drawn again.
///
/// # Errors
///
/// As [`paired_bootstrap`]; [`CoreError::Setting`] if a denominator is negative or all are 0;
/// [`CoreError::NonFiniteSample`] if the ratio is too large for a number.
pub fn ratio_of_means_bootstrap(
    numerator: &[f64],
    denominator: &[f64],
    n_resamples: usize,
    seed: Seed,
) -> Result<Interval, CoreError> {
    const WHAT: &str = "ratio of means";
    check_pair(WHAT, numerator, denominator, n_resamples)?;
    if let Some(negative) = denominator.iter().find(|value| **value < 0.0) {
        return Err(setting("denominator", negative, "no negative values"));
    }
    let total: f64 = denominator.iter().sum();
    if total <= 0.0 {
        return Err(setting("mean denominator", total, "above 0"));
    }
    let mut rng = seed.derive("stats/ratio_of_means_bootstrap", 0).rng();
    let n = numerator.len();
    let mut resampled = Vec::with_capacity(n_resamples);
    while resampled.len() < n_resamples {
        let (mut over, mut under) = (0.0, 0.0);
        for _ in 0..n {
            let idx = rng.random_range(0..n);
            over += numerator[idx];
            under += denominator[idx];
        }
        if under > 0.0 {
            resampled.push(over / under);
        }
    }
    resampled.sort_by(f64::total_cmp);
    let interval = Interval {
        estimate: numerator.iter().sum::<f64>() / total,
        low: quantile_of(&resampled, 0.025),
        high: quantile_of(&resampled, 0.975),
    };
    // Denominators next to 0 make ratios that no f64 holds.
    let bounds = [interval.estimate, interval.low, interval.high];
    if bounds.iter().all(|bound| bound.is_finite()) {
        Ok(interval)
    } else {
        Err(CoreError::NonFiniteSample {
            what: WHAT,
            value_idx: 0,
        })
    }
}

fn setting(key: &'static str, found: impl ToString, allowed: &'static str) -> CoreError {
    CoreError::Setting {
        key,
        found: found.to_string(),
        allowed,
    }
}

/// Not empty, and every value finite and small enough that no sum of differences overflows.
fn check_sample(what: &'static str, values: &[f64]) -> Result<(), CoreError> {
    if values.is_empty() {
        return Err(CoreError::EmptySample { what });
    }
    let limit = f64::MAX / (4.0 * values.len() as f64);
    match values
        .iter()
        .position(|value| value.is_nan() || value.abs() > limit)
    {
        Some(value_idx) => Err(CoreError::NonFiniteSample { what, value_idx }),
        None => Ok(()),
    }
}

fn check_pair(
    what: &'static str,
    left: &[f64],
    right: &[f64],
    n_resamples: usize,
) -> Result<(), CoreError> {
    if left.len() != right.len() {
        return Err(CoreError::SampleLengths {
            what,
            left: left.len(),
            right: right.len(),
        });
    }
    check_sample(what, left)?;
    check_sample(what, right)?;
    if n_resamples == 0 {
        return Err(setting("n_resamples", 0, "at least 1"));
    }
    Ok(())
}

fn mean_of(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn quantile_of(sorted: &[f64], q: f64) -> f64 {
    let place = (sorted.len() - 1) as f64 * q;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests;
