//! CHRPO: a token-level main loss and a loss on the control token alone.

use burn::tensor::Tensor;

use super::{Grpo, PolicyObjective};
use crate::batch::{PolicyBatch, PolicyTensors};
use crate::loss::{ClipRange, clipped_policy_loss};

/// ```text
/// loss = tokenmean_t( clip_pg(A_main) ) + alpha mean_i( clip_pg(A_ctrl) at t = 0 )
///        + beta tokenmean_t( k3 )
/// ```
///
/// # Source
///
/// Extra-CoT (arXiv 2602.08324), overview figure: a main reward averaged over control token and
/// response, and a control-head reward on the control-head token only. Weights are inferred
/// (`docs/decisions/0002`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chrpo {
    /// The main loss with its divergence term.
    pub main: Grpo,
    /// Weight of the control-head loss.
    pub alpha: f64,
}

impl PolicyObjective for Chrpo {
    fn needs_reference(&self) -> bool {
        self.main.needs_reference()
    }

    fn clip(&self) -> Option<ClipRange> {
        self.main.clip()
    }

    fn loss(&self, batch: &PolicyBatch, inputs: PolicyTensors, logprobs: Tensor<1>) -> Tensor<1> {
        // Zero advantages leave every token but the first of each rollout without a part.
        let control = clipped_policy_loss(
            logprobs.clone(),
            inputs.old_logprobs.clone(),
            inputs.advantages_control.clone(),
            self.main.clip,
        );
        let control = control.sum() / batch.n_rollouts_total as f64;
        self.main.loss(batch, inputs, logprobs) + control * self.alpha
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::batch::PolicyRow;

    fn row(n_tokens: usize, main: f64, control: f64) -> PolicyRow {
        PolicyRow {
            prompt_ids: vec![1],
            completion_ids: vec![2; n_tokens],
            old_logprobs: vec![-1.0; n_tokens],
            advantage_main: main,
            advantage_control: control,
        }
    }

    fn gradient(objective: &dyn PolicyObjective, rows: &[PolicyRow], n_shards: usize) -> Vec<f32> {
        let device = Device::flex().autodiff();
        let mut all = Vec::new();
        for mut batch in PolicyBatch::collate(rows, n_shards) {
            let n_tokens = batch.tokens.n_targets();
            batch.set_ref_logprobs(vec![-1.0; n_tokens]);
            let data = TensorData::new(vec![-1.0f32; n_tokens], [n_tokens]);
            let leaf = Tensor::<1>::from_data(data, &device).require_grad();
            let loss = objective.loss(&batch, batch.tensors(&device), leaf.clone());
            all.extend(
                leaf.grad(&loss.backward())
                    .unwrap()
                    .into_data()
                    .iter::<f32>(),
            );
        }
        all
    }

    fn chrpo(alpha: f64) -> Chrpo {
        Chrpo {
            main: Grpo {
                clip: ClipRange::try_new(0.2, 0.2).unwrap(),
                beta: 0.02,
            },
            alpha,
        }
    }

    #[test]
    fn the_control_part_reaches_the_first_token_only() {
        // Two rollouts of 2 and 4 tokens, 6 in all; at equal policies k3 has no gradient.
        let rows = [row(2, 1.0, 2.0), row(4, -1.0, -2.0)];
        let found = gradient(&chrpo(0.5), &rows, 1);
        // Main: -A/6 everywhere. Control: -0.5 * A_ctrl / 2 at each first token.
        let (sixth, first) = (1.0 / 6.0, 0.5);
        let want = [-sixth - first, -sixth, sixth + first, sixth, sixth, sixth];
        for (found, want) in found.iter().zip(want) {
            assert!((found - want).abs() < 1e-6, "{found} {want}");
        }
    }

    #[test]
    fn without_alpha_it_is_grpo_and_shards_add_up() {
        let rows = [row(2, 1.0, 2.0), row(4, -1.0, -2.0), row(3, 0.5, 1.0)];
        let one = gradient(&chrpo(0.0), &rows, 1);
        assert_eq!(one, gradient(&chrpo(0.0).main, &rows, 1));
        assert_eq!(
            gradient(&chrpo(0.3), &rows, 1),
            gradient(&chrpo(0.3), &rows, 3)
        );
    }
}
