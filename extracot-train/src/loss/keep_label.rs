//! The compressor's loss: class-weighted focal loss on keep labels.

use burn::tensor::activation::log_sigmoid;
use burn::tensor::{DType, Tensor, TensorData, assert_shape};
use extracot_models::token_classifier::{DROP, KEEP};
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// What a token of each class weighs, and how fast the weight of an easy token falls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FocalWeights {
    /// Weight of tokens to drop.
    pub alpha_drop: f64,
    /// Weight of tokens to keep.
    pub alpha_keep: f64,
    /// Exponent of the focal factor; 0 turns it off.
    pub gamma: f64,
}

impl FocalWeights {
    /// Weights under which both classes count the same in all and the mean weight is 1:
    /// `n / (2 n_y)` for the `n_y` tokens of a class among `n`.
    ///
    /// # Errors
    ///
    /// [`TrainError::NoData`] if a class has no tokens.
    pub fn balanced(n_drop: usize, n_keep: usize, gamma: f64) -> Result<Self, TrainError> {
        if n_drop == 0 || n_keep == 0 {
            let what = if n_drop == 0 {
                "tokens labeled drop"
            } else {
                "tokens labeled keep"
            };
            return Err(TrainError::NoData { what });
        }
        let half = 0.5 * (n_drop + n_keep) as f64;
        Ok(Self {
            alpha_drop: half / n_drop as f64,
            alpha_keep: half / n_keep as f64,
            gamma,
        })
    }
}

/// Class-weighted focal loss of each token.
///
/// ```text
/// p_y = softmax(logits)_y
/// l   = -alpha_y * (1 - p_y)^gamma * log(p_y)        y = the token's label, keep or drop
/// ```
///
/// With two classes `p_y = sigmoid(z)`, where `z` is the logit of the label minus the other one, so
/// that both logarithms are those of a sigmoid and nothing overflows.
///
/// # Shapes
///
/// - `logits`: `[n_tokens, 2]`, drop then keep
/// - `is_kept`: one label per token
/// - output: `[n_tokens]`; divide the sum by the tokens of the whole batch
///
/// # Units
///
/// Nats, times the weights.
///
/// # Gradients
///
/// Through `logits`, the focal factor included.
///
/// # Panics
///
/// If there is not one label per row of `logits`.
///
/// # Examples
///
/// Undecided logits: `2 * 0.5^2 * ln 2 = 0.34657`.
///
/// ```
/// # use burn::tensor::{Device, Tensor};
/// # use extracot_train::loss::{FocalWeights, focal_keep_losses};
/// let logits = Tensor::<2>::zeros([1, 2], &Device::flex());
/// let weights = FocalWeights { alpha_drop: 1.0, alpha_keep: 2.0, gamma: 2.0 };
/// let loss = focal_keep_losses(logits, &[true], &weights);
/// assert!((loss.into_scalar::<f32>() - 0.34657).abs() < 1e-5);
/// ```
///
/// # Source
///
/// Focal loss: arXiv:1708.02002, eq. 5, for two classes as there. That the compressor is trained
/// with it: arXiv:2602.08324.
pub fn focal_keep_losses(logits: Tensor<2>, is_kept: &[bool], weights: &FocalWeights) -> Tensor<1> {
    let n_tokens = is_kept.len();
    assert_shape!(logits, [n_tokens, 2]);
    let per_token = |drop: f64, keep: f64| {
        let values: Vec<f32> = is_kept
            .iter()
            .map(|is_kept| (if *is_kept { keep } else { drop }) as f32)
            .collect();
        Tensor::<1>::from_data(
            TensorData::new(values, [n_tokens]),
            (&logits.device(), DType::F32),
        )
    };
    let alpha = per_token(weights.alpha_drop, weights.alpha_keep);
    let sign = per_token(-1.0, 1.0);
    let difference = logits.clone().narrow(1, KEEP, 1) - logits.narrow(1, DROP, 1);
    let z = difference.reshape([n_tokens]) * sign;
    let cross_entropy = log_sigmoid(z.clone()).neg();
    let weighted = cross_entropy * alpha;
    if weights.gamma == 0.0 {
        return weighted;
    }
    // (1 - p_y)^gamma without the difference, which would lose all digits of an easy token.
    weighted * (log_sigmoid(z.neg()) * weights.gamma).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::loss::CrossEntropyLossConfig;
    use burn::tensor::{Device, Int, Tolerance};

    const LABELS: [bool; 3] = [true, false, true];
    const LOGITS: [[f32; 2]; 3] = [[0.3, 1.2], [-0.7, 0.4], [2.0, -1.5]];
    const FOCAL: FocalWeights = FocalWeights {
        alpha_drop: 0.6,
        alpha_keep: 1.7,
        gamma: 2.0,
    };

    fn losses(logits: [[f32; 2]; 3], weights: &FocalWeights) -> Vec<f32> {
        let logits = Tensor::<2>::from_data(logits, (&Device::flex(), DType::F32));
        focal_keep_losses(logits, &LABELS, weights)
            .into_data()
            .try_to_vec()
            .unwrap()
    }

    #[test]
    fn losses_are_those_worked_by_hand() {
        // z = ln 3 gives p = 3/4 to the label and 1/4 to the other class.
        let third = 3.0_f32.ln();
        let weights = FocalWeights {
            alpha_drop: 0.5,
            alpha_keep: 2.0,
            gamma: 2.0,
        };
        let found = losses([[0.0, third], [0.0, third], [1.0, 1.0 + third]], &weights);
        // keep: 2 * (1/4)^2 * ln(4/3) = 0.035960; drop: 0.5 * (3/4)^2 * ln 4 = 0.389895.
        for (found, expected) in found.iter().zip([0.035_960, 0.389_895, 0.035_960]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn without_gamma_and_weights_it_is_cross_entropy() {
        let device = Device::flex();
        let plain = FocalWeights {
            alpha_drop: 1.0,
            alpha_keep: 1.0,
            gamma: 0.0,
        };
        let mean = losses(LOGITS, &plain).iter().sum::<f32>() / 3.0;
        let logits = Tensor::<2>::from_data(LOGITS, (&device, DType::F32));
        let targets = Tensor::<1, Int>::from_data([1, 0, 1], (&device, DType::I32));
        let expected = CrossEntropyLossConfig::new()
            .init(&device)
            .forward(logits, targets);
        assert!((mean - expected.into_scalar::<f32>()).abs() < 1e-6);
    }

    #[test]
    fn gradients_are_the_central_differences() {
        let device = Device::flex().autodiff();
        for gamma in [0.0, 0.5, 2.0] {
            let weights = FocalWeights { gamma, ..FOCAL };
            let logits = Tensor::<2>::from_data(LOGITS, (&device, DType::F32)).require_grad();
            let grads = focal_keep_losses(logits.clone(), &LABELS, &weights)
                .sum()
                .backward();
            let step = 1e-2;
            let mut expected = [[0.0_f32; 2]; 3];
            for (row, expected) in expected.iter_mut().enumerate() {
                for (class, expected) in expected.iter_mut().enumerate() {
                    let moved = |by: f32| {
                        let mut logits = LOGITS;
                        logits[row][class] += by;
                        losses(logits, &weights).iter().sum::<f32>()
                    };
                    *expected = (moved(step) - moved(-step)) / (2.0 * step);
                }
            }
            let found = logits.grad(&grads).unwrap().into_data();
            found.assert_approx_eq::<f32>(&expected.into(), Tolerance::absolute(2e-4));
        }
    }

    #[test]
    fn extreme_logits_stay_finite_and_classes_balance() {
        let device = Device::flex().autodiff();
        let logits = [[0.0, 200.0], [0.0, 200.0], [-90.0, 90.0]];
        let logits = Tensor::<2>::from_data(logits, (&device, DType::F32)).require_grad();
        let loss = focal_keep_losses(logits.clone(), &LABELS, &FOCAL).sum();
        let grads = loss.backward();
        // The second token is wrong by 200 nats: the focal factor is 1 and the slope its weight.
        assert!((loss.into_scalar::<f32>() - 200.0 * 0.6).abs() < 1e-3);
        let found = logits.grad(&grads).unwrap().into_data();
        let expected = [[0.0, 0.0], [-0.6, 0.6], [0.0, 0.0]];
        found.assert_approx_eq::<f32>(&expected.into(), Tolerance::absolute(1e-5));

        // Of 4 tokens 1 is kept: 4 / (2 * 1) and 4 / (2 * 3).
        let balanced = FocalWeights::balanced(3, 1, 2.0).unwrap();
        assert!((balanced.alpha_keep - 2.0).abs() < 1e-12);
        assert!((balanced.alpha_drop - 2.0 / 3.0).abs() < 1e-12);
        assert!(FocalWeights::balanced(3, 0, 2.0).is_err());
    }
}
