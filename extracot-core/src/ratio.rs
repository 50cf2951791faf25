//! Ratios are always kept / original, in (0, 1]; smaller means stronger compression.

use serde::{Deserialize, Serialize};

use crate::CoreError;

/// A kept / original ratio, always in (0, 1].
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct KeepRatio(f64);

impl KeepRatio {
    /// Everything is kept.
    pub const FULL: Self = Self(1.0);

    /// A ratio in (0, 1].
    ///
    /// # Errors
    ///
    /// [`CoreError::KeepRatio`] if `value` is outside (0, 1] or not a number.
    pub fn try_new(value: f64) -> Result<Self, CoreError> {
        if value > 0.0 && value <= 1.0 {
            Ok(Self(value))
        } else {
            Err(CoreError::KeepRatio { found: value })
        }
    }

    /// The ratio as a number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for KeepRatio {
    type Error = CoreError;
    fn try_from(value: f64) -> Result<Self, CoreError> {
        Self::try_new(value)
    }
}

impl From<KeepRatio> for f64 {
    fn from(ratio: KeepRatio) -> f64 {
        ratio.0
    }
}

/// A keep ratio on the grid of control tokens: 20, 40, 60, 80 or 100 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct KeepLevel(u8);

impl KeepLevel {
    /// All levels, smallest (strongest compression) first.
    pub const ALL: [Self; 5] = [Self(20), Self(40), Self(60), Self(80), Self(100)];
    /// The uncompressed level.
    pub const FULL: Self = Self(100);

    /// The level of a percentage on the grid.
    ///
    /// # Errors
    ///
    /// [`CoreError::KeepLevel`] if `percent` is not 20, 40, 60, 80 or 100.
    pub fn try_new(percent: i64) -> Result<Self, CoreError> {
        Self::ALL
            .into_iter()
            .find(|level| i64::from(level.0) == percent)
            .ok_or(CoreError::KeepLevel { found: percent })
    }

    /// The level in percent.
    pub fn percent(self) -> u8 {
        self.0
    }

    /// The level as a ratio.
    pub fn ratio(self) -> KeepRatio {
        KeepRatio(f64::from(self.0) / 100.0)
    }
}

impl TryFrom<i64> for KeepLevel {
    type Error = CoreError;
    fn try_from(percent: i64) -> Result<Self, CoreError> {
        Self::try_new(percent)
    }
}

impl From<KeepLevel> for i64 {
    fn from(level: KeepLevel) -> i64 {
        i64::from(level.0)
    }
}

impl std::fmt::Display for KeepLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_outside_the_half_open_interval_is_refused() {
        for bad in [0.0, -0.2, 1.000_1, f64::NAN, f64::INFINITY] {
            assert!(KeepRatio::try_new(bad).is_err(), "{bad}");
        }
        assert_eq!(KeepRatio::try_new(1.0).unwrap().value(), 1.0);
    }

    #[test]
    fn only_the_grid_is_a_level() {
        assert_eq!(KeepLevel::try_new(40).unwrap().ratio().value(), 0.4);
        assert!(KeepLevel::try_new(50).is_err());
    }
}
