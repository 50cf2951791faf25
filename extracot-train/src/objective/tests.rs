//! Every objective against numbers worked by hand and against central differences.

use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::batch::PolicyRow;

/// Recorded log-probabilities are -1 everywhere.
fn row(n_tokens: usize, main: f64, control: f64) -> PolicyRow {
    PolicyRow {
        prompt_ids: vec![1],
        completion_ids: vec![2; n_tokens],
        old_logprobs: vec![-1.0; n_tokens],
        advantage_main: main,
        advantage_control: control,
    }
}

/// Loss and gradient by log-probability, token after token in order of the batch.
fn loss_of(
    objective: &dyn PolicyObjective,
    rows: &[PolicyRow],
    logprobs: &[f32],
    n_shards: usize,
) -> (f64, Vec<f32>) {
    let device = Device::flex().autodiff();
    let (mut total, mut gradient, mut start) = (0.0, Vec::new(), 0);
    for mut batch in PolicyBatch::collate(rows, n_shards) {
        let n_tokens = batch.tokens.n_targets();
        let reference = (0..n_tokens).map(|t| -1.1 - 0.05 * (start + t) as f32);
        batch.set_ref_logprobs(reference.collect());
        let values = logprobs[start..start + n_tokens].to_vec();
        let leaf = Tensor::<1>::from_data(TensorData::new(values, [n_tokens]), &device);
        let leaf = leaf.require_grad();
        let mut inputs = batch.tensors(&device);
        if !objective.needs_reference() {
            inputs.ref_logprobs = None;
        }
        let loss = objective.loss(&batch, inputs, leaf.clone());
        total += f64::from(loss.clone().into_scalar::<f32>());
        let found = leaf.grad(&loss.backward()).unwrap().into_data();
        gradient.extend(found.iter::<f32>());
        start += n_tokens;
    }
    (total, gradient)
}

fn clip() -> ClipRange {
    ClipRange::try_new(0.2, 0.2).unwrap()
}

/// Log-probabilities with these importance weights.
fn at_weights<const N: usize>(weights: [f32; N]) -> [f32; N] {
    weights.map(|weight| weight.ln() - 1.0)
}

#[test]
fn dapo_lets_gains_grow_further_than_losses_and_averages_over_tokens() {
    let rows = [row(1, 1.0, 0.0), row(3, -2.0, 0.0)];
    // Gains: 1.25 is inside the upper bound (1.28). Losses: 0.5 is clamped to 0.8, 1.5 is not.
    let logprobs = at_weights([1.25, 0.5, 1.5, 1.0]);
    let (loss, gradient) = loss_of(&Grpo::DAPO, &rows, &logprobs, 1);
    // (-1.25 + 2 * 0.8 + 2 * 1.5 + 2 * 1) / 4
    assert!((loss - 5.35 / 4.0).abs() < 1e-6, "{loss}");
    assert_near(&gradient, &[-1.25 / 4.0, 0.0, 3.0 / 4.0, 2.0 / 4.0]);
    // Above 1.28 the gain is cut.
    let (loss, _) = loss_of(&Grpo::DAPO, &rows, &at_weights([1.4, 1.0, 1.0, 1.0]), 1);
    assert!((loss - (-1.28 + 6.0) / 4.0).abs() < 1e-6, "{loss}");
    assert!(!Grpo::DAPO.needs_reference());
}

#[test]
fn dr_grpo_divides_by_rollouts_and_the_limit_however_long_they_are() {
    let objective = DrGrpo::try_new(clip(), 10).unwrap();
    // Two rollouts, a limit of 10: every token is divided by 20.
    for lengths in [[1, 3], [4, 9]] {
        let rows = [row(lengths[0], 1.0, 0.0), row(lengths[1], -2.0, 0.0)];
        let logprobs = vec![-1.0; lengths[0] + lengths[1]];
        let (loss, gradient) = loss_of(&objective, &rows, &logprobs, 1);
        let sum = 2.0 * lengths[1] as f64 - lengths[0] as f64;
        assert!((loss - sum / 20.0).abs() < 1e-6, "{loss}");
        let want = [vec![-0.05; lengths[0]], vec![0.1; lengths[1]]].concat();
        assert_near(&gradient, &want);
    }
    assert!(DrGrpo::try_new(clip(), 0).is_err());
}

#[test]
fn degrpo_normalizes_the_control_token_and_the_response_apart() {
    let objective = DeGrpo {
        clip: clip(),
        alpha: 0.5,
        beta: 0.0,
    };
    // Two rollouts of 2 and 5 tokens: the responses are 1 and 4 tokens, each divided by its own length.
    let rows = [row(2, 1.0, 0.0), row(5, -2.0, 0.0)];
    let (loss, gradient) = loss_of(&objective, &rows, &[-1.0; 7], 1);
    // (0.5 * -1 - 1 + 0.5 * 2 + 2) / 2
    assert!((loss - 0.75).abs() < 1e-6, "{loss}");
    let want = [-0.25, -0.5, 0.5, 0.25, 0.25, 0.25, 0.25];
    assert_near(&gradient, &want);
    // One token: a control part only.
    let (loss, _) = loss_of(&objective, &[row(1, -1.0, 0.0)], &[-1.0], 1);
    assert!((loss - 0.5).abs() < 1e-6, "{loss}");
}

#[test]
fn degrpo_averages_the_divergence_within_each_rollout_first() {
    let objective = DeGrpo {
        clip: clip(),
        alpha: 0.0,
        beta: 2.0,
    };
    // No advantage: k3 alone. ref - logp is -0.1 for the first rollout, -0.15 and -0.2 for the second.
    let rows = [row(1, 0.0, 0.0), row(2, 0.0, 0.0)];
    let (loss, _) = loss_of(&objective, &rows, &[-1.0; 3], 1);
    let k3 = |d: f64| d.exp() - d - 1.0;
    let want = 2.0 * (k3(-0.1) + (k3(-0.15) + k3(-0.2)) / 2.0) / 2.0;
    assert!((loss - want).abs() < 1e-6, "{loss} {want}");
}

#[test]
fn gradients_are_the_central_differences_and_shards_add_up() {
    let grpo = Grpo {
        clip: clip(),
        beta: 0.3,
    };
    let objectives: [&dyn PolicyObjective; 5] = [
        &grpo,
        &Grpo::DAPO,
        &DrGrpo::try_new(clip(), 4).unwrap(),
        &DeGrpo {
            clip: clip(),
            alpha: 0.5,
            beta: 0.3,
        },
        &Chrpo {
            main: grpo,
            alpha: 0.5,
        },
    ];
    let rows = [row(1, 0.7, 1.0), row(3, -1.3, -2.0), row(4, 0.9, 0.5)];
    // On both sides of both bounds and away from them, where the loss has a corner.
    let logprobs = at_weights([1.1, 0.5, 1.0, 1.6, 0.9, 1.5, 0.6, 1.05]);
    for objective in objectives {
        let (_, gradient) = loss_of(objective, &rows, &logprobs, 1);
        for (t, found) in gradient.iter().enumerate() {
            let at = |step: f32| {
                let mut moved = logprobs;
                moved[t] += step;
                loss_of(objective, &rows, &moved, 1).0
            };
            let want = (at(0.01) - at(-0.01)) / 0.02;
            let error = (f64::from(*found) - want).abs();
            assert!(error < 2e-4, "token {t}: {found} {want}");
        }
        assert!(gradient.iter().any(|g| g.abs() > 0.1), "{gradient:?}");
        let (loss, _) = loss_of(objective, &rows, &logprobs, 1);
        let (in_three, by_shard) = loss_of(objective, &rows, &logprobs, 3);
        assert!((loss - in_three).abs() < 1e-6);
        assert_near(&gradient, &by_shard);
    }
}

fn assert_near(found: &[f32], want: &[f32]) {
    assert_eq!(found.len(), want.len());
    for (found, want) in found.iter().zip(want) {
        assert!((found - want).abs() < 1e-6, "{found} {want}");
    }
}
