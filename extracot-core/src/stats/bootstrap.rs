//! Resampling of problems.

use rand::RngExt;

use super::{Interval, PairedDifference, check_sample, mean_of, quantile_of, setting};
use crate::{CoreError, Seed};

/// Bootstrap of mean(a) - mean(b), where `a[i]` and `b[i]` belong to the same problem.
///
/// Problems are resampled with replacement. The interval holds the central 95 % of the resampled
/// differences; with c of the B resamples on the rarer side of zero (zero included),
/// `p_two_sided = min(1, 2 (c + 1) / (B + 1))`. The same seed gives the same numbers.
///
/// # Errors
///
/// As [`mean`](super::mean); [`CoreError::SampleLengths`] if the lengths differ; [`CoreError::Setting`] if
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

/// [`paired_bootstrap`] where problem i has the samples `a[i]` and `b[i]`, as many as there are.
///
/// Every problem counts the same, with the mean of its samples. Problems are resampled with all their
/// samples, never samples alone: those of one problem resemble each other.
///
/// # Errors
///
/// As [`paired_bootstrap`]; [`CoreError::EmptySample`] if a problem has no sample.
///
/// # Source
///
/// Field and Welsh, Journal of the Royal Statistical Society B 69 (2007): the cluster bootstrap.
pub fn clustered_paired_bootstrap(
    a: &[Vec<f64>],
    b: &[Vec<f64>],
    n_resamples: usize,
    seed: Seed,
) -> Result<PairedDifference, CoreError> {
    const WHAT: &str = "paired bootstrap";
    let (a, b) = (cluster_means(WHAT, a)?, cluster_means(WHAT, b)?);
    paired_bootstrap(&a, &b, n_resamples, seed)
}

/// [`ratio_of_means_bootstrap`] where problem i has the samples `numerator[i]` and `denominator[i]`.
///
/// Problems count and are resampled as in [`clustered_paired_bootstrap`].
///
/// # Errors
///
/// As [`ratio_of_means_bootstrap`]; [`CoreError::EmptySample`] if a problem has no sample.
pub fn clustered_ratio_bootstrap(
    numerator: &[Vec<f64>],
    denominator: &[Vec<f64>],
    n_resamples: usize,
    seed: Seed,
) -> Result<Interval, CoreError> {
    const WHAT: &str = "ratio of means";
    let over = cluster_means(WHAT, numerator)?;
    let under = cluster_means(WHAT, denominator)?;
    ratio_of_means_bootstrap(&over, &under, n_resamples, seed)
}

fn cluster_means(what: &'static str, clusters: &[Vec<f64>]) -> Result<Vec<f64>, CoreError> {
    let means = clusters.iter().map(|samples| {
        check_sample(what, samples)?;
        Ok(mean_of(samples))
    });
    means.collect()
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
