//! The weights by which a token is drawn.

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
/// Our own choice; the exponential is a Taylor sum behind an argument reduction by Cody and Waite.
pub fn sampling_weights(logits: &[f32], (largest, scale): (f32, f64), weights: &mut [f64]) -> f64 {
    assert_eq!(logits.len(), weights.len(), "one weight per logit");
    vectorized(
        #[inline(always)]
        || {
            let mut lanes = [0.0; LANES];
            weigh(logits, (largest, scale), weights, &mut lanes);
            lanes.iter().sum()
        },
    )
}

/// The sum alone, the same to the last bit.
pub fn sampling_total(logits: &[f32], (largest, scale): (f32, f64)) -> f64 {
    /// A multiple of the lanes, so that every weight is added in the same lane.
    const PART: usize = 512;
    vectorized(
        #[inline(always)]
        || {
            let (mut lanes, mut weights) = ([0.0; LANES], [0.0; PART]);
            for logits in logits.chunks(PART) {
                let weights = &mut weights[..logits.len()];
                weigh(logits, (largest, scale), weights, &mut lanes);
            }
            lanes.iter().sum()
        },
    )
}

/// Writes the weights and adds them to the lanes, in two loops: one that did both is not vectorized.
#[inline(always)]
fn weigh(
    logits: &[f32],
    (largest, scale): (f32, f64),
    weights: &mut [f64],
    lanes: &mut [f64; LANES],
) {
    let largest = f64::from(largest);
    for (out, logit) in weights.iter_mut().zip(logits) {
        *out = exp((f64::from(*logit) - largest) * scale);
    }
    let (chunks, rest) = weights.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, weight) in lanes.iter_mut().zip(chunk) {
            *lane += weight;
        }
    }
    for (lane, weight) in lanes.iter_mut().zip(rest) {
        *lane += weight;
    }
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

/// `1 / n!` from the highest power down.
const COEFFICIENTS: [f64; 12] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
];

/// `e^x` for `x <= 0`.
#[inline(always)]
fn exp(x: f64) -> f64 {
    // Adding this rounds to whole numbers, which the low bits then hold.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // Few enough digits that a multiple is exact.
    const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = COEFFICIENTS[0];
    for coefficient in &COEFFICIENTS[1..] {
        p = p * r + coefficient;
    }
    let y = p * (r * r) + r + 1.0;
    let power_of_two = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    if x < -708.0 { 0.0 } else { y * power_of_two }
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
            assert_eq!(sampling_total(&logits, (0.0, scale)), total);
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
    fn the_largest_weighs_one() {
        let mut weights = [0.0; 3];
        let total = sampling_weights(&[7.5, f32::NEG_INFINITY, 7.5], (7.5, 2.0), &mut weights);
        assert_eq!((weights, total), ([1.0, 0.0, 1.0], 2.0));
    }
}
