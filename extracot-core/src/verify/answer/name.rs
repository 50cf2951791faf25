//! What stands left of the value in `x = 5`, and which side of a chain is the value.

use std::borrow::Cow;

use crate::verify::canonical::canonical_text;
use crate::verify::expr::parse;
use crate::verify::scan::{Op, marks};

/// Longer left sides are no names.
const MAX_NAME_BYTES: usize = 40;

/// The canonical name and the text of the value; `None` if the relation is no assignment.
///
/// Of a chain the value is the last side before an approximation: that of `x = 1/3 \approx 0.33` is
/// `1/3`. The name is missing where the first side is a number.
pub(super) fn assignment<'a>(sides: &[&'a str], ops: &[Op]) -> Option<(Option<String>, &'a str)> {
    let first = *sides.first()?;
    let name = name(first);
    if let [Op::In] = ops {
        return name.map(|name| (Some(name), sides[1]));
    }
    if !ops.iter().all(|op| matches!(op, Op::Equal | Op::Approx)) {
        return None;
    }
    let n_exact = ops.iter().take_while(|op| **op == Op::Equal).count();
    if sides.iter().any(|side| side.is_empty()) {
        return None;
    }
    match name {
        // `x \approx 3.1` has nothing before its approximation but the name.
        Some(name) => Some((Some(name), sides[n_exact.max(1)])),
        None => {
            let is_number = |side: &str| parse(side).is_some_and(|expr| !expr.has_unknowns());
            let last = sides[n_exact];
            if !is_number(first) {
                return None;
            }
            match self::name(last) {
                // `5 = x`
                Some(name) if sides.len() == 2 && n_exact == 1 => Some((Some(name), first)),
                _ => is_number(last).then_some((None, last)),
            }
        }
    }
}

/// The canonical form of a left side that only names the value: `x`, `a_1`, `f(x)`, `AB`, `|AB|`,
/// `\frac{NO}{BO}`, `(p, q)`, `\angle A`, words.
pub(super) fn name(left: &str) -> Option<String> {
    let left = left.trim();
    let is_name = !left.is_empty()
        && left.len() <= MAX_NAME_BYTES
        && left.starts_with(|c: char| c.is_alphabetic() || r"\|(".contains(c))
        && left
            .chars()
            .all(|c| c.is_alphanumeric() || r"\_{}()|,'/ ".contains(c) || c == '\u{b0}')
        && !has_free_digit(left)
        && marks(left).is_some()
        && !matches!(left, "e" | "i" | r"\pi")
        && !left.contains(r"\sqrt");
    is_name.then(|| head(&canonical_text(&segment(left))))
}

/// The points of a segment in one order: `BA` is `AB`.
fn segment(left: &str) -> Cow<'_, str> {
    match left.as_bytes() {
        [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() && a > b => {
            Cow::Owned([char::from(*b), char::from(*a)].iter().collect())
        }
        _ => Cow::Borrowed(left),
    }
}

/// Whether a digit stands where it is a factor: not in a subscript, and not an argument.
fn has_free_digit(left: &str) -> bool {
    let bytes = left.as_bytes();
    (0..bytes.len()).any(|at| {
        let before = at.checked_sub(1).map_or(b' ', |before| bytes[before]);
        let is_bound = match before {
            b'_' | b'(' | b',' => true,
            b'{' => left[..at - 1].ends_with('_'),
            b' ' => at > 0 && left[..at - 1].ends_with(','),
            other => other.is_ascii_alphanumeric(),
        };
        bytes[at].is_ascii_digit() && !is_bound
    })
}

/// The name of a function without its arguments, since their names do not matter: `f(x)` is `f`.
/// Numbers and capitals, which name an event or a point, do: `f(2)` and `P(A)` stay.
fn head(canonical: &str) -> String {
    match canonical.split_once('(') {
        Some((function, arguments))
            if !function.is_empty()
                && !arguments.contains(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase()) =>
        {
            function.to_owned()
        }
        _ => canonical.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_expressions() {
        for left in [
            "x",
            "x_1",
            "a_{37}",
            "f(x)",
            "AB",
            "|AB|",
            r"\frac{NO}{BO}",
            "(p,q,r)",
            r"\theta",
            r"\angle ABC",
            "Area",
            "f(2)",
            "y'",
            r"\text{Percent Loss}",
        ] {
            assert!(name(left).is_some(), "{left}");
        }
        for left in [
            "2x",
            "a + 3z",
            "x^2",
            "5",
            "",
            r"\frac{1}{x}",
            r"\sqrt{x}",
            "x - 1",
        ] {
            assert_eq!(name(left), None, "{left}");
        }
        assert_eq!(name("W(n)"), name("W(x)"));
        assert_ne!(name("f(1)"), name("f(2)"));
        assert_ne!(name("P(A)"), name("P(B)"));
        assert_eq!(name("BA"), name("AB"));
    }

    #[test]
    fn the_value_of_a_chain_is_its_last_exact_side() {
        use Op::{Approx, Equal};
        let value = |sides: &[&'static str], ops: &[Op]| assignment(sides, ops).map(|(_, v)| v);
        assert_eq!(value(&["x", "5+6", "11"], &[Equal, Equal]), Some("11"));
        assert_eq!(value(&["x", "1/3", "0.33"], &[Equal, Approx]), Some("1/3"));
        assert_eq!(value(&["x", "3.1"], &[Approx]), Some("3.1"));
        assert_eq!(value(&["1/3", "0.33"], &[Approx]), Some("1/3"));
        assert_eq!(value(&["2+3", "5"], &[Equal]), Some("5"));
        assert_eq!(value(&["5", "x"], &[Equal]), Some("5"));
        assert_eq!(value(&["4", "x+y"], &[Equal]), None);
        assert_eq!(value(&["2x", "5"], &[Equal]), None);
        assert_eq!(value(&["x", "[0,1]"], &[Op::In]), Some("[0,1]"));
    }
}
