use proptest::prelude::*;

use super::*;

fn verdict(answer: &str, gold: &str) -> Verdict {
    MathVerifier.verify(&format!("So \\boxed{{{answer}}}."), gold)
}

fn equal(a: &str, b: &str) {
    assert_eq!(verdict(a, b), Verdict::Correct, "{a} | {b}");
    assert_eq!(verdict(b, a), Verdict::Correct, "{b} | {a}");
}

fn different(a: &str, b: &str) {
    assert_eq!(verdict(a, b), Verdict::Incorrect, "{a} | {b}");
    assert_eq!(verdict(b, a), Verdict::Incorrect, "{b} | {a}");
}

#[test]
fn numbers_are_compared_exactly() {
    equal("0.5", r"\frac{1}{2}");
    equal("1,000", "1000.0");
    equal("18 dollars", "$18");
    equal("x = 5", "5");
    equal("(5)", "5");
    equal("25%", "0.25");
    equal("25%", "25");
    different("0.333", r"\frac{1}{3}");
    different("25%", "2500");
    different("x = 5", "y = 5");
    different("5", "5x");
    different("5", "-5");
    different("10000000000000001", "10000000000000000");
}

#[test]
fn collections_are_compared_part_by_part() {
    equal(r"\{1, 2\}", r"\left\{ 2.0, 1 \right\}");
    equal("-1, 3", "3,-1");
    equal("(0.5, 2)", r"\left(\frac12, 2\right)");
    equal(r"(-\infty, 3]", "(-\u{221e},3]");
    equal("100,200,300", "100, 200, 300");
    equal("x = 1, x = 2", "x=2, x=1");
    equal("(1, (2, 3))", "(1,(2,3.0))");
    different("(1, 2)", "(2, 1)");
    different("(1, 2)", "[1, 2]");
    different(r"\{1, 1, 2\}", r"\{1, 2, 2\}");
    different("1, 2", "1, 2, 3");
    different("(1, (2, 3))", "(1, 2, 3)");
}

#[test]
fn other_answers_are_compared_as_text_or_formulas() {
    equal(r"\text{Tuesday}", "tuesday");
    equal(r"\dfrac{x}{2}", r"\frac x2");
    equal("(A)", r"\text{A}");
    equal(r"\text{(A)}", "A");
    equal(r"\text{5.0 cm}", "{5}");
    equal(r"2\sqrt{3}", r"2 \sqrt 3");
    equal("y = 2x + 1", "2x+1");
    different(r"\sqrt{2}", r"\sqrt{3}");
    different("A", "B");
    equal("x+1", "1+x");
}

#[test]
fn the_four_verdicts_are_told_apart() {
    assert_eq!(
        MathVerifier.verify("thinking about 5", "5"),
        Verdict::NoAnswer
    );
    assert_eq!(MathVerifier.verify("", "5"), Verdict::NoAnswer);
    assert_eq!(MathVerifier.verify(r"\boxed{$$}", "5"), Verdict::NoAnswer);
    assert_eq!(MathVerifier.verify(r"\boxed{5", "5"), Verdict::NoAnswer);
    assert_eq!(
        MathVerifier.verify("The answer is 5.", "5"),
        Verdict::Correct
    );
    assert_eq!(MathVerifier.verify_answer("5", "5"), Verdict::Correct);
    let long = "x".repeat(5000);
    for gold in [
        "",
        "  ",
        "$ $",
        r"\frac{1",
        "}{",
        r"see \boxed{4",
        long.as_str(),
    ] {
        assert!(
            matches!(verdict("5", gold), Verdict::Undecided(_)),
            "{gold}"
        );
        assert!(
            matches!(MathVerifier.verify("", gold), Verdict::Undecided(_)),
            "{gold}"
        );
    }
}

#[test]
fn a_judgement_tells_what_was_compared_and_how() {
    let judgement = MathVerifier.explain_response(r"<think>\boxed{3}</think>\boxed{2+2}", "4");
    assert_eq!(judgement.verdict, Verdict::Correct);
    assert_eq!(judgement.how, Method::Algebra);
    assert_eq!(judgement.answer.as_deref(), Some("2+2"));
    let none = MathVerifier.explain_response(r"<think>\boxed{4}", "4");
    assert_eq!((none.verdict, none.how), (Verdict::NoAnswer, Method::None));
    for gold in [r"10^{10^{10}}", r"\sin(10^{30})"] {
        assert!(matches!(
            MathVerifier.verify_answer("7", gold),
            Verdict::Undecided(_)
        ));
        assert_eq!(MathVerifier.verify_answer(gold, gold), Verdict::Correct);
        assert_eq!(MathVerifier.verify_answer(gold, "7"), Verdict::Incorrect);
    }
}

#[test]
fn a_gold_answer_may_be_a_solution() {
    equal("42", r"Adding up, \boxed{42}.");
    assert_eq!(verdict("42", "6 * 7 = 42\n#### 42"), Verdict::Correct);
}

#[test]
fn long_and_deep_input_is_judged() {
    let n = 100_000;
    let inputs = [
        "{".repeat(n),
        r"\boxed{".repeat(n / 7),
        format!("{}5{}", r"\boxed{".repeat(n / 8), "}".repeat(n / 8)),
        "answer: \n".repeat(n / 9),
        "answer:. ".repeat(n / 9),
        r"\boxed      ".repeat(n / 12),
        format!(r"\boxed{{{}}}", "9".repeat(n)),
        format!(r"\boxed{{{}}}", "1,".repeat(n / 2)),
        format!(r"\boxed{{{}}}", "(1,".repeat(n / 3)),
        format!(r"\boxed{{{}{}}}", "(1,".repeat(800), ")".repeat(800)),
        format!(r"\boxed{{{}}}", "1,".repeat(2000)),
        "$".repeat(n),
        "\u{e9}".repeat(n),
    ];
    let gold = "1,".repeat(2000) + "2";
    for input in &inputs {
        for gold in ["5", gold.as_str()] {
            let verdict = MathVerifier.verify(input, gold);
            assert!(!matches!(verdict, Verdict::Undecided(_)), "{verdict:?}");
        }
    }
    assert_eq!(MathVerifier.verify(&inputs[2], "5"), Verdict::Correct);
    assert_eq!(MathVerifier.verify(&inputs[6], "5"), Verdict::Incorrect);
}

fn number_text() -> impl Strategy<Value = String> {
    let literal = prop_oneof![
        "[0-9]{1,12}",
        "[0-9]{0,4}\\.[0-9]{1,4}",
        "[1-9][0-9]{0,2}(,[0-9]{3}){1,3}",
        "[0-9]{1,3}/[1-9][0-9]{0,2}",
        "\\\\[dt]?frac\\{[0-9]{1,3}\\}\\{[1-9][0-9]?\\}",
        "[1-9] [1-3]/[4-9]",
        "[1-9]\\.[0-9]e-?[0-9]{1,2}",
    ];
    let suffix = prop_oneof![
        Just(""),
        Just("%"),
        Just("\\%"),
        Just(" apples"),
        Just("\\text{ m}"),
        Just("^\\circ")
    ];
    (
        prop_oneof![Just(""), Just("-"), Just("$"), Just("-\\$")],
        literal,
        suffix,
    )
        .prop_map(|(prefix, literal, suffix)| format!("{prefix}{literal}{suffix}"))
}

/// Numbers that are often equal, in different spellings.
fn near_number_text() -> impl Strategy<Value = String> {
    (0_u32..5, 0_usize..4).prop_map(|(n, form)| match form {
        0 => format!("{}%", n * 25),
        1 => format!("{n}/4"),
        2 => format!("{}", f64::from(n) * 0.25),
        _ => format!("{}", n * 25),
    })
}

proptest! {
    #[test]
    fn a_number_equals_itself(text in number_text()) {
        prop_assert!(super::super::parse_number(&text).is_some(), "{}", text);
        prop_assert_eq!(verdict(&text, &text), Verdict::Correct);
    }

    #[test]
    fn an_integer_in_a_box_is_right_exactly_if_it_is_the_gold_one(
        a in -30_i64..30,
        b in -30_i64..30,
        big in any::<i64>(),
        by in any::<i64>(),
    ) {
        let is_correct = |a: i64, b: i64| verdict(&a.to_string(), &b.to_string()).is_correct();
        prop_assert_eq!(is_correct(a, b), a == b);
        prop_assert_eq!(is_correct(big, by), big == by);
        prop_assert!(is_correct(big, big));
    }

    #[test]
    fn equality_of_numbers_is_symmetric(
        a in prop_oneof![number_text(), near_number_text()],
        b in prop_oneof![number_text(), near_number_text()],
    ) {
        prop_assert_eq!(verdict(&a, &b), verdict(&b, &a));
    }

    #[test]
    fn a_changed_number_is_incorrect(n in -1_000_000_i64..1_000_000, by in 1_i64..1000) {
        prop_assert_eq!(verdict(&n.to_string(), &(n + by).to_string()), Verdict::Incorrect);
    }

    #[test]
    fn any_text_is_judged_without_panic(visible in "\\PC*", gold in "\\PC*") {
        MathVerifier.verify(&visible, &gold);
        MathVerifier.verify_answer(&visible, &gold);
    }

    #[test]
    fn latex_like_text_is_judged_without_panic(
        answer in "(\\\\boxed|\\\\text|\\\\frac|\\\\left|[\\\\{}()\\[\\],=$%^ .0-9a-c]|\u{e9}|\u{b0}){0,24}",
        gold in "(\\\\boxed|\\\\text|\\\\frac|[\\\\{}()\\[\\],=$%^ .0-9a-c]|\u{2212}){0,24}",
    ) {
        verdict(&answer, &gold);
        MathVerifier.verify_answer(&answer, &gold);
    }
}
