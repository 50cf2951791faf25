//! Sentences, and the last formula or number in one.

/// Longer sentences are not looked through.
const MAX_BYTES: usize = 200_000;
/// Words that join answers, or follow numbers.
const ANSWER_WORDS: [&str; 8] = ["and", "or", "percent", "pct", "in", "sqrt", "pi", "if"];

/// Whether a text is a sentence around an answer, not an answer: words outside of formulas beside a
/// formula, or at least three words.
pub(in crate::verify) fn is_prose(text: &str) -> bool {
    let formulas = formulas(text);
    let mut n_words = 0;
    let mut from = 0;
    for (start, end) in formulas.iter().copied().chain([(text.len(), text.len())]) {
        n_words += text.get(from..start).map_or(0, plain_words);
        from = end;
    }
    n_words >= 3 || (n_words >= 1 && !formulas.is_empty())
}

/// Runs of two letters or more that are no commands and not within `\text{..}`.
fn plain_words(text: &str) -> usize {
    let words = text.split(|c: char| c.is_whitespace() || ".,;:!?*()[]{}$".contains(c));
    words
        .filter(|word| {
            word.chars().filter(|c| c.is_alphabetic()).count() >= 2
                && !word.contains(['\\', '^', '_', '=', '/', '+'])
                && !ANSWER_WORDS.contains(word)
                && !word.starts_with(|c: char| c.is_ascii_digit())
        })
        .count()
}

/// The last formula, or the last number of the last line if it comes later.
pub(in crate::verify) fn last_value(text: &str) -> Option<&str> {
    let formula = formulas(text).pop();
    let number = last_number(text);
    match (formula, number) {
        (Some((_, formula_end)), Some((start, end))) if start >= formula_end => {
            Some(&text[start..end])
        }
        (Some((start, end)), _) => Some(&text[start..end]),
        (None, Some((start, end))) => Some(&text[start..end]),
        (None, None) => None,
    }
}

/// Byte ranges of the delimited formulas that hold something, delimiters included. `$..$` and `\(..\)`
/// end with their line.
fn formulas(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    if text.len() > MAX_BYTES {
        return found;
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    // Closing marks that do not occur any more are not looked for again.
    let mut is_missing = [false; 4];
    // The end of the line that was looked at last; it is looked for once per line.
    let mut line_end = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let (mark, open, close, is_inline) = match bytes[at] {
            b'$' if rest.starts_with("$$") => (0, 2, "$$", false),
            b'$' => (1, 1, "$", true),
            b'\\' if rest.starts_with(r"\[") => (2, 2, r"\]", false),
            b'\\' if rest.starts_with(r"\(") => (3, 2, r"\)", true),
            b'\\' => {
                at += 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                continue;
            }
            _ => {
                at += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            }
        };
        let inner = &rest[open..];
        let from = at + open;
        if is_inline && from > line_end {
            line_end = from + inner.find('\n').unwrap_or(inner.len());
            is_missing[1] = false;
            is_missing[3] = false;
        }
        let length = match is_inline {
            _ if is_missing[mark] => None,
            true => text[from..line_end].find(close),
            false => inner.find(close),
        };
        let Some(length) = length else {
            is_missing[mark] = true;
            at += open;
            continue;
        };
        let end = at + open + length + close.len();
        if !inner[..length].trim().is_empty() {
            found.push((at, end));
        }
        at = end;
    }
    found
}

/// The last number of the last line with its sign and percent sign. Digits within a word are none, and
/// if the last one is part of a formula that nothing marks, as the 2 of `n/(n+2)`, there is none.
fn last_number(text: &str) -> Option<(usize, usize)> {
    let trimmed = text.trim_end();
    let line_start = trimmed.rfind('\n').map_or(0, |at| at + 1);
    let bytes = trimmed.as_bytes();
    let mut end = bytes.len();
    loop {
        end = (line_start..end)
            .rev()
            .find(|at| bytes[*at].is_ascii_digit())?
            + 1;
        let mut start = end;
        while start > line_start && is_number_byte(bytes, start - 1) {
            start -= 1;
        }
        while start < end
            && matches!(bytes[start], b',' | b'.' | b'/')
            && !(bytes[start] == b'.' && bytes[start + 1].is_ascii_digit())
        {
            start += 1;
        }
        let line = &trimmed[line_start..start];
        let sign = line
            .chars()
            .next_back()
            .filter(|c| "-\u{2212}".contains(*c));
        let unsigned = &line[..line.len() - sign.map_or(0, char::len_utf8)];
        if !unsigned.ends_with(|c: char| c.is_alphabetic() || c == '_') {
            let rest = &trimmed[end..];
            let stands_alone = stands_alone(unsigned, rest);
            let unit = usize::from(rest.starts_with('%'));
            return stands_alone.then_some((line_start + unsigned.len(), end + unit));
        }
        end = start;
    }
}

/// Whether neither side of a number is part of a formula.
fn stands_alone(before: &str, after: &str) -> bool {
    // `<<2*3=6>>6` is how GSM8K notes a calculation.
    let is_open = before.is_empty()
        || before.ends_with(">>")
        || before
            .ends_with(|c: char| c.is_whitespace() || "$\u{20ac}\u{a3}\u{a5}\"'*:=~".contains(c));
    let is_closed = after.is_empty()
        || after.starts_with(|c: char| {
            c.is_whitespace()
                || c.is_alphabetic()
                || ".,;:!?%$*\"'\u{20ac}\u{a3}\u{a5}\u{b0}".contains(c)
        });
    is_open && is_closed
}

fn is_number_byte(bytes: &[u8], at: usize) -> bool {
    bytes[at].is_ascii_digit()
        || (matches!(bytes[at], b',' | b'.' | b'/')
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_told_from_answers() {
        for text in [
            "Therefore $x > 5$ is the solution.",
            "the number is not 10 but 9",
            r"Answer \( 9 \)",
        ] {
            assert!(is_prose(text), "{text}");
        }
        for text in [
            "x + 1",
            r"12\text{ and }13",
            "5 apples",
            r"$1$ and $2$",
            "no solution",
            r"\frac12",
            r"$28$ %",
        ] {
            assert!(!is_prose(text), "{text}");
        }
    }

    #[test]
    fn the_last_value_of_a_sentence_is_found() {
        for (text, value) in [
            ("so $a=1$ and $b$ is it", Some("$b$")),
            ("with $d$ there are 12 of them. I hope", Some("12")),
            ("it's 1,000.99m", Some("1,000.99")),
            ("it is -5", Some("-5")),
            ("it is 3-5", None),
            ("it is n/(n+2) for even n", None),
            ("6 * 7 = <<6*7=42>>42 eggs", Some("42")),
            ("12 of H2O", Some("12")),
            ("about .4 or 40%", Some("40%")),
            ("AZYUK2A", None),
            ("Answer \\( \n 9 \n \\)", None),
            ("Answer \\[ \n 9 \n \\]", Some("\\[ \n 9 \n \\]")),
            ("costs \\$5", Some("5")),
            ("", None),
        ] {
            assert_eq!(last_value(text), value, "{text}");
        }
    }
}
