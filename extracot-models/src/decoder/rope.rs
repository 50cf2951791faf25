//! Rotary positions in the rotate-half layout of Hugging Face, with a position per token.
//!
//! burn's own rotary encoding pairs neighboring channels (the GPT-J layout) and takes one offset
//! for the whole batch; neither fits a ragged batch of a Hugging Face checkpoint.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Cosines and sines of the positions of one batch.
#[derive(Debug, Clone)]
pub struct Rope {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rope {
    /// Angles for `positions`, given row by row.
    ///
    /// # Shapes
    ///
    /// - `positions`: `rows * seq` numbers; `rows` is the batch, or 1 to share them
    pub fn new(
        positions: &[usize],
        rows: usize,
        head_dim: usize,
        theta: f64,
        device: &Device,
    ) -> Self {
        let seq = positions.len() / rows;
        let half = head_dim / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|i| theta.powf(-2.0 * i as f64 / head_dim as f64))
            .collect();
        let table = |f: fn(f64) -> f64| {
            let mut values = Vec::with_capacity(positions.len() * head_dim);
            for position in positions {
                // Both halves rotate by the same angles.
                for _ in 0..2 {
                    values.extend(frequencies.iter().map(|w| f(*position as f64 * w) as f32));
                }
            }
            let data = TensorData::new(values, [rows, 1, seq, head_dim]);
            Tensor::<4>::from_data(data, (device, DType::F32))
        };
        Self {
            cos: table(f64::cos),
            sin: table(f64::sin),
        }
    }

    /// Rotates queries or keys.
    ///
    /// # Shapes
    ///
    /// - `x` and output: `[batch, n_heads, seq, head_dim]`
    pub fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, _, head_dim] = x.dims();
        let half = head_dim / 2;
        let first = x.clone().narrow(3, 0, half);
        let second = x.clone().narrow(3, half, half);
        let turned = Tensor::cat(vec![second.neg(), first], 3); // [batch, n_heads, seq, head_dim]
        x * self.cos.clone() + turned * self.sin.clone()
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
        // theta = 1: every pair (x_i, x_{i+2}) turns by the position, here 2 radians.
        let y = Rope::new(&[2], 1, 4, 1.0, &device).rotate(x);
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
}
