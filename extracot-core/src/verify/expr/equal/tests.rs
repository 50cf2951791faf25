use super::*;
use crate::verify::expr::parse;

fn compare(answer: &str, gold: &str) -> Equality {
    let mut work = Work::new();
    let mut read = |text| Formula::new(parse(text).unwrap(), &mut work).unwrap();
    let (answer, gold) = (read(answer), read(gold));
    formulas_equal(&answer, &gold, &mut work)
}

#[test]
fn algebra_is_exact() {
    for (a, b) in [
        ("(x+1)^2", "x^2+2x+1"),
        (r"\frac{x+2}{7}", r"\frac{x}{7}+\frac{2}{7}"),
        (r"\frac{1}{\sqrt{3}}", r"\frac{\sqrt{3}}{3}"),
        ("2^{10}", "1024"),
        ("(1+i)^2", "2i"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
        (r"10\pi/4", r"\frac{5}{2}\pi"),
    ] {
        assert_eq!(compare(a, b), Equality::Exact, "{a} | {b}");
    }
    for (a, b) in [
        (r"\sqrt{10^{20}+1}", "10^{10}"),
        ("x+10^{20}", "x+10^{20}+1"),
        (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5}"),
        ("x", "y"),
        ("x^2", "x"),
    ] {
        assert_eq!(compare(a, b), Equality::Different, "{a} | {b}");
    }
}

#[test]
fn what_is_not_algebra_is_compared_at_points() {
    for (a, b) in [
        (r"\sin^2 x + \cos^2 x", "1"),
        (r"\sqrt{5+2\sqrt{6}}", r"\sqrt{2}+\sqrt{3}"),
        (r"\ln 8", r"3\ln 2"),
        ("e^{i\\pi}+1", "0"),
        (r"\sqrt[3]{2}\cdot\sqrt[3]{4}", "2"),
        (r"2\ln x", r"\ln(x^2)"),
        (r"\sqrt{ab}", r"\sqrt{a}\sqrt{b}"),
        (r"\ln(xy)", r"\ln x+\ln y"),
        (r"\sqrt{x-9}", r"\sqrt{-9+x}"),
        ("(n+1)!/n!", "n+1"),
        ("f(x+1)", "f(1+x)"),
        (r"\log 100", "2"),
        (r"\log e", "1"),
    ] {
        assert!(
            matches!(compare(a, b), Equality::Numeric(_))
                || matches!(compare(b, a), Equality::Numeric(_)),
            "{a} | {b}"
        );
    }
    for (a, b) in [
        (r"1-\frac{1}{e}", r"1+\frac{1}{e}"),
        ("x", r"\sqrt{x^2}"),
        (r"\sin x", "x"),
        ("e^{3}", "20.0855"),
        ("f(x)", "f(y)"),
        (r"\sqrt[3]{2}", r"\sqrt{2}"),
        (r"|x|", "x"),
    ] {
        assert_eq!(compare(a, b), Equality::Different, "{a} | {b}");
    }
}

#[test]
fn matrices_are_compared_by_cells() {
    let matrix = |cells: &str| format!(r"\begin{{pmatrix}} {cells} \end{{pmatrix}}");
    let a = matrix(r"1 & 2 \\ 3 & 4");
    assert_eq!(compare(&a, &matrix(r"2/2 & 2 \\ 3 & 4")), Equality::Exact);
    assert_eq!(compare(&a, &matrix(r"1 & 3 \\ 2 & 4")), Equality::Different);
    let half = format!(r"\frac{{1}}{{2}} {}", matrix(r"2 & 4 \\ 6 & 8"));
    assert_eq!(compare(&half, &a), Equality::Exact);
    assert_eq!(compare("1", &a), Equality::Different);
}

#[test]
fn what_has_no_value_is_unknown() {
    assert_eq!(compare(r"10^{10^{10}}", "5"), Equality::Unknown);
    assert_eq!(compare("1/0", "2/0"), Equality::Unknown);
    assert_eq!(compare(r"\infty", r"\infty"), Equality::Exact);
    assert_eq!(compare(r"-\infty", r"\infty"), Equality::Different);
    assert_eq!(compare("7", r"\infty"), Equality::Different);
}
