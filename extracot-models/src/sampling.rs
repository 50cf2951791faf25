//! One token from one row of logits, with a random number that depends on its place only.

use extracot_core::Seed;

/// A sampled token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledToken {
    /// Its id.
    pub id: u32,
    /// Its log-probability under the distribution it was drawn from, in nats; for a greedy choice,
    /// under temperature 1.
    pub logprob: f32,
}

/// A uniform number in [0, 1) for one token of one sample: counter-based, so it does not depend on
/// which rows share a batch.
pub fn uniform(sample_seed: Seed, position: usize) -> f64 {
    (sample_seed.derive("token", position as u64).0 >> 11) as f64 / (1u64 << 53) as f64
}

/// Draws from `softmax(logits / temperature)` by inverting its distribution at `u`; temperature 0
/// takes the largest logit, the first among equals. `None` if a logit is not finite.
///
/// # Shapes
///
/// - `logits`: `[vocab]`, not empty
pub fn sample_token(logits: &[f32], temperature: f64, u: f64) -> Option<SampledToken> {
    let (mut best_idx, mut best) = (0, f32::NEG_INFINITY);
    for (idx, logit) in logits.iter().enumerate() {
        if !logit.is_finite() {
            return None;
        }
        if *logit > best {
            (best_idx, best) = (idx, *logit);
        }
    }
    let scale = if temperature == 0.0 {
        1.0
    } else {
        1.0 / temperature
    };
    let weight = |logit: f32| ((f64::from(logit) - f64::from(best)) * scale).exp();
    let total: f64 = logits.iter().map(|logit| weight(*logit)).sum();
    let mut chosen = best_idx;
    if temperature > 0.0 {
        let mut left = u * total;
        for (idx, logit) in logits.iter().enumerate() {
            left -= weight(*logit);
            if left < 0.0 {
                chosen = idx;
                break;
            }
        }
    }
    let logprob = (f64::from(logits[chosen]) - f64::from(best)) * scale - total.ln();
    Some(SampledToken {
        id: chosen as u32,
        logprob: logprob as f32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_inverted_at_u() {
        // exp(ln 1), exp(ln 3): probabilities 1/4 and 3/4.
        let logits = [0.0, 3.0f32.ln()];
        assert_eq!(sample_token(&logits, 1.0, 0.24).unwrap().id, 0);
        let second = sample_token(&logits, 1.0, 0.26).unwrap();
        assert_eq!(second.id, 1);
        assert!((second.logprob - 0.75f32.ln()).abs() < 1e-6);
        // At temperature 1/2 the odds are squared: 1 to 9.
        assert_eq!(sample_token(&logits, 0.5, 0.11).unwrap().id, 1);
        assert_eq!(sample_token(&logits, 0.5, 0.09).unwrap().id, 0);
    }

    #[test]
    fn greedy_takes_the_first_of_the_largest_and_bad_logits_are_told() {
        assert_eq!(sample_token(&[1.0, 2.0, 2.0], 0.0, 0.9).unwrap().id, 1);
        assert_eq!(sample_token(&[1.0, f32::NAN], 1.0, 0.5), None);
    }
}
