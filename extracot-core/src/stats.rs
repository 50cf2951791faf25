//! Means, quantiles, intervals and tests for reports. Nothing here returns NaN: samples that have
//! no answer are errors.

mod association;
mod bootstrap;
mod holm;
mod location;
mod mcnemar;
mod power;
mod proportion;
mod repeated;

use serde::{Deserialize, Serialize};

pub use association::{KendallTau, kendall_tau_b, least_squares_slope};
pub use bootstrap::{
    clustered_paired_bootstrap, clustered_ratio_bootstrap, paired_bootstrap,
    ratio_of_means_bootstrap,
};
pub use holm::holm;
pub use location::{mean, quantile};
pub use mcnemar::mcnemar_exact;
pub use power::{minimum_detectable_effect_paired, minimum_detectable_effect_unpaired};
pub use proportion::{clustered_wilson_interval, wilson_interval};
pub use repeated::{maj_at_k, pass_at_k};

use crate::CoreError;
use location::{mean_of, quantile_of};

/// Two-sided 95 % quantile of the normal distribution.
pub const Z_95: f64 = 1.959_963_984_540_054;

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

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod tests;
