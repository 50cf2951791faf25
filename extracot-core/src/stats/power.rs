//! The smallest difference that a comparison could have found.

use super::{Z_95, setting};
use crate::CoreError;

/// 80 % quantile of the normal distribution.
const Z_POWER_80: f64 = 0.841_621_233_572_914_3;

/// Smallest difference of two accuracies on the same `n_problems` problems that McNemar's test at
/// the 5 % level finds with 80 % power, where a share `discordance` of the problems is solved by
/// exactly one of the two.
///
/// `None` if not even a difference as large as the discordance would be found.
///
/// ```text
/// n d^2 = (z_0.975 sqrt(discordance) + z_0.8 sqrt(discordance - d^2))^2, solved for d
/// ```
///
/// # Errors
///
/// [`CoreError::EmptySample`] without problems, [`CoreError::Setting`] if `discordance` is not above 0
/// and at most 1.
///
/// # Source
///
/// Connor, Biometrics 43 (1987), after Miettinen, Biometrics 24 (1968); normal approximation.
pub fn minimum_detectable_effect_paired(
    n_problems: u64,
    discordance: f64,
) -> Result<Option<f64>, CoreError> {
    check_count(n_problems)?;
    if !(discordance > 0.0 && discordance <= 1.0) {
        return Err(setting("discordance", discordance, "above 0, at most 1"));
    }
    Ok(paired_effect(n_problems as f64, discordance, Z_POWER_80))
}

/// Smallest gain over an accuracy of `accuracy` that a test of two proportions at the 5 % level finds
/// with 80 % power, where each of two independent sets has `n_each` problems.
///
/// `None` if not even the gain up to 1 would be found.
///
/// ```text
/// n d^2 = (z_0.975 sqrt(2 m (1 - m)) + z_0.8 sqrt(p (1 - p) + q (1 - q)))^2,
/// q = p + d, m = (p + q) / 2, solved for d
/// ```
///
/// # Errors
///
/// [`CoreError::EmptySample`] without problems, [`CoreError::Setting`] if `accuracy` is outside
/// [0, 1].
///
/// # Source
///
/// Fleiss, Statistical Methods for Rates and Proportions (1981), section 3.2, without the continuity
/// correction.
pub fn minimum_detectable_effect_unpaired(
    n_each: u64,
    accuracy: f64,
) -> Result<Option<f64>, CoreError> {
    check_count(n_each)?;
    if !(0.0..=1.0).contains(&accuracy) {
        return Err(setting("accuracy", accuracy, "from 0 to 1"));
    }
    Ok(unpaired_effect(n_each as f64, accuracy, Z_POWER_80))
}

fn check_count(n: u64) -> Result<(), CoreError> {
    if n == 0 {
        return Err(CoreError::EmptySample {
            what: "minimum detectable effect",
        });
    }
    Ok(())
}

/// The larger root of the quadratic equation that the formula is in d.
pub(super) fn paired_effect(n: f64, discordance: f64, z_power: f64) -> Option<f64> {
    let inside = n - Z_95 * Z_95 + z_power * z_power;
    if inside < 0.0 {
        return None;
    }
    let effect =
        discordance.sqrt() * (Z_95 * n.sqrt() + z_power * inside.sqrt()) / (n + z_power * z_power);
    (effect <= discordance).then_some(effect)
}

/// By bisection: the right side of the formula is concave in d, so it is crossed once.
pub(super) fn unpaired_effect(n: f64, p: f64, z_power: f64) -> Option<f64> {
    let is_found = |effect: f64| {
        let q = p + effect;
        let m = f64::midpoint(p, q);
        let under_null = (2.0 * m * (1.0 - m)).max(0.0).sqrt();
        let under_effect = (p * (1.0 - p) + q * (1.0 - q)).max(0.0).sqrt();
        n.sqrt() * effect >= Z_95 * under_null + z_power * under_effect
    };
    let (mut low, mut high) = (0.0, 1.0 - p);
    if high <= 0.0 || !is_found(high) {
        return None;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if is_found(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::super::tests::close;
    use super::*;

    #[test]
    fn detectable_effects_are_those_of_published_sample_sizes() {
        // Connor (1987), p. 209: discordant proportions 0.45 and 0.05 need 22.01 pairs:
        // ((1.95996 sqrt(0.5) + 0.84162 sqrt(0.34)) / 0.4)^2.
        let effect = paired_effect(22.011_4, 0.5, 0.841_621_233_572_914_3).unwrap();
        close(effect, 0.4, 1e-5);
        // More than 22 pairs find less, fewer more.
        let effect = |n| minimum_detectable_effect_paired(n, 0.5).unwrap().unwrap();
        assert!(effect(23) < 0.4 && effect(22) > 0.4);
        // R's power.prop.test(n = 50, p1 = .5, power = .90) gives p2 = 0.8026.
        let effect = unpaired_effect(50.0, 0.5, 1.281_551_565_544_600_4).unwrap();
        close(0.5 + effect, 0.8026, 5e-5);
        // Not enough problems for anything.
        assert_eq!(minimum_detectable_effect_paired(3, 0.1).unwrap(), None);
        assert_eq!(minimum_detectable_effect_paired(50, 0.05).unwrap(), None);
        assert_eq!(minimum_detectable_effect_unpaired(50, 0.99).unwrap(), None);
        assert_eq!(minimum_detectable_effect_unpaired(50, 1.0).unwrap(), None);
        assert!(minimum_detectable_effect_paired(0, 0.1).is_err());
        assert!(minimum_detectable_effect_paired(5, 0.0).is_err());
        assert!(minimum_detectable_effect_unpaired(5, 1.5).is_err());
    }
}
