//! Exponentials without branches, for vectorized loops: the same on every processor.

/// `e^x` for `x <= 0` or barely above, within 2 units of the last place; 0 below -87.3, where results are
/// no longer normal numbers. NaN stays NaN.
///
/// # Source
///
/// Argument reduction by Cody and Waite, coefficients of Cephes' `expf`.
#[inline(always)]
pub(crate) fn exp_f32(x: f32) -> f32 {
    // Adding this rounds to whole numbers, which the low bits then hold.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 0.166_666_65;
    p = p * r + 0.5;
    let y = p * (r * r) + r + 1.0;
    let power_of_two = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < -87.3 { 0.0 } else { y * power_of_two }
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

/// `e^x` for `x <= 0`, within 2 units of the last place; 0 below -708.
///
/// # Source
///
/// Our own choice: a Taylor sum behind an argument reduction by Cody and Waite.
#[inline(always)]
pub(crate) fn exp_f64(x: f64) -> f64 {
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
    fn the_exponential_is_within_two_units_of_the_last_place() {
        let mut worst = 0.0_f64;
        for step in 0..873_000 {
            let x = -(step as f32) * 1e-4;
            let exact = f64::from(x).exp();
            let unit = exact.log2().floor().exp2() * f64::from(f32::EPSILON);
            worst = worst.max((f64::from(exp_f32(x)) - exact).abs() / unit);
        }
        assert!(worst < 2.0, "{worst}");
        assert_eq!((exp_f32(0.0), exp_f32(-0.0)), (1.0, 1.0));
        assert_eq!((exp_f32(-1e9), exp_f32(f32::NEG_INFINITY)), (0.0, 0.0));
        assert!(exp_f32(f32::NAN).is_nan());
    }
}
