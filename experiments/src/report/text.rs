//! Escaping and number formats, the same in the terminal and in the page.

use extracot_core::stats::Interval;

/// Stands for a number that does not exist.
pub(super) const MISSING: &str = "-";

/// `text` for HTML content and quoted attributes. Control characters other than newline and tab
/// become U+FFFD: HTML has no way to write them.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A number with fixed decimals; [`MISSING`] if it is not finite, and no negative zero.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return MISSING.into();
    }
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|byte| matches!(byte, b'0' | b'.')) => digits.into(),
        _ => text,
    }
}

/// A share in percent, without the sign.
pub(super) fn percent(share: f64, decimals: usize) -> String {
    number(100.0 * share, decimals)
}

/// `0.312 [0.290, 0.334]`.
pub(super) fn ratio_interval(interval: &Interval) -> String {
    let [estimate, low, high] =
        [interval.estimate, interval.low, interval.high].map(|bound| number(bound, 3));
    format!("{estimate} [{low}, {high}]")
}

/// `84.2 [80.3, 87.5]`, in percent.
pub(super) fn percent_interval(interval: &Interval) -> String {
    let [estimate, low, high] =
        [interval.estimate, interval.low, interval.high].map(|bound| percent(bound, 1));
    format!("{estimate} [{low}, {high}]")
}

/// A p-value: three decimals, four where three would hide on which side of 0.05 it is.
pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 {
        "<0.001".into()
    } else if (0.045..0.055).contains(&p) {
        number(p, 4)
    } else {
        number(p, 3)
    }
}

/// A p-value in a sentence: `p = 0.310`, `p < 0.001`.
pub(crate) fn p_phrase(p: f64) -> String {
    match p_value(p).strip_prefix('<') {
        Some(bound) => format!("p < {bound}"),
        None => format!("p = {}", p_value(p)),
    }
}

/// A signed number: `+1.5`, `-0.3`, `0.0`.
pub(super) fn signed(value: f64, decimals: usize) -> String {
    let text = number(value, decimals);
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if value > 0.0 && !is_zero && text != MISSING {
        format!("+{text}")
    } else {
        text
    }
}

/// A paragraph that says what is absent.
pub(super) fn note(text: &str) -> String {
    format!("<p class=\"note\">{}</p>\n", escape(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_are_escaped() {
        assert_eq!(
            escape("<script>\"a\" & 'b'</script>\n\u{0}\u{1b}"),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;\n\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn numbers_never_print_nan_or_negative_zero() {
        assert_eq!([number(f64::NAN, 2), number(f64::INFINITY, 2)], ["-", "-"]);
        assert_eq!(
            [number(-0.001, 2), number(-0.02, 2), number(0.0, 0)],
            ["0.00", "-0.02", "0"]
        );
        assert_eq!(
            [signed(0.5, 1), signed(-0.5, 1), signed(0.01, 1)],
            ["+0.5", "-0.5", "0.0"]
        );
    }

    #[test]
    fn a_p_value_near_the_threshold_shows_its_side() {
        assert_eq!(
            [p_value(0.0004), p_value(0.04996), p_value(0.31)],
            ["<0.001", "0.0500", "0.310"]
        );
        assert_eq!(
            [p_phrase(0.0004), p_phrase(1.0)],
            ["p < 0.001", "p = 1.000"]
        );
    }
}
