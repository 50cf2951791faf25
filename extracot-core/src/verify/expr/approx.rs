//! Complex floating-point numbers with a bound on their error.

use num_complex::Complex64;

/// A value and how far it may be from the true one, to first order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Approx {
    pub(super) value: Complex64,
    pub(super) error: f64,
}

/// Relative error of one operation; functions of the platform may be off by several units.
const STEP: f64 = 4.0 * f64::EPSILON;
/// Values whose error is a bigger part of them say nothing.
const MAX_RELATIVE_ERROR: f64 = 1e-6;
/// Differences up to this many error bounds are none.
const SLACK: f64 = 16.0;

impl Approx {
    /// An exact value rounded once.
    pub(super) fn exact(value: Complex64) -> Self {
        Self {
            value,
            error: value.norm() * f64::EPSILON,
        }
    }

    /// A real value rounded once.
    pub(super) fn real(value: f64) -> Self {
        Self::exact(Complex64::new(value, 0.0))
    }

    /// The result of a step whose inputs contribute `error`; `None` if it overflows.
    pub(super) fn after(value: Complex64, error: f64) -> Option<Self> {
        let error = error + value.norm() * STEP;
        (value.is_finite() && error.is_finite()).then_some(Self { value, error })
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let error = self.error + other.error;
        let lost = (self.value.norm() + other.value.norm()) * f64::EPSILON;
        Self::after(self.value + other.value, error + lost)
    }

    pub(super) fn times(self, other: Self) -> Option<Self> {
        let error = self.value.norm() * other.error + other.value.norm() * self.error;
        Self::after(self.value * other.value, error)
    }

    pub(super) fn over(self, other: Self) -> Option<Self> {
        let size = other.value.norm();
        if size <= 4.0 * other.error {
            return None;
        }
        let quotient = self.value / other.value;
        let error = (self.error + quotient.norm() * other.error) / size;
        Self::after(quotient, error)
    }

    /// `f` of the value, where `slope` is the size of its derivative.
    pub(super) fn map(self, value: Complex64, slope: f64) -> Option<Self> {
        Self::after(value, self.error * slope)
    }

    /// Whether it is precise enough to compare.
    pub(super) fn is_sharp(&self) -> bool {
        self.error <= MAX_RELATIVE_ERROR * self.value.norm().max(1e-3)
    }

    /// Whether the imaginary part is within the error.
    pub(super) fn is_real(&self) -> bool {
        self.value.im.abs() <= SLACK * self.error
    }

    /// Whether the two may be one number.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        (self.value - other.value).norm() <= SLACK * (self.error + other.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_grows_where_digits_cancel() {
        let third = Approx::real(1.0).over(Approx::real(3.0)).unwrap();
        let zero = third.plus(Approx::real(-1.0 / 3.0)).unwrap();
        assert!(zero.agrees(&Approx::real(0.0)));
        assert!(!third.agrees(&Approx::real(0.333_333_333_3)));
        // (10^17 + 1) - 10^17 keeps no digit.
        let lost = Approx::real(1e17).plus(Approx::real(-1e17)).unwrap();
        assert!(!lost.is_sharp());
        assert!(third.over(zero).is_none());
        assert!(Approx::real(1e308).times(Approx::real(1e10)).is_none());
    }
}
