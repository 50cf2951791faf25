use num_rational::BigRational;

use super::*;
use crate::verify::expr::{Constant, Function};

fn num(value: i64) -> Expr {
    Expr::integer(value)
}

fn var(name: &str) -> Expr {
    Expr::Variable(name.to_owned())
}

fn quotient(a: Expr, b: Expr) -> Expr {
    Expr::Quotient(Box::new(a), Box::new(b))
}

fn power(a: Expr, b: Expr) -> Expr {
    Expr::Power(Box::new(a), Box::new(b))
}

fn sqrt(a: Expr) -> Expr {
    Expr::Call(Function::Root, vec![a, num(2)])
}

#[test]
fn arguments_without_braces_are_one_character() {
    let half = Expr::Number(BigRational::new(1.into(), 2.into()));
    for text in [r"\frac12", r"\frac{1}2", r"\frac 1 2", r"\frac1{2}"] {
        assert_eq!(parse(text), Some(half.clone()), "{text}");
    }
    assert_eq!(
        parse(r"\sqrt23"),
        Some(Expr::Product(vec![sqrt(num(2)), num(3)]))
    );
    assert_eq!(
        parse(r"\sqrt2x"),
        Some(Expr::Product(vec![sqrt(num(2)), var("x")]))
    );
    assert_eq!(parse("x^10"), Some(power(var("x"), num(10))));
}

#[test]
fn operators_bind_as_usual() {
    // 1 - 2x^3/4
    let product = Expr::Product(vec![num(2), power(var("x"), num(3))]);
    assert_eq!(
        parse("1-2x^3/4"),
        Some(Expr::Sum(vec![num(1), quotient(product, num(4)).negated()]))
    );
    assert_eq!(parse("2^3^2"), Some(power(num(2), power(num(3), num(2)))));
    assert_eq!(parse("-x^2"), Some(power(var("x"), num(2)).negated()));
    assert_eq!(parse("2*-3"), Some(Expr::Product(vec![num(2), num(-3)])));
    assert_eq!(parse("2 3"), None);
    assert_eq!(parse("2+"), None);
    assert_eq!(parse("(2"), None);
}

#[test]
fn functions_take_what_follows() {
    let call = |f: Function, x: Expr| Expr::Call(f, vec![x]);
    let two_x = || Expr::Product(vec![num(2), var("x")]);
    assert_eq!(
        parse(r"\sin 2x \cos x"),
        Some(Expr::Product(vec![
            call(Function::Sin, two_x()),
            call(Function::Cos, var("x"))
        ]))
    );
    assert_eq!(
        parse(r"\sin^2(x)"),
        Some(power(call(Function::Sin, var("x")), num(2)))
    );
    assert_eq!(
        parse(r"\sin^{-1} x"),
        Some(call(Function::Arcsin, var("x")))
    );
    assert_eq!(
        parse(r"\log_2 8"),
        Some(Expr::Call(Function::LogBase, vec![num(8), num(2)]))
    );
    assert_eq!(parse("|x|"), Some(call(Function::Abs, var("x"))));
    assert_eq!(
        parse("f(x, y)"),
        Some(Expr::Call(
            Function::Unknown("f".to_owned()),
            vec![var("x"), var("y")]
        ))
    );
}

#[test]
fn names_numbers_and_matrices_are_read() {
    assert_eq!(parse("x_{12}"), Some(var("x_12")));
    assert_eq!(parse(r"\theta"), Some(var("theta")));
    assert_eq!(parse("e"), Some(Expr::Constant(Constant::E)));
    assert_eq!(
        parse(r"0.1\overline{6}"),
        Some(Expr::Number(BigRational::new(1.into(), 6.into())))
    );
    assert_eq!(parse("52_8"), Some(num(42)));
    assert_eq!(
        parse(r"2\frac{1}{2}"),
        Some(Expr::Number(BigRational::new(5.into(), 2.into())))
    );
    assert_eq!(
        parse(r"\begin{pmatrix} 1 & x \\ 0 & 2 \\ \end{pmatrix}"),
        Some(Expr::Matrix(vec![
            vec![num(1), var("x")],
            vec![num(0), num(2)]
        ]))
    );
    assert_eq!(parse(r"\begin{pmatrix} 1 & 2 \\ 3 \end{pmatrix}"), None);
    assert_eq!(parse(r"-\infty").and_then(|e| e.infinity_sign()), Some(-1));
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |n: usize| format!("{}x{}", "(".repeat(n), ")".repeat(n));
    assert_eq!(parse(&nested(20)), Some(var("x")));
    assert_eq!(parse(&nested(10_000)), None);
    assert_eq!(parse(&r"\sqrt".repeat(10_000)), None);
    assert_eq!(parse(&"-".repeat(1_900)), None);
    assert_eq!(parse(&"x+".repeat(10_000)), None);
    assert_eq!(parse(&"2^".repeat(900)), None);
    assert_eq!(parse(&format!("x{}", "!".repeat(500))), None);
    assert_eq!(parse(&format!("x{}", "/x".repeat(500))), None);
}
