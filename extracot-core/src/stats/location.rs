//! Means and quantiles.

use super::{check_sample, setting};
use crate::CoreError;

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

pub(super) fn mean_of(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub(super) fn quantile_of(sorted: &[f64], q: f64) -> f64 {
    let place = (sorted.len() - 1) as f64 * q;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}
