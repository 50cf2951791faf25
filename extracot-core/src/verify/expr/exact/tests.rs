use super::*;
use crate::verify::expr::parse;

fn value(text: &str) -> Option<BigRational> {
    let mut budget = Budget::new();
    Evaluator::new(&mut budget)
        .evaluate(&parse(text).unwrap())?
        .as_rational()
}

fn is_zero(text: &str) -> Option<bool> {
    let mut budget = Budget::new();
    let fraction = Evaluator::new(&mut budget).evaluate(&parse(text).unwrap())?;
    Some(fraction.numerator.is_zero())
}

fn ratio(numerator: i64, denominator: i64) -> BigRational {
    BigRational::new(numerator.into(), denominator.into())
}

#[test]
fn rational_formulas_have_exact_values() {
    for (text, numerator, denominator) in [
        (r"\frac{1}{2}+\frac{1}{3}", 5, 6),
        ("2^{-3}", 1, 8),
        (r"8^{2/3}", 4, 1),
        (r"\sqrt[3]{-27}", -3, 1),
        (r"\sqrt{2}\sqrt{8}", 4, 1),
        ("5!/3!", 20, 1),
        (r"\binom{6}{2}", 15, 1),
        (r"\gcd(12, 18)", 6, 1),
        (r"\lfloor 7/2 \rfloor", 3, 1),
        (r"|{-3}|", 3, 1),
        (r"-7 \bmod 4", -3, 1),
        ("(1+i)(1-i)", 2, 1),
        (r"\sum_{k=1}^{10} k", 55, 1),
        (r"\prod_{i=1}^{4} i", 24, 1),
        ("50%", 1, 2),
    ] {
        assert_eq!(value(text), Some(ratio(numerator, denominator)), "{text}");
    }
}

#[test]
fn identities_reduce_to_zero() {
    for text in [
        "(x+1)^2 - x^2 - 2x - 1",
        r"\frac{1}{x-1} - \frac{1}{x+1} - \frac{2}{x^2-1}",
        r"\sqrt{72} - 6\sqrt{2}",
        r"\frac{1}{\sqrt{2}+1} - \sqrt{2} + 1",
        r"\sqrt{-4} - 2i",
        r"\sqrt{6} - \sqrt{2}\sqrt{3}",
    ] {
        assert_eq!(is_zero(text), Some(true), "{text}");
    }
    for text in [
        "x-y",
        r"\sqrt{2}-\sqrt{3}",
        r"10^{40}+1-10^{40}",
        r"\pi-3.14159265358979",
    ] {
        assert_eq!(is_zero(text), Some(false), "{text}");
    }
}

#[test]
fn what_is_undefined_or_too_much_has_no_value() {
    for text in [
        r"\frac{x}{0}",
        "0^0",
        r"\sin x",
        "1000!",
        "9^{9^9}",
        r"\sum_{k=1}^{100000} k",
        "(x+y+z)^{200}",
        r"\sqrt{x}",
    ] {
        assert_eq!(is_zero(text), None, "{text}");
    }
}
