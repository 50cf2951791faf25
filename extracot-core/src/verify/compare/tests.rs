use super::*;
use crate::verify::answer::Reader;
use crate::verify::normalize::simplify;

fn method(answer: &str, gold: &str) -> Outcome {
    let mut work = Work::new();
    let mut reader = Reader::new(&mut work);
    let (answer, gold) = (reader.read(&simplify(answer)), reader.read(&simplify(gold)));
    compare(&answer, &gold, &mut work)
}

#[test]
fn the_method_is_told() {
    for (answer, gold, expected) in [
        ("x", "x", Method::Text),
        ("0.5", r"\frac12", Method::ExactNumber),
        ("0.333333", r"\frac13", Method::RoundedNumber),
        (r"\sqrt{8}", r"2\sqrt{2}", Method::Algebra),
        (r"\sin 30^\circ", "0.5", Method::Numeric(1)),
        ("2, 1", r"\{1, 2\}", Method::Unordered),
        ("(1, 2.0)", "(1, 2)", Method::Ordered),
        ("x > 1", r"(1, \infty)", Method::Intervals),
        ("x + y = 1", "2x + 2y = 2", Method::Relation),
    ] {
        assert_eq!(
            method(answer, gold),
            Outcome::Equal(expected),
            "{answer} | {gold}"
        );
    }
    assert_eq!(method("1", "(1, 2)"), Outcome::Different(Method::Kinds));
    assert_eq!(method("1", r"10^{10^{10}}"), Outcome::Unknown);
}

#[test]
fn a_rounded_decimal_has_six_digits_and_ends_within_a_step() {
    // 1/7 = 0.142857 142857..
    let is_equal = |decimal: &str| method(decimal, r"\frac{1}{7}").is_equal();
    assert!(is_equal("0.142857"));
    assert!(is_equal("0.142858"));
    assert!(!is_equal("0.14286"));
    assert!(!is_equal("0.142859"));
    assert!(!is_equal("0.142856"));
    // sqrt(2) = 1.41421356..
    assert!(method("1.414214", r"\sqrt{2}").is_equal());
    assert!(!method("1.414212", r"\sqrt{2}").is_equal());
}

#[test]
fn long_lists_are_not_paired() {
    let list = |n: usize| (0..n).map(|k| k.to_string()).collect::<Vec<_>>();
    let turned = |n: usize| list(n).into_iter().rev().collect::<Vec<_>>().join(", ");
    assert!(method(&turned(120), &list(120).join(", ")).is_equal());
    assert_eq!(
        method(&turned(121), &list(121).join(", ")),
        Outcome::Unknown
    );
    assert!(!method(&turned(121), "1, 2").is_equal());
}
