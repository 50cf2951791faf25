use proptest::prelude::*;

use super::*;

fn ratio(numerator: i64, denominator: i64) -> BigRational {
    BigRational::new(BigInt::from(numerator), BigInt::from(denominator))
}

#[test]
fn written_forms_are_read_exactly() {
    let cases = [
        ("42", 42, 1),
        ("-7", -7, 1),
        ("\u{2212} 7", -7, 1),
        ("+3", 3, 1),
        (".5", 1, 2),
        ("0.125", 1, 8),
        ("12.", 12, 1),
        ("$3/4$", 3, 4),
        ("3 / -4", -3, 4),
        ("1.5/2", 3, 4),
        (r"\frac{3}{4}", 3, 4),
        (r"-\dfrac{ 3 }{4}", -3, 4),
        (r"\tfrac12", 1, 2),
        (r"\frac{-1}2", -1, 2),
        ("2 1/2", 5, 2),
        (r"-2\frac{1}{2}", -5, 2),
        ("3\u{bd}", 7, 2),
        ("1,234,567.5", 2_469_135, 2),
        ("1{,}000", 1000, 1),
        (r"10,\!000", 10_000, 1),
        ("1 000", 1000, 1),
        ("$18", 18, 1),
        (r"\$1,250.50", 2501, 2),
        ("-$5", -5, 1),
        ("$-5", -5, 1),
        ("5 apples", 5, 1),
        (r"12\text{ cm}", 12, 1),
        (r"12\,\mathrm{m}^2", 12, 1),
        (r"90^\circ", 90, 1),
        (r"90^{\circ}", 90, 1),
        ("45\u{b0}", 45, 1),
        ("60 km/h", 60, 1),
        ("$5/hour", 5, 1),
        ("3/4 cup", 3, 4),
        ("1e3", 1000, 1),
        ("2.5E-1", 1, 4),
        (r"1.5 \times 10^{3}", 1500, 1),
        (r"2 \cdot 10^{-2}", 1, 50),
        ("3*10^2", 300, 1),
        ("10^{4}", 10_000, 1),
        ("5 million", 5_000_000, 1),
        ("**6**", 6, 1),
    ];
    for (text, numerator, denominator) in cases {
        let number = parse_number(text).unwrap_or_else(|| panic!("{text} is a number"));
        assert_eq!(*number.value(), ratio(numerator, denominator), "{text}");
        assert!(!number.is_percent(), "{text}");
    }
}

#[test]
fn percentages_keep_their_sign() {
    for text in ["25%", r"25\%", "25 percent", r"$25\%$", "25 % of them"] {
        let number = parse_number(text).unwrap();
        assert_eq!(
            (number.value(), number.is_percent()),
            (&ratio(1, 4), true),
            "{text}"
        );
    }
    let number = |text| parse_number(text).unwrap();
    assert!(number("25%").matches(&number("0.25")));
    assert!(number("25").matches(&number("25%")));
    assert!(!number("25%").matches(&number("2500")));
    assert!(!number("25").matches(&number("0.25")));
    assert!(!number("25%").matches(&number("0.25%")));
}

#[test]
fn other_texts_are_no_numbers() {
    for text in [
        "",
        "-",
        "x",
        "2x",
        "2 x",
        "2xy",
        "1,2",
        "1,23,456",
        "0,123",
        "1/0",
        r"\frac{1}{0}",
        "--5",
        "5!",
        "2^3",
        "1/2/3",
        "5 or 6",
        "5 minutes 30 seconds",
        "1e5000",
        r"\sqrt{2}",
        "3 + 4",
        r"2\frac{3}{2}",
        "1.2.3",
        r"\frac{1}",
        r"2\pi",
        "12_5",
        "5e",
        "-$-5",
        "3 \\times 4",
    ] {
        assert_eq!(parse_number(text), None, "{text}");
    }
}

#[test]
fn work_is_bounded() {
    assert!(parse_number(&"9".repeat(1000)).is_some());
    assert_eq!(parse_number(&"9".repeat(1001)), None);
    assert_eq!(parse_number("1e1001"), None);
    assert_eq!(parse_number("1e99999999999999999999"), None);
    assert_eq!(parse_number(&format!("1/1{}", "0".repeat(100_000))), None);
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC*") {
        parse_number(&text);
    }

    #[test]
    fn number_like_text_is_read_without_panic(
        text in "([-+$%., /0-9ex^{}]|\\\\frac|\\\\text\\{|\\\\times|10\\^|\u{b0}|\u{bd}){0,12}"
    ) {
        parse_number(&text);
    }

    #[test]
    fn a_decimal_is_its_digits_over_a_power_of_ten(whole in 0_i64..1_000_000, part in 0_i64..1000) {
        let number = parse_number(&format!("{whole}.{part:03}")).unwrap();
        prop_assert_eq!(number.value().clone(), ratio(whole * 1000 + part, 1000));
    }

    #[test]
    fn fractions_agree_in_all_notations(a in -999_i64..999, b in 1_i64..999) {
        let expected = ratio(a, b);
        for text in [format!("{a}/{b}"), format!("\\frac{{{a}}}{{{b}}}"), format!("${a} / {b}$")] {
            prop_assert_eq!(parse_number(&text).unwrap().value().clone(), expected.clone());
        }
    }
}
