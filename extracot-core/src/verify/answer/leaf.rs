//! Answers without parts: formulas with their units, words.

use super::{Answer, Kind, Reader};
use crate::verify::expr::{Expr, Formula, formulas_equal, parse};
use crate::verify::text::number_word;
use crate::verify::unit::{Suffix, known_unit};

/// More places where a unit may begin are not tried.
const MAX_UNIT_STARTS: usize = 12;

impl Reader<'_> {
    /// Whether a text is another number than an answer; a decimal may be the number rounded.
    pub(super) fn contradicts(&mut self, text: &str, value: &Answer) -> bool {
        let is_number = |formula: &Formula| !formula.expr().has_unknowns();
        let number = parse(text).and_then(|expr| Formula::new(expr, self.work));
        let (Some(number), Some(formula)) = (number.filter(is_number), value.formula()) else {
            return false;
        };
        if !is_number(formula) || formulas_equal(&number, formula, self.work).is_equal() {
            return false;
        }
        let step = value
            .n_decimals
            .and_then(|n| i32::try_from(n).ok())
            .map(|n| 10_f64.powi(-n));
        let is_rounded = match (number.real(), formula.real(), step) {
            (Some(a), Some(b), Some(step)) => (a - b).abs() < step,
            _ => false,
        };
        !is_rounded
    }

    pub(super) fn leaf(&mut self, simple: &str) -> Answer {
        if let Some(value) = number_word(simple) {
            return Answer {
                text: super::canonical_text(simple),
                ..self.read(&value.to_string())
            };
        }
        if simple == r"\varnothing" {
            return Answer::of(simple, Kind::Set(Vec::new()));
        }
        let (expr, unit) = match parse(simple) {
            Some(expr) => (Some(expr), None),
            None => without_currency_and_unit(simple).unzip(),
        };
        let formula = expr.and_then(|expr| Formula::new(expr, self.work));
        let kind = match formula {
            Some(formula) => Kind::Formula(Box::new(formula)),
            None => Kind::Text,
        };
        let mut answer = Answer::of(simple, kind);
        answer.based = based(&answer.text);
        answer.unit = unit.flatten();
        answer
    }
}

/// The formula and the unit, if it is one that is known.
fn without_currency_and_unit(simple: &str) -> Option<(Expr, Option<String>)> {
    let simple = simple.trim_start_matches(['\u{20ac}', '\u{a3}', '\u{a5}', ' ']);
    let bytes = simple.as_bytes();
    let is_start = |at: &usize| {
        let at = *at;
        let is_word = bytes[at] == b' ' && bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic);
        is_word || simple[at..].starts_with(r"\text") || simple[at..].starts_with(r" \text")
    };
    (1..simple.len())
        .filter(|at| simple.is_char_boundary(*at))
        .filter(is_start)
        .take(MAX_UNIT_STARTS)
        .find_map(|at| {
            let suffix = Suffix::read(&simple[at..])?;
            let value = simple[..at].trim();
            // `no solution` has no unit.
            let is_value = value.contains(|c: char| c.is_ascii_digit() || c == '\\')
                || value.chars().count() == 1;
            let is_unit = !suffix.is_percent && suffix.scale == 0 && !suffix.is_dozen;
            let expr = (is_value && is_unit).then(|| parse(value))??;
            Some((expr, known_unit(&simple[at..])))
        })
        .or_else(|| parse(simple).map(|expr| (expr, None)))
}

/// How many digits follow the point of a plain decimal.
pub(super) fn n_decimals(simple: &str) -> Option<usize> {
    let (whole, part) = simple.split_once('.')?;
    let is_plain = whole
        .chars()
        .all(|c| c.is_ascii_digit() || "+-, \u{20ac}\u{a3}\u{a5}".contains(c));
    let n_digits = part.bytes().take_while(u8::is_ascii_digit).count();
    let rest = part[n_digits..].trim_start();
    let goes_on = rest.starts_with(['e', 'E', '/', '*', '%', '^']) || rest.starts_with(r"\times");
    (is_plain && n_digits > 0 && !goes_on).then_some(n_digits)
}

/// Digits and base of `52_8`.
fn based(canonical: &str) -> Option<(String, String)> {
    let (digits, base) = canonical.split_once('_')?;
    let base = base.trim_matches(['{', '}']);
    let are_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_based = are_digits(digits)
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && !base.is_empty()
        && base.bytes().all(|b| b.is_ascii_digit());
    is_based.then(|| (digits.to_owned(), base.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_and_bases_are_counted() {
        assert_eq!(n_decimals("12.50"), Some(2));
        assert_eq!(n_decimals("-1,000.5 m"), Some(1));
        assert_eq!(n_decimals("5"), None);
        assert_eq!(n_decimals("1.5e3"), None);
        assert_eq!(n_decimals("1.5/2"), None);
        assert_eq!(based("52_{8}"), Some(("52".into(), "8".into())));
        assert_eq!(based("x_1"), None);
    }

    #[test]
    fn units_behind_a_formula_do_not_count() {
        for text in [
            r"12\pi\text{ cm}^2",
            r"12\pi inches per second",
            "\u{20ac} 12\\pi",
        ] {
            let expr = without_currency_and_unit(text).map(|(expr, _)| expr);
            assert_eq!(expr, parse(r"12\pi"), "{text}");
        }
        assert_eq!(without_currency_and_unit("no solution"), None);
        assert_eq!(without_currency_and_unit(r"12\pi more or less"), None);
    }
}
