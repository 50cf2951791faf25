//! Numerical evaluation with error bounds, at points that depend on nothing but the variables' names.

use std::f64::consts::{LN_10, PI};

use num_complex::Complex64;
use num_traits::ToPrimitive;

use super::approx::Approx;
use super::elementary::{extreme, factorial, hash, ln, power, root, unary, unknown, whole};
use super::{Constant, Expr, Function};

/// Points at which formulas with variables are compared.
pub(super) const N_POINTS: usize = 8;
/// Sums and products over more indices are not evaluated.
const MAX_INDICES: i64 = 2_000;

/// The natural logarithm of the base that a bare `\log` is read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogReading {
    Natural,
    Decimal,
}

/// Evaluates one formula at one point.
pub(super) struct PointEvaluator {
    /// Index of the point, below [`N_POINTS`].
    point: usize,
    log: LogReading,
    bound: Vec<(String, f64)>,
    /// Steps that are left.
    steps: u32,
    /// Whether a root, logarithm or power of a negative number led out of the real numbers.
    left_reals: bool,
}

impl PointEvaluator {
    pub(super) fn new(point: usize, log: LogReading, steps: u32) -> Self {
        Self {
            point,
            log,
            bound: Vec::new(),
            steps,
            left_reals: false,
        }
    }

    /// Steps that were not used.
    pub(super) fn steps_left(&self) -> u32 {
        self.steps
    }

    /// Whether some part of the formula is not real though its operands are.
    pub(super) fn left_reals(&self) -> bool {
        self.left_reals
    }

    /// The value; `None` if it is undefined, overflows, or takes too many steps.
    pub(super) fn evaluate(&mut self, expr: &Expr) -> Option<Approx> {
        self.steps = self.steps.checked_sub(1)?;
        match expr {
            Expr::Number(value) => value.to_f64().filter(|v| v.is_finite()).map(Approx::real),
            Expr::Variable(name) => Some(Approx::real(self.variable(name))),
            Expr::Constant(constant) => match constant {
                Constant::Pi => Some(Approx::real(PI)),
                Constant::E => Some(Approx::real(std::f64::consts::E)),
                Constant::I => Some(match self.bound.iter().rev().find(|(n, _)| n == "i") {
                    Some((_, value)) => Approx::real(*value),
                    None => Approx {
                        value: Complex64::I,
                        error: 0.0,
                    },
                }),
                Constant::Infinity => None,
            },
            Expr::Sum(terms) => terms.iter().try_fold(Approx::real(0.0), |sum, term| {
                sum.plus(self.evaluate(term)?)
            }),
            Expr::Product(factors) => factors.iter().try_fold(Approx::real(1.0), |p, factor| {
                p.times(self.evaluate(factor)?)
            }),
            Expr::Quotient(a, b) => self.evaluate(a)?.over(self.evaluate(b)?),
            Expr::Power(base, exponent) => {
                let base = self.evaluate(base)?;
                if let Expr::Number(value) = &**exponent
                    && value.denom().to_u32().is_some_and(|d| d > 1 && d % 2 == 1)
                    && base.is_real()
                    && base.value.re < 0.0
                {
                    // (-8)^{1/3} is the real root.
                    let size = power(
                        Approx {
                            value: -base.value,
                            ..base
                        },
                        Approx::real(value.to_f64()?),
                    )?;
                    let is_odd = value.numer().bit(0);
                    return Some(if is_odd {
                        Approx {
                            value: -size.value,
                            ..size
                        }
                    } else {
                        size
                    });
                }
                let exponent = self.evaluate(exponent)?;
                self.left_reals |= base.is_negative() && whole(exponent).is_none();
                power(base, exponent)
            }
            Expr::Call(function, arguments) => self.call(function, arguments),
            Expr::Matrix(_) => None,
        }
    }

    fn variable(&self, name: &str) -> f64 {
        match self.bound.iter().rev().find(|(bound, _)| bound == name) {
            Some((_, value)) => *value,
            None => sample(name, self.point),
        }
    }

    fn call(&mut self, function: &Function, arguments: &[Expr]) -> Option<Approx> {
        if let (Function::SumOver | Function::ProductOver, [variable, first, last, part]) =
            (function, arguments)
        {
            return self.over_range(function, variable, (first, last), part);
        }
        let values = arguments
            .iter()
            .map(|argument| self.evaluate(argument))
            .collect::<Option<Vec<_>>>()?;
        self.left_reals |= match (function, values.as_slice()) {
            (Function::Root, [x, n]) => x.is_negative() && whole(*n).is_none_or(|n| n % 2.0 == 0.0),
            (Function::Ln | Function::Log | Function::LogBase, [x, ..]) => x.is_negative(),
            (Function::Arcsin | Function::Arccos, [x]) => x.value.norm() > 1.0,
            _ => false,
        };
        match (function, values.as_slice()) {
            (Function::Unknown(name), values) => unknown(name, values),
            (Function::Min | Function::Max, values) => extreme(*function == Function::Max, values),
            (Function::Root, [x, n]) => root(*x, *n),
            (Function::LogBase, [x, base]) => ln(*x)?.over(ln(*base)?),
            (Function::Log, [x]) => match self.log {
                LogReading::Natural => ln(*x),
                LogReading::Decimal => ln(*x)?.over(Approx::real(LN_10)),
            },
            (Function::Binomial, [n, k]) => {
                let one = Approx::real(1.0);
                let minus = |v: Approx| Approx {
                    value: -v.value,
                    ..v
                };
                let rest = n.plus(minus(*k))?;
                let below = factorial(k.plus(one)?)?.times(factorial(rest.plus(one)?)?)?;
                factorial(n.plus(one)?)?.over(below)
            }
            (Function::Mod, [a, m]) => {
                let (a, m) = (whole(*a)?, whole(*m)?);
                (m > 0.0).then(|| Approx::real(a.rem_euclid(m)))
            }
            (function, [x]) => unary(function, *x),
            _ => None,
        }
    }

    fn over_range(
        &mut self,
        function: &Function,
        variable: &Expr,
        (first, last): (&Expr, &Expr),
        part: &Expr,
    ) -> Option<Approx> {
        let first_value = self.evaluate(first)?;
        let (Some(from), Some(to)) = (whole(first_value), self.evaluate(last).and_then(whole))
        else {
            // Bounds that are no integers: an unknown function of bounds and term, so that the same
            // sum written in two ways has one value.
            let last = self.evaluate(last)?;
            let part = self.evaluate(part)?;
            let name = format!("{function:?}");
            return unknown(&name, &[first_value, last, part]);
        };
        let (from, to) = (from.to_i64()?, to.to_i64()?);
        if to.checked_sub(from)? > MAX_INDICES {
            return None;
        }
        let is_sum = *function == Function::SumOver;
        let mut result = Approx::real(if is_sum { 0.0 } else { 1.0 });
        for index in from..=to {
            self.bound
                .push((variable.as_variable()?.to_owned(), index.to_f64()?));
            let part = self.evaluate(part);
            self.bound.pop();
            result = match is_sum {
                true => result.plus(part?)?,
                false => result.times(part?)?,
            };
        }
        Some(result)
    }
}

/// The value of a variable at a point: the first three points are positive and below 2, so that roots
/// and logarithms are real; the others have either sign and reach 5.
fn sample(name: &str, point: usize) -> f64 {
    let fraction = hash(name, point);
    match point {
        0..3 => 0.2 + 1.7 * fraction,
        3..5 => 1.1 + 3.9 * fraction,
        5 => -0.2 - 1.7 * fraction,
        _ => 6.0 * fraction - 3.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::expr::parse;

    fn value(text: &str) -> Option<f64> {
        let expr = parse(text).unwrap();
        let approx = PointEvaluator::new(0, LogReading::Natural, 10_000).evaluate(&expr)?;
        assert!(approx.is_real() && approx.is_sharp(), "{text}: {approx:?}");
        Some(approx.value.re)
    }

    #[test]
    fn functions_have_their_values() {
        let cases: [(&str, f64); 14] = [
            (r"\sin 30\u{b0}", 0.5),
            (r"\cos^2 1 + \sin^2 1", 1.0),
            (r"\tan(\pi/4)", 1.0),
            (r"\log_2 8", 3.0),
            (r"\ln(e^2)", 2.0),
            (r"e^{i\pi}", -1.0),
            (r"\sqrt[3]{-8}", -2.0),
            (r"(-8)^{1/3}", -2.0),
            ("4!", 24.0),
            (r"\binom{5}{2}", 10.0),
            (r"\arctan 1", PI / 4.0),
            (r"|3-4i|", 5.0),
            (r"\sum_{k=0}^{3} \frac{1}{2^k}", 1.875),
            (r"\max(1, \pi)", PI),
        ];
        for (text, expected) in cases {
            let text = text.replace(r"\u{b0}", "\u{b0}");
            let value = value(&text).unwrap();
            assert!((value - expected).abs() < 1e-11, "{text}: {value}");
        }
    }

    #[test]
    fn undefined_values_are_none() {
        for text in [
            r"\ln 0",
            "1/0",
            r"\infty",
            "9^{9^{9}}",
            r"\sum_{k=1}^{10000} k",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn points_depend_on_the_name_only() {
        assert_eq!(sample("x", 3), sample("x", 3));
        assert_ne!(sample("x", 3), sample("y", 3));
        assert!((0..3).all(|p| (0.2..1.9).contains(&sample("x_1", p))));
        assert!(sample("n", 5) < 0.0);
    }
}
