//! Whether one formula is a constant multiple of another, which decides whether two equations or
//! inequalities say the same.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::Expr;
use super::approx::Approx;
use super::equal::{Formula, FormulaKind, MIN_POINTS, Work};
use super::exact::Evaluator;
use super::polynomial::Budget;

/// Whether `a = 0` and `b = 0` say the same, or `a < 0` and `b < 0` if the sign matters: whether one
/// is a constant multiple of the other.
pub(in crate::verify) fn differences_agree(
    a: &Formula,
    b: &Formula,
    sign_matters: bool,
    work: &mut Work,
) -> bool {
    let at_points = ratio_at_points(a, b);
    // The ratio of `y - 3/x` and `xy - 3` varies though they vanish together.
    let has_denominator = !sign_matters && (divides(&a.expr) || divides(&b.expr));
    if at_points == RatioAtPoints::Varies && !has_denominator {
        return false;
    }
    let has_sign = |is_positive: bool| !sign_matters || is_positive;
    match exact_multiple(&a.expr, &b.expr, sign_matters, &mut work.budget) {
        Some(factor) => {
            factor.is_some_and(|factor| !factor.is_zero() && has_sign(factor.is_positive()))
        }
        None => {
            matches!(at_points, RatioAtPoints::Constant { is_positive } if has_sign(is_positive))
        }
    }
}

/// Whether something with a variable may be a denominator.
fn divides(expr: &Expr) -> bool {
    expr.any(&|part| match part {
        Expr::Quotient(_, divisor) => divisor.has_unknowns(),
        Expr::Power(base, exponent) => base.has_unknowns() && !is_natural(exponent),
        _ => false,
    })
}

fn is_natural(exponent: &Expr) -> bool {
    matches!(exponent, Expr::Number(value) if value.is_integer() && !value.is_negative())
}

/// What the values at the points say of the ratio of two formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RatioAtPoints {
    /// Real and the same at enough points.
    Constant {
        is_positive: bool,
    },
    Varies,
    /// Too few points tell.
    Unknown,
}

fn ratio_at_points(a: &Formula, b: &Formula) -> RatioAtPoints {
    let (FormulaKind::Scalar(a), FormulaKind::Scalar(b)) = (&a.kind, &b.kind) else {
        return RatioAtPoints::Unknown;
    };
    let mut ratio: Option<Approx> = None;
    let mut n_agree = 0;
    for (a, b) in a.natural.iter().zip(&b.natural) {
        let (Some(a), Some(b)) = (a, b) else {
            continue;
        };
        let Some(here) = a.over(*b).filter(|r| r.is_sharp() && r.value.norm() > 1e-9) else {
            continue;
        };
        match &ratio {
            None => ratio = Some(here),
            Some(ratio) if !ratio.agrees(&here) => return RatioAtPoints::Varies,
            Some(_) => {}
        }
        n_agree += 1;
    }
    match ratio {
        Some(ratio) if n_agree >= MIN_POINTS && ratio.is_real() => RatioAtPoints::Constant {
            is_positive: ratio.value.re > 0.0,
        },
        _ => RatioAtPoints::Unknown,
    }
}

/// The factor between two formulas, after denominators are multiplied out; the outer `None` means that
/// it could not be told.
fn exact_multiple(
    a: &Expr,
    b: &Expr,
    sign_matters: bool,
    budget: &mut Budget,
) -> Option<Option<BigRational>> {
    let mut evaluator = Evaluator::new(budget);
    let a = evaluator.evaluate(a)?;
    let b = evaluator.evaluate(b)?;
    let denominators = (a.denominator.as_rational(), b.denominator.as_rational());
    let scale = match denominators {
        (Some(a), Some(b)) => b / a,
        // Of an inequality no denominator of unknown sign is multiplied out.
        _ if sign_matters => return None,
        _ => BigRational::from_integer(BigInt::one()),
    };
    if a.numerator.is_zero() || b.numerator.is_zero() {
        return Some(None);
    }
    match a.numerator.multiple_of(&b.numerator) {
        Some(factor) => Some(Some(factor * scale)),
        // A factor such as a root is left to the points.
        None if !a.numerator.is_free() || !b.numerator.is_free() => None,
        None => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::expr::parse;

    #[test]
    fn equations_are_equal_up_to_a_factor() {
        let agree = |a: &str, b: &str, sign: bool| {
            let mut work = Work::new();
            let mut read = |text| Formula::new(parse(text).unwrap(), &mut work).unwrap();
            let (a, b) = (read(a), read(b));
            differences_agree(&a, &b, sign, &mut work)
        };
        assert!(agree("2x+4y-3", r"y-(-\frac{1}{2}x+\frac{3}{4})", false));
        assert!(agree("x-y", "y-x", false));
        assert!(!agree("x-y", "y-x", true));
        assert!(agree("2x-2y", "x-y", true));
        assert!(!agree("x-y", "x-y+1", false));
        assert!(agree("y-3/x", "xy-3", false));
        assert!(agree(r"\sqrt{2}x-2", r"x-\sqrt{2}", true));
        assert!(agree(r"y-e^x", r"2y-2e^x", true));
        assert!(!agree("x-x", "y-y", false));
    }
}
