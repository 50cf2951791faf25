//! One token from one row of logits, with a random number that depends on its place only.

use extracot_core::{SamplingParams, Seed};

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
    let (mut best_idx, mut best) = (0, f32::NEG_INFINITY);
    for (idx, logit) in logits.iter().enumerate() {
        if !logit.is_finite() {
            return None;
        }
        if *logit > best {
            (best_idx, best) = (idx, *logit);
        }
    }
    let is_greedy = params.temperature == 0.0;
    let scale = if is_greedy {
        1.0
    } else {
        1.0 / params.temperature
    };
    let weight = |logit: f32| ((f64::from(logit) - f64::from(best)) * scale).exp();
    let is_cut = !is_greedy && (params.top_k.is_some() || params.top_p < 1.0);
    let candidates = is_cut.then(|| most_likely(logits, params, weight));
    let weights = || {
        let ids = 0..candidates.as_ref().map_or(logits.len(), Vec::len);
        ids.map(|place| {
            let id = candidates.as_ref().map_or(place, |ids| ids[place]);
            (id, weight(logits[id]))
        })
    };
    let total: f64 = weights().map(|(_, weight)| weight).sum();
    let mut chosen = best_idx;
    if !is_greedy {
        let mut left = u * total;
        for (id, weight) in weights() {
            left -= weight;
            if left < 0.0 {
                chosen = id;
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

/// The ids that `top_k` and `top_p` leave, most likely first, at least one; the smaller id first
/// among equals.
fn most_likely(logits: &[f32], params: &SamplingParams, weight: impl Fn(f32) -> f64) -> Vec<usize> {
    let mut ids: Vec<usize> = (0..logits.len()).collect();
    ids.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    ids.truncate(params.top_k.unwrap_or(ids.len()).max(1));
    let total: f64 = ids.iter().map(|id| weight(logits[*id])).sum();
    let mut before = 0.0;
    let n_needed = ids
        .iter()
        .take_while(|id| {
            let is_needed = before < params.top_p * total;
            before += weight(logits[**id]);
            is_needed
        })
        .count();
    ids.truncate(n_needed.max(1));
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(logits: &[f32], temperature: f64, u: f64) -> Option<SampledToken> {
        sample_token(logits, &SamplingParams::at(temperature, 1, 1), u)
    }

    #[test]
    fn the_distribution_is_inverted_at_u() {
        // exp(ln 1), exp(ln 3): probabilities 1/4 and 3/4.
        let logits = [0.0, 3.0f32.ln()];
        assert_eq!(draw(&logits, 1.0, 0.24).unwrap().id, 0);
        let second = draw(&logits, 1.0, 0.26).unwrap();
        assert_eq!(second.id, 1);
        assert!((second.logprob - 0.75f32.ln()).abs() < 1e-6);
        // At temperature 1/2 the odds are squared: 1 to 9.
        assert_eq!(draw(&logits, 0.5, 0.11).unwrap().id, 1);
        assert_eq!(draw(&logits, 0.5, 0.09).unwrap().id, 0);
    }

    #[test]
    fn greedy_takes_the_first_of_the_largest_and_bad_logits_are_told() {
        assert_eq!(draw(&[1.0, 2.0, 2.0], 0.0, 0.9).unwrap().id, 1);
        assert_eq!(draw(&[1.0, f32::NAN], 1.0, 0.5), None);
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
