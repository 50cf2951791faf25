//! The weights by which a token is drawn.

use crate::exp::{exp_f32, exp_f64};
use crate::vectorized::vectorized;

/// Lanes of a sum: f64 values of the widest registers.
const LANES: usize = 8;

/// `e^((logit - largest) scale)` of every logit, and their sum. A weight is within 2 units of the last place,
/// and the same on every processor; one below `e^-708` is 0.
///
/// # Panics
///
/// If there are other numbers of weights than logits.
///
/// # Source
///
/// Our own choice.
pub fn sampling_weights(logits: &[f32], (largest, scale): (f32, f64), weights: &mut [f64]) -> f64 {
    assert_eq!(logits.len(), weights.len(), "one weight per logit");
    let largest = f64::from(largest);
    vectorized(
        #[inline(always)]
        || {
            // In two loops: one that did both is not vectorized.
            for (out, logit) in weights.iter_mut().zip(logits) {
                *out = exp_f64((f64::from(*logit) - largest) * scale);
            }
            let mut lanes = [0.0; LANES];
            let (chunks, rest) = weights.as_chunks::<LANES>();
            for chunk in chunks {
                for (lane, weight) in lanes.iter_mut().zip(chunk) {
                    *lane += weight;
                }
            }
            for (lane, weight) in lanes.iter_mut().zip(rest) {
                *lane += weight;
            }
            lanes.iter().sum()
        },
    )
}

/// The sum of `e^(logit - largest)` alone, within a millionth of it: exponentials are f32, and sums of so many of
/// them that f32 holds.
pub fn greedy_total(logits: &[f32], largest: f32) -> f64 {
    const PART: usize = 512;
    vectorized(
        #[inline(always)]
        || {
            let mut total = 0.0;
            for part in logits.chunks(PART) {
                total += f64::from(total_f32(part, largest));
            }
            total
        },
    )
}

#[inline(always)]
fn total_f32(logits: &[f32], largest: f32) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane += exp_f32(logit - largest);
        }
    }
    for (lane, logit) in lanes.iter_mut().zip(rest) {
        *lane += exp_f32(logit - largest);
    }
    lanes.iter().sum()
}

/// The place of the first logit that equals `value`.
pub fn first_equal(logits: &[f32], value: f32) -> Option<usize> {
    const CHUNK: usize = 64;
    let is_equal = |logit: &f32| *logit == value;
    let chunk = vectorized(
        #[inline(always)]
        || {
            // All of a chunk: a loop that ends early is not vectorized.
            let mut chunks = logits.chunks(CHUNK);
            chunks.position(|chunk| {
                chunk
                    .iter()
                    .fold(false, |found, logit| found | is_equal(logit))
            })
        },
    )?;
    let place = logits[chunk * CHUNK..].iter().position(is_equal)?;
    Some(chunk * CHUNK + place)
}

/// The largest of the logits, or `None` if one is not finite or there are none.
pub fn largest_logit(logits: &[f32]) -> Option<f32> {
    const LANES: usize = 16;
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    vectorized(
        #[inline(always)]
        || {
            let (mut lanes, mut are_finite) = ([f32::NEG_INFINITY; LANES], [true; LANES]);
            let (chunks, rest) = logits.as_chunks::<LANES>();
            for chunk in chunks {
                for lane in 0..LANES {
                    lanes[lane] = larger(lanes[lane], chunk[lane]);
                    are_finite[lane] &= chunk[lane].abs() <= f32::MAX;
                }
            }
            let finite = are_finite.iter().all(|is_finite| *is_finite)
                && rest.iter().all(|logit| logit.is_finite());
            let best = lanes.iter().chain(rest).copied().reduce(larger);
            best.filter(|_| finite && !logits.is_empty())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_the_exponential_within_two_units() {
        let logits: Vec<f32> = (0..20_003).map(|i| -(i as f32) * 0.037).collect();
        let mut weights = vec![0.0; logits.len()];
        for scale in [1.0, 1.0 / 0.7, 0.5] {
            let total = sampling_weights(&logits, (0.0, scale), &mut weights);
            for (logit, weight) in logits.iter().zip(&weights) {
                let x = f64::from(*logit) * scale;
                match x < -708.0 {
                    true => assert_eq!(*weight, 0.0),
                    false => {
                        let expected = x.exp();
                        let units = (weight - expected).abs() / (expected * f64::EPSILON);
                        assert!(units <= 2.0, "{weight} for e^{x} = {expected}");
                    }
                }
            }
            let expected: f64 = weights.iter().sum();
            assert!((total / expected - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn the_largest_logit_is_found_anywhere_and_bad_ones_are_told() {
        assert_eq!(largest_logit(&[]), None);
        assert_eq!(largest_logit(&[-3.0]), Some(-3.0));
        for n in [5, 16, 37] {
            let logits: Vec<f32> = (0..n).map(|i| -1.0 - i as f32).collect();
            for place in 0..n {
                let with = |value: f32| {
                    let mut logits = logits.clone();
                    logits[place] = value;
                    largest_logit(&logits)
                };
                assert_eq!(with(-0.5), Some(-0.5), "{place} of {n}");
                for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    assert_eq!(with(bad), None, "{bad} at {place} of {n}");
                }
            }
        }
    }

    #[test]
    fn the_total_alone_is_that_of_the_weights_within_a_millionth() {
        for (n, step) in [
            (1, 1.0),
            (37, 0.5),
            (20_003, 0.0),
            (150_000, 0.0001),
            (20_003, 0.037),
        ] {
            let logits: Vec<f32> = (0..n).map(|i| 7.5 - i as f32 * step).collect();
            let expected = sampling_weights(&logits, (7.5, 1.0), &mut vec![0.0; n]);
            let total = greedy_total(&logits, 7.5);
            assert!(
                (total / expected - 1.0).abs() < 1e-6,
                "{total} for {expected}"
            );
        }
    }

    #[test]
    fn the_first_equal_logit_is_found() {
        assert_eq!(first_equal(&[], 1.0), None);
        for n in [1, 63, 64, 65, 200] {
            for place in 0..n {
                let mut logits = vec![0.0; n];
                logits[place..].fill(2.0);
                assert_eq!(first_equal(&logits, 2.0), Some(place), "{place} of {n}");
                assert_eq!(first_equal(&logits, 3.0), None);
            }
        }
    }

    #[test]
    fn the_largest_weighs_one() {
        let mut weights = [0.0; 3];
        let total = sampling_weights(&[7.5, f32::NEG_INFINITY, 7.5], (7.5, 2.0), &mut weights);
        assert_eq!((weights, total), ([1.0, 0.0, 1.0], 2.0));
    }
}
