//! Which control token an example is trained with, as training proceeds.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{ControlToken, CoreError, KeepLevel};

/// Chooses the control token of the next example.
///
/// An implementor is pure: the same progress and the same random stream give the same token.
pub trait RatioCurriculum: Send + Sync {
    /// The token for an example drawn when the share `progress` (in `[0, 1]`) of the steps is done.
    fn choose(&self, progress: f64, rng: &mut ChaCha8Rng) -> ControlToken;
}

/// Always the same token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedRatio(pub ControlToken);

impl RatioCurriculum for FixedRatio {
    fn choose(&self, _progress: f64, _rng: &mut ChaCha8Rng) -> ControlToken {
        self.0
    }
}

/// Two queues: the fixed levels, each with its weight, and `<COMP_POLICY>`.
#[derive(Debug, Clone, PartialEq)]
pub struct MixedRatio {
    weights: Vec<(ControlToken, f64)>,
}

impl MixedRatio {
    /// A mixture in which `policy_share` of the examples are policy examples and the rest is drawn
    /// from the levels by weight.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if a weight is negative, all are zero, or the share is outside [0, 1].
    pub fn try_new(levels: &[(KeepLevel, f64)], policy_share: f64) -> Result<Self, CoreError> {
        let total: f64 = levels.iter().map(|(_, weight)| weight).sum();
        if levels
            .iter()
            .any(|(_, weight)| weight.is_nan() || *weight < 0.0)
            || total <= 0.0
        {
            return Err(CoreError::Setting {
                key: "curriculum.levels",
                found: format!("{levels:?}"),
                allowed: "weights of at least 0, one above 0",
            });
        }
        if !(0.0..=1.0).contains(&policy_share) {
            return Err(CoreError::Setting {
                key: "curriculum.policy_share",
                found: policy_share.to_string(),
                allowed: "[0, 1]",
            });
        }
        let mut weights: Vec<_> = levels
            .iter()
            .map(|(level, weight)| {
                (
                    ControlToken::Level(*level),
                    weight / total * (1.0 - policy_share),
                )
            })
            .collect();
        weights.push((ControlToken::Policy, policy_share));
        Ok(Self { weights })
    }

    /// Every level equally often.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if the share is outside [0, 1].
    pub fn even(policy_share: f64) -> Result<Self, CoreError> {
        Self::try_new(&KeepLevel::ALL.map(|level| (level, 1.0)), policy_share)
    }
}

impl RatioCurriculum for MixedRatio {
    fn choose(&self, _progress: f64, rng: &mut ChaCha8Rng) -> ControlToken {
        let mut left = rng.random::<f64>();
        for (token, weight) in &self.weights {
            left -= weight;
            if left < 0.0 {
                return *token;
            }
        }
        // Rounding left a sliver: it belongs to the last token that can occur.
        let last = self.weights.iter().rev().find(|(_, weight)| *weight > 0.0);
        last.map_or(ControlToken::Policy, |(token, _)| *token)
    }
}

/// One stage of a [`StagedMixture`].
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// The stage begins at this progress.
    pub from: f64,
    /// What is drawn during it.
    pub mixture: MixedRatio,
}

/// A mixture per stage: long ratios first, the extreme ones as training proceeds.
#[derive(Debug, Clone, PartialEq)]
pub struct StagedMixture {
    stages: Vec<Stage>,
}

/// The keys of one stage in a preset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageKeys {
    /// The stage begins at this progress.
    pub from: f64,
    /// Weights of the levels 20, 40, 60, 80, 100.
    pub weights: [f64; 5],
    /// Share of policy examples.
    pub policy_share: f64,
}

impl StagedMixture {
    /// A curriculum of stages in rising order, the first of which begins at 0.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if there is no stage, the first does not begin at 0, or they do not
    /// rise.
    pub fn try_new(stages: Vec<Stage>) -> Result<Self, CoreError> {
        let starts: Vec<f64> = stages.iter().map(|stage| stage.from).collect();
        if starts.first() != Some(&0.0) || !starts.is_sorted_by(|a, b| a < b) {
            return Err(CoreError::Setting {
                key: "curriculum.from",
                found: format!("{starts:?}"),
                allowed: "rising values, the first 0",
            });
        }
        Ok(Self { stages })
    }
}

impl RatioCurriculum for StagedMixture {
    fn choose(&self, progress: f64, rng: &mut ChaCha8Rng) -> ControlToken {
        let open = self
            .stages
            .iter()
            .rev()
            .find(|stage| stage.from <= progress);
        open.unwrap_or(&self.stages[0])
            .mixture
            .choose(progress, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    fn shares(curriculum: &dyn RatioCurriculum, progress: f64) -> Vec<f64> {
        let mut rng = Seed(1).rng();
        let drawn: Vec<_> = (0..4000)
            .map(|_| curriculum.choose(progress, &mut rng))
            .collect();
        ControlToken::ALL
            .map(|token| drawn.iter().filter(|d| **d == token).count() as f64 / 4000.0)
            .to_vec()
    }

    #[test]
    fn a_mixture_draws_its_shares() {
        let shares = shares(&MixedRatio::even(0.2).unwrap(), 0.5);
        for share in &shares[..5] {
            // Deviation of a share of 0.16 over 4000 draws is 0.006.
            assert!((share - 0.16).abs() < 0.025, "{shares:?}");
        }
        assert!((shares[5] - 0.2).abs() < 0.025);
    }

    #[test]
    fn a_staged_mixture_opens_the_extreme_levels_late() {
        let early = MixedRatio::try_new(&[(KeepLevel::ALL[4], 1.0)], 0.0).unwrap();
        let staged = StagedMixture::try_new(vec![
            Stage {
                from: 0.0,
                mixture: early,
            },
            Stage {
                from: 0.5,
                mixture: MixedRatio::even(0.0).unwrap(),
            },
        ])
        .unwrap();
        assert_eq!(shares(&staged, 0.49)[4], 1.0);
        assert!(shares(&staged, 0.5)[0] > 0.1);
    }

    #[test]
    fn bad_settings_are_refused() {
        assert!(MixedRatio::try_new(&[(KeepLevel::ALL[0], -1.0)], 0.0).is_err());
        assert!(MixedRatio::even(1.5).is_err());
        assert!(StagedMixture::try_new(vec![]).is_err());
    }
}
