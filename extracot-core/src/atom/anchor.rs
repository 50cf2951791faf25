//! Formulas and answers in one spelling, so that they can be found again in another text.
//!
//! This is text matching for labels and filters, not equality of answers: what counts as a right
//! answer is decided by `verify` alone.

use super::math::formula_spans;

/// The equations of all formulas of `text`, in order, in one spelling.
///
/// A chain `a = b = c` gives `a=b` and `b=c`; `<`, `>` and their like count as `=` does. Dollars,
/// spaces, GSM8K notes, units and thousands commas are dropped; signs of multiplication are one.
///
/// # Examples
///
/// ```
/// # use extracot_core::atom::anchor::equations;
/// assert_eq!(equations("so $6 \\times 7 = 42$ clips"), ["6*7=42"]);
/// assert_eq!(equations("48/2 = <<48/2=24>>24 = x"), ["48/2=24", "24=x"]);
/// ```
pub fn equations(text: &str) -> Vec<String> {
    let mut equations = Vec::new();
    for span in formula_spans(text) {
        let spelled = spell(&text[span], false);
        for line in spelled.split(';') {
            push_equations(line, &mut equations);
        }
    }
    equations
}

fn push_equations(line: &str, equations: &mut Vec<String>) {
    let is_relation = |c: char| "=<>\u{2248}".contains(c);
    let mut rest = line;
    let mut left: Option<(&str, &str)> = None;
    loop {
        let side_len = rest.find(is_relation).unwrap_or(rest.len());
        let (side, tail) = rest.split_at(side_len);
        let side = balanced(side.trim_matches(|c| ".,:!?".contains(c)));
        if let Some((left_side, relation)) = left
            && !left_side.is_empty()
            && !side.is_empty()
        {
            equations.push(format!("{left_side}{relation}{side}"));
        }
        if tail.is_empty() {
            return;
        }
        let relation_len = tail.find(|c| !is_relation(c)).unwrap_or(tail.len());
        left = Some((side, &tail[..relation_len]));
        rest = &tail[relation_len..];
    }
}

/// Without the brackets that enclose the whole equation.
fn balanced(side: &str) -> &str {
    let n_open = side.matches('(').count();
    let n_close = side.matches(')').count();
    let mut side = side;
    for _ in n_close..n_open {
        side = side.strip_prefix('(').unwrap_or(side);
    }
    for _ in n_open..n_close {
        side = side.strip_suffix(')').unwrap_or(side);
    }
    side
}

/// Whether `answer` stands in `text` as a whole: `7` is in `$x = 7$` but not in `17` or `7.5`.
///
/// An empty answer stands nowhere.
pub fn holds_answer(text: &str, answer: &str) -> bool {
    let needle = spell(answer, true);
    if needle.is_empty() {
        return false;
    }
    let hay = spell(text, true);
    hay.match_indices(&needle).any(|(at, _)| {
        let before = hay[..at].chars().next_back();
        let after = &hay[at + needle.len()..];
        let opens = !needle.starts_with(char::is_alphanumeric)
            || !before.is_some_and(|c| c.is_alphanumeric() || c == '.');
        let closes = !needle.ends_with(char::is_alphanumeric)
            || !(goes_on(&needle, after) || is_fraction_part(after));
        opens && closes
    })
}

/// Whether what follows changes what it follows: `2x` is not 2, but `25ml` is 25.
fn goes_on(needle: &str, after: &str) -> bool {
    let n_letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
    let is_unit = needle.ends_with(|c: char| c.is_ascii_digit()) && n_letters >= 2;
    after.starts_with(char::is_alphanumeric) && !is_unit
}

/// Whether a number goes on with decimals that change it.
fn is_fraction_part(after: &str) -> bool {
    let digits = after.strip_prefix('.').unwrap_or_default();
    let n_digits = digits.bytes().take_while(u8::is_ascii_digit).count();
    digits[..n_digits].bytes().any(|b| b != b'0')
}

/// One spelling of a formula or an answer.
///
/// Without `keeps_words`, words of three letters or more go, except functions: they are units and
/// labels. With it, a space stays where it separates two letters or digits, or a full stop from what
/// comes next.
fn spell(text: &str, keeps_words: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut spaced = false;
    while let Some(c) = rest.chars().next() {
        let mut len = c.len_utf8();
        let before = out.chars().next_back();
        if c == '\\' {
            len = spell_command(rest, keeps_words, &mut out);
        } else if c.is_alphabetic() {
            len = rest
                .find(|c: char| !c.is_alphabetic())
                .unwrap_or(rest.len());
            let word = &rest[..len];
            let after = rest[len..].trim_start();
            let multiplies = matches!(word, "x" | "X")
                && before.is_some_and(|c| c.is_ascii_digit())
                && after.starts_with(|c: char| c.is_ascii_digit());
            if multiplies {
                out.push('*');
            } else if keeps_words || len < 3 || word.starts_with("sqrt") || is_function(word) {
                if keeps_words && spaced && before.is_some_and(char::is_alphanumeric) {
                    out.push(' ');
                }
                out.push_str(word);
            }
        } else if let Some(note) = rest.strip_prefix("<<")
            && let Some(note_len) = note.find(">>").filter(|at| !note[..*at].contains('\n'))
        {
            len = 2 + note_len + 2;
        } else {
            match c {
                _ if c.is_whitespace() || "$&{}\u{20ac}\u{a3}".contains(c) => {}
                '*' | '\u{d7}' | '\u{b7}' | '\u{22c5}' => out.push('*'),
                '\u{f7}' => out.push('/'),
                '\u{2212}' | '\u{2013}' => out.push('-'),
                '\u{2264}' => out.push_str("<="),
                '\u{2265}' => out.push_str(">="),
                ',' if is_thousands(before, &rest[1..]) => {}
                _ => {
                    let ends = |c: char| c.is_alphanumeric() || c == '.';
                    let parts = before.is_some_and(ends) && c.is_alphanumeric();
                    if keeps_words && spaced && parts {
                        out.push(' ');
                    }
                    out.push(c);
                }
            }
        }
        // A delimiter that is left out joins nothing: `$=61$. $20` is no 61.20.
        spaced = c.is_whitespace() || (spaced && "$&{}".contains(c));
        rest = &rest[len..];
    }
    out
}

fn is_thousands(before: Option<char>, after: &str) -> bool {
    let n_digits = after.bytes().take_while(u8::is_ascii_digit).count();
    before.is_some_and(|c| c.is_ascii_digit()) && n_digits == 3
}

fn is_function(word: &str) -> bool {
    [
        "sin", "cos", "tan", "log", "exp", "min", "max", "gcd", "lcm", "mod",
    ]
    .contains(&word)
}

/// Writes what the command at the start of `text` stands for; returns its bytes.
fn spell_command(text: &str, keeps_words: bool, out: &mut String) -> usize {
    let n_letters = text[1..]
        .bytes()
        .take_while(u8::is_ascii_alphabetic)
        .count();
    let len = 1 + n_letters;
    let name = &text[1..len];
    match name {
        "times" | "cdot" => out.push('*'),
        "div" => out.push('/'),
        "le" | "leq" => out.push_str("<="),
        "ge" | "geq" => out.push_str(">="),
        "approx" => out.push('\u{2248}'),
        // Text in a formula is a unit or a remark, however short.
        "text" | "textbf" | "mathrm" if !keeps_words && text[len..].starts_with('{') => {
            return text[len..].find('}').map_or(len, |close| len + close + 1);
        }
        "left" | "right" | "displaystyle" | "quad" | "qquad" | "begin" | "end" | "boxed"
        | "text" | "textbf" | "mathrm" | "mathbf" => {}
        "frac" | "dfrac" | "tfrac" => {
            if let Some((above, below, frac_len)) = simple_fraction(&text[len..]) {
                out.push_str(above);
                out.push('/');
                out.push_str(below);
                return len + frac_len;
            }
            out.push_str("\\frac");
        }
        "" => {
            let escaped = text[1..].chars().next();
            match escaped {
                Some('\\') => out.push(';'),
                Some('%') => out.push('%'),
                _ => {}
            }
            return 1 + escaped.map_or(0, char::len_utf8);
        }
        _ => out.push_str(&text[..len]),
    }
    len
}

/// `{a}{b}` where both are digits or letters only.
fn simple_fraction(text: &str) -> Option<(&str, &str, usize)> {
    let group = |text: &'_ str| -> Option<usize> {
        let inside = text.strip_prefix('{')?;
        let len = inside.bytes().take_while(u8::is_ascii_alphanumeric).count();
        (len > 0 && inside.as_bytes().get(len) == Some(&b'}')).then_some(len)
    };
    let above = group(text)?;
    let tail = &text[above + 2..];
    let below = group(tail)?;
    Some((&text[1..=above], &tail[1..=below], above + below + 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atom::segment::tests::soup;
    use proptest::prelude::*;

    #[test]
    fn spellings_of_one_equation_agree() {
        for text in [
            "6*7=42",
            "6 x 7 = 42",
            r"$6 \times 7 = 42$",
            r"\(6 \cdot 7 = 42\).",
            "6 \u{d7} 7 = 42",
            "6 * 7 = <<6*7=42>>42",
            "(6*7 = 42)",
            "6 apples * 7 = 42 apples",
            r"$6\cdot7=42\text{ m}$",
        ] {
            assert_eq!(equations(text)[0], "6*7=42", "{text}");
        }
        assert_eq!(equations("= 25"), [""; 0]);
        assert_eq!(equations(r"$\frac{1}{2} = 0.5$"), ["1/2=0.5"]);
        assert_eq!(equations("1,000 + 1 = 1,001"), ["1000+1=1001"]);
    }

    #[test]
    fn an_answer_is_found_as_a_whole_only() {
        for (text, answer, is_there) in [
            ("so $x = 7$.", "7", true),
            ("it is 17", "7", false),
            ("it is 7.5", "7", false),
            ("it is 7.00", "7", true),
            ("it is 7.", "7", true),
            ("$1,200", "1200", true),
            (r"\boxed{\frac{1}{2}}", "1/2", true),
            (r"\(3\sqrt{13}\)", r"$3 \sqrt{13}$", true),
            ("it is Tuesday then", "Tuesday", true),
            ("so 25ml", "25", true),
            ("so 2x", "2", false),
            ("in abc", "ab", false),
            ("in abcd", "ab", false),
            ("x 2", "x2", false),
            // Two sentences are no decimal number.
            ("so $21+40=61$. 61.", "61", true),
            ("so $3$. $5$ more", "3", true),
            ("so $3$. $5$ more", "5", true),
            ("so 3. 5 more", "3.5", false),
            ("anything", "", false),
        ] {
            assert_eq!(holds_answer(text, answer), is_there, "{text} {answer}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_spelled(text in prop_oneof![any::<String>(), soup()]) {
            equations(&text);
            holds_answer(&text, &text);
        }
    }
}
