//! Elementary functions of complex values, each with a bound on its error.

use num_complex::Complex64;
use num_traits::ToPrimitive;

use super::Function;
use super::approx::Approx;
use super::gamma::{self, gamma};

/// A number from 0 to below 1 that a name and an index determine (FNV-1a, then a mix).
pub(super) fn hash(name: &str, index: usize) -> f64 {
    let index = u8::try_from(index % 256).unwrap_or(0);
    let bytes = name.bytes().chain([0xff, index]);
    let mut state = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    state ^= state >> 33;
    state = state.wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^= state >> 33;
    // 53 bits fit a float exactly.
    (state >> 11) as f64 / (1_u64 << 53) as f64
}

pub(super) fn power(base: Approx, exponent: Approx) -> Option<Approx> {
    if base.value == Complex64::ZERO {
        let is_zero = exponent.is_real() && exponent.value.re > 0.0;
        return is_zero.then_some(Approx::real(0.0));
    }
    if let Some(exponent) = whole(exponent)
        && exponent.abs() <= 64.0
    {
        let value = base.value.powi(exponent.to_i32()?);
        let slope = exponent.abs() * value.norm() / base.value.norm();
        return base.map(value, slope + f64::EPSILON * slope);
    }
    // base^exponent = exp(exponent ln base)
    exp(ln(base)?.times(exponent)?)
}

pub(super) fn root(x: Approx, degree: Approx) -> Option<Approx> {
    let n = whole(degree).filter(|n| *n >= 1.0)?;
    if x.value == Complex64::ZERO {
        return Some(Approx::real(0.0));
    }
    let inverse = Approx::real(1.0 / n);
    if n % 2.0 == 1.0 && x.is_real() && x.value.re < 0.0 {
        let size = power(
            Approx {
                value: -x.value,
                ..x
            },
            inverse,
        )?;
        return Some(Approx {
            value: -size.value,
            ..size
        });
    }
    if n == 2.0 {
        let value = x.real_if_close().value.sqrt();
        return x.map(value, 0.5 / value.norm());
    }
    power(x.real_if_close(), inverse)
}

pub(super) fn ln(x: Approx) -> Option<Approx> {
    let size = x.value.norm();
    if size <= 4.0 * x.error {
        return None;
    }
    x.map(x.real_if_close().value.ln(), 1.0 / size)
}

pub(super) fn exp(x: Approx) -> Option<Approx> {
    let value = x.value.exp();
    x.map(value, value.norm())
}

pub(super) fn factorial(x: Approx) -> Option<Approx> {
    let value = gamma(x.value);
    // The slope of ln gamma grows like ln z, and like 1/z near the poles.
    let slope = value.norm() * (1.0 + (x.value.norm() + 2.0).ln() + 2.0 / x.value.norm().max(0.1));
    let series = value.norm() * gamma::RELATIVE_ERROR;
    Approx::after(value, x.error * slope + series)
}

pub(super) fn unary(function: &Function, x: Approx) -> Option<Approx> {
    let z = x.value;
    let recip = |v: Approx| Approx::real(1.0).over(v);
    match function {
        Function::Sin => x.map(z.sin(), z.cos().norm() + x.error),
        Function::Cos => x.map(z.cos(), z.sin().norm() + x.error),
        Function::Tan => unary(&Function::Sin, x)?.over(unary(&Function::Cos, x)?),
        Function::Cot => unary(&Function::Cos, x)?.over(unary(&Function::Sin, x)?),
        Function::Sec => recip(unary(&Function::Cos, x)?),
        Function::Csc => recip(unary(&Function::Sin, x)?),
        Function::Arcsin | Function::Arccos => {
            let z = x.real_if_close().value;
            let value = if *function == Function::Arcsin {
                z.asin()
            } else {
                z.acos()
            };
            // Steep at the ends: the error there is the root of the argument's.
            let slope = 1.0 / (1.0 - z * z).norm().sqrt().max(x.error.sqrt());
            x.map(value, slope.min(1e8))
        }
        Function::Arctan => x.map(x.real_if_close().value.atan(), 1.0),
        Function::Sinh => x.map(z.sinh(), z.cosh().norm()),
        Function::Cosh => x.map(z.cosh(), z.sinh().norm()),
        Function::Tanh => unary(&Function::Sinh, x)?.over(unary(&Function::Cosh, x)?),
        Function::Ln => ln(x),
        Function::Exp => exp(x),
        Function::Abs => x.map(Complex64::from(z.norm()), 1.0),
        Function::Factorial => factorial(x.plus(Approx::real(1.0))?),
        Function::Floor | Function::Ceil => {
            let down = *function == Function::Floor;
            let value = if down { z.re.floor() } else { z.re.ceil() };
            // Within the error of a step neither side is sure.
            let is_sure = x.is_real() && (z.re - z.re.round()).abs() > 16.0 * x.error;
            let is_step = x.error < 1e-9 && z.re == z.re.round();
            (is_sure || is_step).then(|| Approx::real(value))
        }
        _ => None,
    }
}

pub(super) fn extreme(is_max: bool, values: &[Approx]) -> Option<Approx> {
    values.iter().all(Approx::is_real).then(|| {
        values.iter().copied().reduce(|a, b| {
            let is_b = (b.value.re > a.value.re) == is_max;
            if is_b { b } else { a }
        })
    })?
}

/// A smooth stand-in for a function of which only the name is known: equal arguments, equal values.
pub(super) fn unknown(name: &str, values: &[Approx]) -> Option<Approx> {
    let mut total = Approx::real(hash(name, 0));
    for (idx, value) in values.iter().enumerate() {
        let phase = value
            .times(Approx::real(0.5 + hash(name, 2 * idx + 1)))?
            .plus(Approx::real(hash(name, 2 * idx + 2)))?;
        let wave = unary(&Function::Sin, phase)?;
        let slant = value.times(Approx::real(0.3 + hash(name, 2 * idx + 3)))?;
        total = total.times(Approx::real(1.25))?.plus(wave)?.plus(slant)?;
    }
    Some(total)
}

/// The integer that a value is, up to its error.
pub(super) fn whole(x: Approx) -> Option<f64> {
    let nearest = x.value.re.round();
    let is_whole = x.is_real() && (x.value.re - nearest).abs() <= 4.0 * x.error + 1e-12;
    (is_whole && nearest.abs() < 1e12).then_some(nearest)
}

impl Approx {
    /// Whether it is a real number below zero.
    pub(super) fn is_negative(&self) -> bool {
        self.is_real() && self.value.re < 0.0
    }

    /// Without an imaginary part that is nothing but error: it would choose the side of a branch cut.
    pub(super) fn real_if_close(self) -> Self {
        match self.is_real() {
            true => Self {
                value: Complex64::from(self.value.re),
                ..self
            },
            false => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_of_negative_numbers_are_real_if_they_can_be() {
        let root_of = |x: f64, n: f64| root(Approx::real(x), Approx::real(n)).unwrap().value;
        assert!((root_of(-8.0, 3.0) + 2.0).norm() < 1e-14);
        assert!((root_of(-4.0, 2.0) - Complex64::new(0.0, 2.0)).norm() < 1e-14);
        assert_eq!(power(Approx::real(0.0), Approx::real(0.0)), None);
        assert_eq!(ln(Approx::real(0.0)), None);
    }

    #[test]
    fn steps_are_taken_only_where_the_side_is_sure() {
        let floor = |value: f64, error: f64| {
            let value = Complex64::from(value);
            unary(&Function::Floor, Approx { value, error }).map(|v| v.value.re)
        };
        assert_eq!(floor(3.5, 1e-15), Some(3.0));
        assert_eq!(floor(3.0, 1e-15), Some(3.0));
        assert_eq!(floor(3.000_000_1, 1e-3), None);
    }

    #[test]
    fn unknown_functions_follow_name_and_arguments() {
        let value = |name: &str, x: f64| unknown(name, &[Approx::real(x)]).unwrap().value;
        assert_eq!(value("f", 1.0), value("f", 1.0));
        assert_ne!(value("f", 1.0), value("g", 1.0));
        assert_ne!(value("f", 1.0), value("f", 2.0));
    }
}
