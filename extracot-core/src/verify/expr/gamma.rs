//! The gamma function, so that factorials of expressions have values between the integers.

use num_complex::Complex64;

/// Coefficients of the Lanczos series for g = 7 with nine terms.
const COEFFICIENTS: [f64; 9] = [
    0.999_999_999_999_809_9,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];
const G: f64 = 7.0;

/// Relative error of [`gamma`] away from its poles.
pub(super) const RELATIVE_ERROR: f64 = 1e-13;

/// Gamma of z; infinite or not a number at its poles.
pub(super) fn gamma(z: Complex64) -> Complex64 {
    if z.re < 0.5 {
        // Reflection; the other side needs no reflection.
        let pi = std::f64::consts::PI;
        return pi / ((pi * z).sin() * right_half(1.0 - z));
    }
    right_half(z)
}

fn right_half(z: Complex64) -> Complex64 {
    let z = z - 1.0;
    let base = z + G + 0.5;
    let series = (1_u8..)
        .zip(&COEFFICIENTS[1..])
        .fold(Complex64::from(COEFFICIENTS[0]), |sum, (k, c)| {
            sum + *c / (z + f64::from(k))
        });
    (2.0 * std::f64::consts::PI).sqrt() * base.powc(z + 0.5) * (-base).exp() * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gamma_extends_the_factorial() {
        for (z, expected) in [
            (5.0, 24.0),
            (0.5, std::f64::consts::PI.sqrt()),
            // Gamma(-1/2) = -2 sqrt(pi).
            (-0.5, -2.0 * std::f64::consts::PI.sqrt()),
        ] {
            let value = gamma(Complex64::from(z));
            assert!((value.re / expected - 1.0).abs() < RELATIVE_ERROR, "{z}");
            assert!(value.im.abs() < 1e-12);
        }
    }
}
