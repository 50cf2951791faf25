//! How far the updated policy stands from the one that sampled, token by token.

use extracot_core::CoreError;

use crate::batch::PolicyBatch;
use crate::loss::ClipRange;

/// Importance weights of one update, as shares and differences over its action tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct UpdateRatios {
    /// Share of tokens whose loss is cut at the lower bound.
    pub(super) clip_low_share: f64,
    /// Share of tokens whose loss is cut at the upper bound.
    pub(super) clip_high_share: f64,
    /// Largest `|logp - old_logp|`, in nats.
    pub(super) largest_difference: f64,
    /// Mean `|logp - old_logp|`, in nats.
    pub(super) mean_difference: f64,
}

impl UpdateRatios {
    /// Of the log-probabilities that an update computed before it moved the weights, shard by shard.
    pub(super) fn of(
        shards: &[PolicyBatch],
        logprobs: &[Vec<f32>],
        clip: Option<ClipRange>,
    ) -> Self {
        let mut found = Self::default();
        let mut n_tokens = 0_usize;
        for (shard, logprobs) in shards.iter().zip(logprobs) {
            let advantages = shard.advantages_main();
            for ((logprob, old), advantage) in
                logprobs.iter().zip(shard.old_logprobs()).zip(advantages)
            {
                let log_weight = f64::from(*logprob) - f64::from(*old);
                let (weight, advantage) = (log_weight.exp(), f64::from(*advantage));
                if let Some(clip) = clip {
                    found.clip_low_share += f64::from(u8::from(clip.cuts_low(weight, advantage)));
                    found.clip_high_share += f64::from(u8::from(clip.cuts_high(weight, advantage)));
                }
                found.largest_difference = found.largest_difference.max(log_weight.abs());
                found.mean_difference += log_weight.abs();
                n_tokens += 1;
            }
        }
        let n_tokens = n_tokens.max(1) as f64;
        found.clip_low_share /= n_tokens;
        found.clip_high_share /= n_tokens;
        found.mean_difference /= n_tokens;
        found
    }
}

/// # Errors
///
/// [`CoreError::Setting`] unless log-probabilities at `temperature` exist.
pub(super) fn check_temperature(temperature: f64) -> Result<(), CoreError> {
    if temperature > 0.0 && temperature.is_finite() {
        return Ok(());
    }
    Err(CoreError::Setting {
        key: "temperature",
        found: temperature.to_string(),
        allowed: "above 0: a greedy policy has no probabilities to learn from",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::PolicyRow;

    #[test]
    fn shares_and_differences_are_those_worked_by_hand() {
        let row = |advantage: f64, n_tokens: usize| PolicyRow {
            prompt_ids: vec![1],
            completion_ids: vec![2; n_tokens],
            old_logprobs: vec![-1.0; n_tokens],
            advantage_main: advantage,
            advantage_control: 0.0,
        };
        let shards = PolicyBatch::collate(&[row(1.0, 2), row(-1.0, 3)], 2);
        // Weights 1.5 and 0.5 for a gain: only the first is cut. For a loss: only those below 0.8.
        let logprobs = [
            vec![1.5_f32.ln() - 1.0, 0.5_f32.ln() - 1.0],
            vec![1.5_f32.ln() - 1.0, 0.5_f32.ln() - 1.0, 0.7_f32.ln() - 1.0],
        ];
        let clip = ClipRange::try_new(0.2, 0.2).ok();
        let found = UpdateRatios::of(&shards, &logprobs, clip);
        let near = |found: f64, want: f64| assert!((found - want).abs() < 1e-6, "{found} {want}");
        near(found.clip_high_share, 0.2);
        near(found.clip_low_share, 0.4);
        near(found.largest_difference, 2.0_f64.ln());
        let sum = 2.0 * 1.5_f64.ln() + 2.0 * 2.0_f64.ln() - 0.7_f64.ln();
        near(found.mean_difference, sum / 5.0);
        // Without bounds nothing is cut.
        let free = UpdateRatios::of(&shards, &logprobs, None);
        assert_eq!((free.clip_low_share, free.clip_high_share), (0.0, 0.0));
    }
}
