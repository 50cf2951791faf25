//! Numbers that differ by their form, however close they are: a transcendental one is never algebraic.
//!
//! Floating point takes `e^{\pi\sqrt{163}}` for 262537412640768744, from which it differs in the 31st
//! digit. The theorems: e^a, sin a, cos a, tan a and their like are transcendental for algebraic a but 0,
//! ln a but for 0 and 1 (Lindemann and Weierstrass); so is e^{pi b} for real algebraic b but 0 (Gelfond
//! and Schneider).

use super::approx::Approx;
use super::numeric::{LogReading, PointEvaluator};
use super::{Constant, Expr, Function};

/// Steps for one small part of a formula.
const STEPS: u32 = 1_000;
/// A number with a larger denominator may be meant as a rounded decimal.
const MAX_DENOMINATOR_BITS: u64 = 19;

/// Whether one of the two is algebraic by its form and the other one transcendental.
pub(super) fn differ_by_form(a: &Expr, b: &Expr) -> bool {
    (is_algebraic(a) && is_transcendental(b)) || (is_algebraic(b) && is_transcendental(a))
}

/// Made of rational numbers by arithmetic and roots.
fn is_algebraic(expr: &Expr) -> bool {
    match expr {
        Expr::Number(value) => value.denom().bits() <= MAX_DENOMINATOR_BITS,
        Expr::Sum(parts) | Expr::Product(parts) => parts.iter().all(is_algebraic),
        Expr::Quotient(a, b) => is_algebraic(a) && is_algebraic(b),
        Expr::Power(base, exponent) => matches!(**exponent, Expr::Number(_)) && is_algebraic(base),
        Expr::Call(Function::Root, parts) => match parts.as_slice() {
            [radicand, Expr::Number(_)] => is_algebraic(radicand),
            _ => false,
        },
        Expr::Call(Function::Abs, parts) => parts.iter().all(is_algebraic),
        _ => false,
    }
}

fn is_transcendental(expr: &Expr) -> bool {
    match expr {
        Expr::Constant(constant) => matches!(constant, Constant::Pi | Constant::E),
        Expr::Sum(parts) => one_among(parts, is_transcendental, is_algebraic).is_some(),
        Expr::Product(parts) => one_among(parts, is_transcendental, is_factor).is_some(),
        Expr::Quotient(a, b) => {
            (is_transcendental(a) && is_algebraic(b)) || (is_factor(a) && is_transcendental(b))
        }
        Expr::Power(base, exponent) => match (&**base, &**exponent) {
            (Expr::Constant(Constant::E), exponent) => is_power_of_e(exponent),
            (base, Expr::Number(_)) => is_transcendental(base) && is_not(exponent, 0.0),
            _ => false,
        },
        Expr::Call(function, arguments) => match (function, arguments.as_slice()) {
            (Function::Exp, [x]) => is_power_of_e(x),
            (
                Function::Sin
                | Function::Cos
                | Function::Tan
                | Function::Cot
                | Function::Sec
                | Function::Csc
                | Function::Sinh
                | Function::Cosh
                | Function::Tanh,
                [x],
            ) => is_factor(x),
            (Function::Ln, [x]) => is_factor(x) && is_not(x, 1.0),
            (Function::Root, [x, Expr::Number(_)]) => is_transcendental(x),
            _ => false,
        },
        _ => false,
    }
}

/// Whether e to this power is transcendental.
fn is_power_of_e(exponent: &Expr) -> bool {
    let is_pi = |part: &Expr| *part == Expr::Constant(Constant::Pi);
    let is_multiple_of_pi = match exponent {
        Expr::Product(parts) => one_among(parts, is_pi, |part| is_factor(part) && is_real(part)),
        Expr::Quotient(above, below) if is_factor(below) && is_real(below) => match &**above {
            Expr::Product(parts) => {
                one_among(parts, is_pi, |part| is_factor(part) && is_real(part))
            }
            other => is_pi(other).then_some(()),
        },
        other => is_pi(other).then_some(()),
    };
    is_multiple_of_pi.is_some() || is_factor(exponent)
}

/// Exactly one part is of the one kind and all others are of the other kind.
fn one_among(
    parts: &[Expr],
    is_one: impl Fn(&Expr) -> bool,
    is_other: impl Fn(&Expr) -> bool,
) -> Option<()> {
    let mut ones = parts.iter().filter(|part| !is_other(part));
    let one = ones.next()?;
    (ones.next().is_none() && is_one(one)).then_some(())
}

/// Algebraic and not 0.
fn is_factor(expr: &Expr) -> bool {
    is_algebraic(expr) && is_not(expr, 0.0)
}

fn is_not(expr: &Expr, value: f64) -> bool {
    let found = PointEvaluator::new(0, LogReading::Natural, STEPS).evaluate(expr);
    found.is_some_and(|found| !found.agrees(&Approx::real(value)))
}

fn is_real(expr: &Expr) -> bool {
    let mut evaluator = PointEvaluator::new(0, LogReading::Natural, STEPS);
    evaluator.evaluate(expr).is_some() && !evaluator.left_reals()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::expr::parse;

    fn differ(a: &str, b: &str) -> bool {
        differ_by_form(&parse(a).unwrap(), &parse(b).unwrap())
    }

    #[test]
    fn forms_that_are_proved_transcendental_are_told_apart() {
        for (a, b) in [
            (r"e^{\pi\sqrt{163}}", "262537412640768744"),
            (r"e^{\pi\sqrt{163}}-744", "640320^3"),
            (r"\sqrt[3]{e^{\pi\sqrt{163}}-744}", "640320"),
            (r"\exp(\frac{\pi\sqrt{652}}{2})", "262537412640768744"),
            (r"\sin(2017\sqrt[5]{2})", "-1"),
            (r"\frac{\ln 2}{3}", r"\sqrt{2}"),
        ] {
            assert!(differ(a, b) && differ(b, a), "{a} {b}");
        }
    }

    #[test]
    fn what_may_be_algebraic_is_left_to_the_values() {
        for (a, b) in [
            (r"\sqrt{2}^2", "2"),
            (r"e^{i\pi}", "-1"),
            (r"e^{\pi\sqrt{-1}}", "-1"),
            (r"e^{\ln 2}", "2"),
            ("e^0", "1"),
            (r"e^{\sqrt{2}-\sqrt{2}}", "1"),
            (r"\cos(0\cdot\sqrt{2})", "1"),
            (r"\sin(\pi/6)", "1/2"),
            (r"\pi - \pi", "0"),
            (r"\frac{e}{e}", "1"),
            (r"\ln(\sqrt{2}^2-1)", "0"),
            (r"\log 100", "2"),
            // A rounded decimal.
            (r"\sin 1", "0.8414709848"),
        ] {
            assert!(!differ(a, b), "{a} {b}");
        }
    }
}
