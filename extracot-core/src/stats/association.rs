//! Whether one quantity rises with another, and how fast.

use serde::{Deserialize, Serialize};

use super::{check_sample, mean_of};
use crate::CoreError;

/// Longest sample whose orders are all tried: 9! = 362880.
const MAX_EXACT: usize = 9;

/// Agreement of two orders.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KendallTau {
    /// tau-b, from -1 (reversed) to 1 (same order).
    pub tau_b: f64,
    /// Two-sided p-value of "the order of y does not depend on x": the share of the orders of y at
    /// least as far from 0, all of them tried. `None` beyond 9 values.
    pub p_two_sided: Option<f64>,
}

/// Kendall's tau-b of `x[i]` and `y[i]`, with ties.
///
/// ```text
/// tau_b = (concordant - discordant) / sqrt((pairs not tied in x) (pairs not tied in y))
/// ```
///
/// Takes time quadratic in the length.
///
/// # Errors
///
/// [`CoreError::SampleLengths`] if the lengths differ, [`CoreError::EmptySample`] and
/// [`CoreError::NonFiniteSample`] as [`super::mean`], [`CoreError::ConstantSample`] if all values of
/// one are equal.
///
/// # Source
///
/// Kendall, Biometrika 33 (1945).
pub fn kendall_tau_b(x: &[f64], y: &[f64]) -> Result<KendallTau, CoreError> {
    const WHAT: &str = "Kendall tau";
    check_two(WHAT, x, y)?;
    let n_untied = |values: &[f64]| {
        let pairs = pairs(values.len());
        pairs.filter(|(i, j)| values[*i] != values[*j]).count() as f64
    };
    let untied = n_untied(x) * n_untied(y);
    if untied == 0.0 {
        return Err(CoreError::ConstantSample { what: WHAT });
    }
    let found = score(x, y);
    Ok(KendallTau {
        // Rounding of the root must not push a perfect order over 1.
        tau_b: (found as f64 / untied.sqrt()).clamp(-1.0, 1.0),
        p_two_sided: (x.len() <= MAX_EXACT).then(|| share_as_far(x, y, found.abs())),
    })
}

/// Slope of the least-squares line of `y` over `x`.
///
/// # Errors
///
/// As [`kendall_tau_b`], but `y` may be constant: its slope is 0.
pub fn least_squares_slope(x: &[f64], y: &[f64]) -> Result<f64, CoreError> {
    const WHAT: &str = "slope";
    check_two(WHAT, x, y)?;
    let (mean_x, mean_y) = (mean_of(x), mean_of(y));
    let (mut with_y, mut with_x) = (0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        with_y += (x - mean_x) * (y - mean_y);
        with_x += (x - mean_x) * (x - mean_x);
    }
    if with_x == 0.0 {
        return Err(CoreError::ConstantSample { what: WHAT });
    }
    let slope = with_y / with_x;
    if slope.is_finite() {
        Ok(slope)
    } else {
        Err(CoreError::NonFiniteSample {
            what: WHAT,
            value_idx: 0,
        })
    }
}

fn check_two(what: &'static str, x: &[f64], y: &[f64]) -> Result<(), CoreError> {
    if x.len() != y.len() {
        return Err(CoreError::SampleLengths {
            what,
            left: x.len(),
            right: y.len(),
        });
    }
    check_sample(what, x)?;
    check_sample(what, y)
}

fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))
}

/// Concordant minus discordant pairs.
fn score(x: &[f64], y: &[f64]) -> i64 {
    let sign = |a: f64, b: f64| i64::from(a > b) - i64::from(a < b);
    pairs(x.len())
        .map(|(i, j)| sign(x[i], x[j]) * sign(y[i], y[j]))
        .sum()
}

/// Share of all orders of `y` whose score is at least as far from 0, by Heap's algorithm.
fn share_as_far(x: &[f64], y: &[f64], distance: i64) -> f64 {
    let mut y = y.to_vec();
    let mut swaps = vec![0; y.len()];
    let (mut n_far, mut n_orders) = (0_u64, 0_u64);
    let mut count = |y: &[f64]| {
        n_orders += 1;
        n_far += u64::from(score(x, y).abs() >= distance);
    };
    count(&y);
    let mut at = 1;
    while at < y.len() {
        if swaps[at] < at {
            let other = if at % 2 == 0 { 0 } else { swaps[at] };
            y.swap(other, at);
            count(&y);
            swaps[at] += 1;
            at = 1;
        } else {
            swaps[at] = 0;
            at += 1;
        }
    }
    n_far as f64 / n_orders as f64
}

#[cfg(test)]
mod tests {
    use super::super::tests::close;
    use super::*;

    #[test]
    fn kendall_by_hand() {
        // The example of SciPy's documentation: 2 concordant and 6 discordant pairs, 8 and 9 untied.
        let found =
            kendall_tau_b(&[12.0, 2.0, 1.0, 12.0, 2.0], &[1.0, 4.0, 7.0, 1.0, 0.0]).unwrap();
        close(found.tau_b, -0.471_404_520_791_031_73, 1e-15);
        // Of the 120 orders of five values, one rises and one falls throughout.
        let rising = kendall_tau_b(&[1.0, 2.0, 3.0, 4.0, 5.0], &[0.1, 0.2, 0.4, 0.5, 0.9]).unwrap();
        close(rising.tau_b, 1.0, 1e-15);
        close(rising.p_two_sided.unwrap(), 2.0 / 120.0, 1e-15);
        // The score of the orders of 1, 2, 3 over (1, 1, 2) is 2, 0 or -2, each for two of six.
        let tied = kendall_tau_b(&[1.0, 1.0, 2.0], &[1.0, 2.0, 3.0]).unwrap();
        close(tied.tau_b, 2.0 / 6_f64.sqrt(), 1e-15);
        close(tied.p_two_sided.unwrap(), 4.0 / 6.0, 1e-15);
        let long: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!(kendall_tau_b(&long, &long).unwrap().p_two_sided, None);
        assert!(matches!(
            kendall_tau_b(&[1.0, 1.0], &[1.0, 2.0]),
            Err(CoreError::ConstantSample { .. })
        ));
        assert!(kendall_tau_b(&[1.0], &[1.0, 2.0]).is_err());
        assert!(kendall_tau_b(&[1.0, f64::NAN], &[1.0, 2.0]).is_err());
    }

    #[test]
    fn a_slope_by_hand() {
        // Means 2 and 3: (-1)(-2) + 0 + 1 * 2 = 4, over 2.
        close(
            least_squares_slope(&[1.0, 2.0, 3.0], &[1.0, 3.0, 5.0]).unwrap(),
            2.0,
            1e-15,
        );
        // (-1)(-1) + 0 * 2 + 1 * (-1) = 0.
        close(
            least_squares_slope(&[1.0, 2.0, 3.0], &[1.0, 4.0, 1.0]).unwrap(),
            0.0,
            1e-15,
        );
        assert!(least_squares_slope(&[2.0, 2.0], &[1.0, 4.0]).is_err());
    }
}
