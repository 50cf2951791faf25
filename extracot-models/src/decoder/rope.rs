//! Rotary positions in the rotate-half layout of Hugging Face, with a position per token.
//!
//! burn's own rotary encoding pairs neighboring channels (the GPT-J layout) and takes one offset
//! for the whole batch; neither fits a ragged batch of a Hugging Face checkpoint.

use std::f64::consts::TAU;

use burn::tensor::{DType, Device, Tensor, TensorData};
use extracot_kernels::rotate_heads;
use serde_json::{Map, Value, json};

use super::config::{optional, refuse};
use crate::ModelError;

/// Rotary positions of a config.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeSettings {
    /// Base of the rotary angles.
    pub theta: f64,
    /// How they are stretched for longer texts.
    pub scaling: RopeScaling,
}

/// How rotary angles are stretched to more positions than a model was pretrained on.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    Default,
    /// All angles are divided by a factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3: low frequencies are divided, high ones kept, those between interpolated.
    Llama3 {
        /// The divisor.
        factor: f64,
        /// Turns within the original length below which a frequency is low.
        low_freq_factor: f64,
        /// Turns within the original length above which a frequency is high.
        high_freq_factor: f64,
        /// Positions of the pretraining.
        original_max_position_embeddings: usize,
    },
    /// YaRN: as Llama 3, with a ramp over channels; cosines and sines grow too.
    Yarn {
        /// The divisor.
        factor: f64,
        /// Turns from which on a channel is kept.
        beta_fast: f64,
        /// Turns up to which a channel is divided.
        beta_slow: f64,
        /// Factor of cosines and sines.
        attention_factor: f64,
        /// Whether the ends of the ramp are rounded to channels.
        truncate: bool,
        /// Positions of the pretraining.
        original_max_position_embeddings: usize,
    },
}

impl RopeSettings {
    /// Takes the rotary keys, in either spelling, out of a config.
    pub(super) fn of(keys: &mut Map<String, Value>) -> Result<Self, ModelError> {
        const DEFAULT_THETA: f64 = 10_000.0;
        let outer: Option<f64> = optional(keys, "rope_theta")?;
        let longest: Option<usize> = optional(keys, "max_position_embeddings")?;
        let scaling: Option<Map<String, Value>> = optional(keys, "rope_scaling")?;
        let parameters: Option<Map<String, Value>> = optional(keys, "rope_parameters")?;
        for key in ["rope_theta", "rope_scaling", "rope_parameters"] {
            keys.remove(key);
        }
        let inner = scaling.or(parameters).unwrap_or_default();
        let share: Option<f64> = optional(&inner, "partial_rotary_factor")?;
        if let Some(share) = share.filter(|share| *share != 1.0) {
            return refuse(
                "partial_rotary_factor",
                &share,
                "1: others are not supported",
            );
        }
        let theta = match optional(&inner, "rope_theta")? {
            Some(theta) => theta,
            None => outer.unwrap_or(DEFAULT_THETA),
        };
        let scaling = RopeScaling::of(&inner, longest.unwrap_or(0))?;
        Ok(Self { theta, scaling })
    }

    pub(super) fn check(&self) -> Result<(), ModelError> {
        if !(self.theta.is_finite() && self.theta > 1.0) {
            return refuse("rope_theta", &self.theta, "a number above 1");
        }
        let factor = match self.scaling {
            RopeScaling::Default => 1.0,
            RopeScaling::Linear { factor }
            | RopeScaling::Llama3 { factor, .. }
            | RopeScaling::Yarn { factor, .. } => factor,
        };
        if let RopeScaling::Llama3 {
            low_freq_factor: low,
            high_freq_factor: high,
            ..
        } = self.scaling
            && high <= low
        {
            return refuse("high_freq_factor", &high, "above low_freq_factor");
        }
        match factor.is_finite() && factor > 0.0 {
            true => Ok(()),
            false => refuse("rope_scaling.factor", &factor, "a number above 0"),
        }
    }

    /// Angle per position of each pair of channels, in radians, and the factor of cosines and sines.
    pub fn angles(&self, head_dim: usize) -> RopeAngles {
        let half = head_dim / 2;
        let plain: Vec<f64> = (0..half)
            .map(|i| self.theta.powf(-2.0 * i as f64 / head_dim as f64))
            .collect();
        let (per_position, scale) = match self.scaling {
            RopeScaling::Default => (plain, 1.0),
            RopeScaling::Linear { factor } => (plain.iter().map(|w| w / factor).collect(), 1.0),
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => {
                let stretch = |w: &f64| {
                    let turns = original_max_position_embeddings as f64 * w / TAU;
                    let kept = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
                    mix(*w, factor, kept)
                };
                (plain.iter().map(stretch).collect(), 1.0)
            }
            RopeScaling::Yarn {
                factor,
                beta_fast,
                beta_slow,
                attention_factor,
                truncate,
                original_max_position_embeddings,
            } => {
                // The channel that makes so many turns within the original length.
                let channel = |turns: f64| {
                    let ratio = original_max_position_embeddings as f64 / (turns * TAU);
                    head_dim as f64 * ratio.ln() / (2.0 * self.theta.ln())
                };
                let (mut low, mut high) = (channel(beta_fast), channel(beta_slow));
                if truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                (low, high) = (low.max(0.0), high.min(head_dim as f64 - 1.0));
                if low == high {
                    high += 0.001;
                }
                let stretch =
                    |(i, w): (usize, &f64)| mix(*w, factor, 1.0 - (i as f64 - low) / (high - low));
                let stretched = plain.iter().enumerate().map(stretch);
                (stretched.collect(), attention_factor)
            }
        };
        RopeAngles {
            per_position,
            scale,
        }
    }
}

/// Between the angle divided by `factor` (`kept` <= 0) and the angle as it is (`kept` >= 1).
fn mix(angle: f64, factor: f64, kept: f64) -> f64 {
    let kept = kept.clamp(0.0, 1.0);
    (1.0 - kept) * angle / factor + kept * angle
}

impl RopeScaling {
    fn of(keys: &Map<String, Value>, longest: usize) -> Result<Self, ModelError> {
        let kind: Option<String> = match optional(keys, "rope_type")? {
            Some(kind) => Some(kind),
            None => optional(keys, "type")?,
        };
        let number = |key: &'static str| optional::<f64>(keys, key);
        let needed = |key: &'static str| match number(key)? {
            Some(number) => Ok(number),
            None => refuse(key, &"nothing", "required by this kind of rope_scaling"),
        };
        let original = optional(keys, "original_max_position_embeddings")?.unwrap_or(longest);
        match kind.as_deref().unwrap_or("default") {
            "default" => Ok(Self::Default),
            "linear" => Ok(Self::Linear {
                factor: needed("factor")?,
            }),
            "llama3" => Ok(Self::Llama3 {
                factor: needed("factor")?,
                low_freq_factor: needed("low_freq_factor")?,
                high_freq_factor: needed("high_freq_factor")?,
                original_max_position_embeddings: original,
            }),
            "yarn" => {
                let factor = needed("factor")?;
                let grown = |mscale: f64| match factor > 1.0 {
                    true => 0.1 * mscale * factor.ln() + 1.0,
                    false => 1.0,
                };
                let inferred = match (number("mscale")?, number("mscale_all_dim")?) {
                    (Some(mscale), Some(all)) if mscale != 0.0 && all != 0.0 => {
                        grown(mscale) / grown(all)
                    }
                    _ => grown(1.0),
                };
                Ok(Self::Yarn {
                    factor,
                    beta_fast: number("beta_fast")?.unwrap_or(32.0),
                    beta_slow: number("beta_slow")?.unwrap_or(1.0),
                    attention_factor: number("attention_factor")?.unwrap_or(inferred),
                    truncate: optional(keys, "truncate")?.unwrap_or(true),
                    original_max_position_embeddings: original,
                })
            }
            other => refuse(
                "rope_scaling.rope_type",
                &other,
                "`default`, `linear`, `llama3` or `yarn`",
            ),
        }
    }

    /// The value of `rope_scaling`; `None` for the default.
    pub(super) fn to_json(&self) -> Option<Value> {
        match self {
            Self::Default => None,
            Self::Linear { factor } => Some(json!({"rope_type": "linear", "factor": factor})),
            Self::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => Some(json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor,
                "original_max_position_embeddings": original_max_position_embeddings,
            })),
            Self::Yarn {
                factor,
                beta_fast,
                beta_slow,
                attention_factor,
                truncate,
                original_max_position_embeddings,
            } => Some(json!({
                "rope_type": "yarn",
                "factor": factor,
                "beta_fast": beta_fast,
                "beta_slow": beta_slow,
                "attention_factor": attention_factor,
                "truncate": truncate,
                "original_max_position_embeddings": original_max_position_embeddings,
            })),
        }
    }
}

/// The angles of a head, from [`RopeSettings::angles`].
#[derive(Debug, Clone, PartialEq)]
pub struct RopeAngles {
    /// Radians per position of each pair of channels.
    pub per_position: Vec<f64>,
    /// Factor of cosines and sines.
    pub scale: f64,
}

/// Cosines and sines of the positions of one batch.
#[derive(Debug, Clone)]
pub struct Rope {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rope {
    /// Cosines and sines at `positions`, given row by row.
    ///
    /// # Shapes
    ///
    /// - `positions`: `rows * seq` numbers; `rows` is the batch, or 1 to share them
    pub fn new(
        positions: &[usize],
        rows: usize,
        angles: &RopeAngles,
        (device, dtype): (&Device, DType),
    ) -> Self {
        let seq = positions.len() / rows;
        let head_dim = 2 * angles.per_position.len();
        let table = |f: fn(f64) -> f64| {
            let mut values = Vec::with_capacity(positions.len() * head_dim);
            for position in positions {
                let value = |w: &f64| (f(*position as f64 * w) * angles.scale) as f32;
                // Both halves rotate by the same angles.
                for _ in 0..2 {
                    values.extend(angles.per_position.iter().map(value));
                }
            }
            let data = TensorData::new(values, [rows, 1, seq, head_dim]);
            Tensor::<4>::from_data(data, (device, dtype))
        };
        Self {
            cos: table(f64::cos),
            sin: table(f64::sin),
        }
    }

    /// Rotates and scales queries or keys.
    ///
    /// # Shapes
    ///
    /// - `x`: `[batch, seq, n_heads, head_dim]`; output: `[batch, n_heads, seq, head_dim]`
    pub fn rotate(&self, x: Tensor<4>, scale: f64) -> Tensor<4> {
        rotate_heads(x, self.cos.clone(), self.sin.clone(), scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    #[test]
    fn halves_rotate_together_by_the_position() {
        let device = Device::flex();
        let x = Tensor::<4>::from_data([[[[1.0, 2.0, 3.0, 4.0]]]], &device);
        // Every pair (x_i, x_{i+2}) turns by the position, here 2 radians.
        let angles = RopeAngles {
            per_position: vec![1.0, 1.0],
            scale: 1.0,
        };
        let y = Rope::new(&[2], 1, &angles, (&device, DType::F32)).rotate(x, 1.0);
        let (c, s) = (2.0f32.cos(), 2.0f32.sin());
        let want = [[[[
            c - 3.0 * s,
            2.0 * c - 4.0 * s,
            3.0 * c + s,
            4.0 * c + 2.0 * s,
        ]]]];
        y.into_data()
            .assert_approx_eq::<f32>(&TensorData::from(want), Tolerance::absolute(1e-6));
    }

    fn angles(scaling: RopeScaling) -> RopeAngles {
        // Plain angles 1, 0.1, 0.01 and 0.001.
        let settings = RopeSettings {
            theta: 10_000.0,
            scaling,
        };
        settings.angles(8)
    }

    fn assert_close(found: &RopeAngles, expected: [f64; 4]) {
        for (found, expected) in found.per_position.iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn scaling_divides_slow_channels_and_keeps_fast_ones() {
        assert_close(&angles(RopeScaling::Default), [1.0, 0.1, 0.01, 0.001]);
        let linear = RopeScaling::Linear { factor: 4.0 };
        assert_close(&angles(linear), [0.25, 0.025, 0.0025, 0.00025]);
        // Of 200 pi positions the channels make 100, 10, 1 and 0.1 turns.
        let llama = RopeScaling::Llama3 {
            factor: 4.0,
            low_freq_factor: 1.0,
            high_freq_factor: 19.0,
            original_max_position_embeddings: 628,
        };
        let kept = (628.0 * 0.1 / TAU - 1.0) / 18.0;
        let between = (1.0 - kept) * 0.025 + kept * 0.1;
        assert_close(&angles(llama), [1.0, between, 0.0025, 0.00025]);
    }

    #[test]
    fn yarn_ramps_over_channels_and_grows_cosines() {
        let keys = json!({"rope_type": "yarn", "factor": 4.0, "beta_fast": 50.0, "beta_slow": 0.5,
            "original_max_position_embeddings": 628});
        let Value::Object(keys) = keys else {
            unreachable!()
        };
        let found = angles(RopeScaling::of(&keys, 0).unwrap());
        // Channel of n turns: ln(628 / (n 2 pi)) / ln(10), 0.3 and 2.3: from 0 to 3 in whole ones.
        let ramp = |i: f64, w: f64| (i / 3.0) * w / 4.0 + (1.0 - i / 3.0) * w;
        assert_close(&found, [1.0, ramp(1.0, 0.1), ramp(2.0, 0.01), 0.00025]);
        assert!((found.scale - (0.1 * 4.0_f64.ln() + 1.0)).abs() < 1e-12);
    }
}
