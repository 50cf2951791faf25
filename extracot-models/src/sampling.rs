//! One token from one row of logits, with a random number that depends on its place only.

use extracot_core::{SamplingParams, Seed};
use extracot_kernels::{first_equal, greedy_total, largest_logit, sampling_weights};

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

/// Draws from `softmax(logits / temperature)`, cut to the `top_k` most likely tokens and then to the
/// most likely of those that reach `top_p` together, by inverting its distribution at `u`; temperature
/// 0 takes the largest logit, the first among equals. `None` if a logit is not finite.
///
/// # Shapes
///
/// - `logits`: `[vocab]`, not empty
pub fn sample_token(logits: &[f32], params: &SamplingParams, u: f64) -> Option<SampledToken> {
    let best = largest_logit(logits)?;
    let (chosen, scale, total) = if params.temperature == 0.0 {
        let total = greedy_total(logits, best);
        (first_equal(logits, best)?, 1.0, total)
    } else {
        let scale = 1.0 / params.temperature;
        let mut weights = vec![0.0; logits.len()];
        let total = sampling_weights(logits, (best, scale), &mut weights);
        if params.top_k.is_some() || params.top_p < 1.0 {
            let ids = most_likely(logits, params, &weights);
            let total = ids.iter().map(|id| weights[*id]).sum();
            let kept = ids.iter().map(|id| (*id, weights[*id]));
            (draw(kept, u * total).unwrap_or(ids[0]), scale, total)
        } else {
            let all = weights.iter().copied().enumerate();
            let chosen = draw(all, u * total).or_else(|| first_equal(logits, best))?;
            (chosen, scale, total)
        }
    };
    let logprob = (f64::from(logits[chosen]) - f64::from(best)) * scale - total.ln();
    Some(SampledToken {
        id: chosen as u32,
        logprob: logprob as f32,
    })
}

/// The first id whose weight, added to those before it, exceeds `place`.
fn draw(weights: impl Iterator<Item = (usize, f64)>, place: f64) -> Option<usize> {
    let mut left = place;
    for (id, weight) in weights {
        left -= weight;
        if left < 0.0 {
            return Some(id);
        }
    }
    None
}

/// The ids that `top_k` and `top_p` leave, most likely first, at least one; the smaller id first
/// among equals.
fn most_likely(logits: &[f32], params: &SamplingParams, weights: &[f64]) -> Vec<usize> {
    let mut ids: Vec<usize> = (0..logits.len()).collect();
    ids.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    ids.truncate(params.top_k.unwrap_or(ids.len()).max(1));
    let total: f64 = ids.iter().map(|id| weights[*id]).sum();
    let mut before = 0.0;
    let n_needed = ids
        .iter()
        .take_while(|id| {
            let is_needed = before < params.top_p * total;
            before += weights[**id];
            is_needed
        })
        .count();
    ids.truncate(n_needed.max(1));
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(logits: &[f32], temperature: f64, u: f64) -> Option<SampledToken> {
        sample_token(logits, &SamplingParams::at(temperature, 1, 1), u)
    }

    #[test]
    fn the_distribution_is_inverted_at_u() {
        // exp(ln 1), exp(ln 3): probabilities 1/4 and 3/4.
        let logits = [0.0, 3.0f32.ln()];
        assert_eq!(token(&logits, 1.0, 0.24).unwrap().id, 0);
        let second = token(&logits, 1.0, 0.26).unwrap();
        assert_eq!(second.id, 1);
        assert!((second.logprob - 0.75f32.ln()).abs() < 1e-6);
        // At temperature 1/2 the odds are squared: 1 to 9.
        assert_eq!(token(&logits, 0.5, 0.11).unwrap().id, 1);
        assert_eq!(token(&logits, 0.5, 0.09).unwrap().id, 0);
    }

    #[test]
    fn greedy_takes_the_first_of_the_largest_and_bad_logits_are_told() {
        assert_eq!(token(&[1.0, 2.0, 2.0], 0.0, 0.9).unwrap().id, 1);
        assert_eq!(token(&[1.0, f32::NAN], 1.0, 0.5), None);
        assert_eq!(token(&[1.0, f32::NAN], 0.0, 0.5), None);
        // 4 of 1 + 2 + 4.
        let logprob = token(&[1.0_f32, 2.0, 4.0].map(f32::ln), 0.0, 0.9)
            .unwrap()
            .logprob;
        assert!((logprob - (4.0_f32 / 7.0).ln()).abs() < 1e-6);
    }

    #[test]
    fn only_the_most_likely_tokens_are_drawn() {
        // Probabilities 0.1, 0.4, 0.2 and 0.3.
        let logits = [1.0_f32, 4.0, 2.0, 3.0].map(f32::ln);
        let drawn = |top_k: Option<usize>, top_p: f64| {
            let params = SamplingParams {
                top_k,
                top_p,
                ..SamplingParams::at(1.0, 1, 1)
            };
            let us = (0..1000).map(|i| (f64::from(i) + 0.5) / 1000.0);
            let tokens: Vec<_> = us
                .map(|u| sample_token(&logits, &params, u).unwrap())
                .collect();
            let logprob = tokens.iter().find(|token| token.id == 1).unwrap().logprob;
            let counts = [0, 1, 2, 3].map(|id| tokens.iter().filter(|t| t.id == id).count());
            (counts, (1000.0 * logprob.exp()).round())
        };
        assert_eq!(drawn(None, 1.0), ([100, 400, 200, 300], 400.0));
        assert_eq!(drawn(Some(2), 1.0), ([0, 571, 0, 429], 571.0));
        // 0.4 alone is short of 0.5, 0.7 is not.
        assert_eq!(drawn(None, 0.5), ([0, 571, 0, 429], 571.0));
        // 4/9, 3/9 and 2/9, drawn in this order.
        assert_eq!(drawn(None, 0.75), ([0, 444, 222, 334], 444.0));
        // Of the two that are left the first has 4/7.
        assert_eq!(drawn(Some(2), 0.5), ([0, 1000, 0, 0], 1000.0));
        assert_eq!(drawn(Some(0), 0.0), ([0, 1000, 0, 0], 1000.0));
    }
}
