//! Numbers as they are written in prose.

/// Bytes of a number at the start of `text`: `12`, `1,200.5`, `.5`, `$5`, `2x`, a vulgar fraction.
pub(super) fn number_len(text: &str) -> Option<usize> {
    let unsigned = text.strip_prefix("\\$").unwrap_or(text);
    let digits = unsigned
        .strip_prefix(['$', '\u{20ac}', '\u{a3}'])
        .unwrap_or(unsigned);
    let start = text.len() - digits.len();
    let bytes = digits.as_bytes();
    let n_digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut len = n_digits(0);
    while len > 0 && bytes.get(len) == Some(&b',') && n_digits(len + 1) == 3 {
        len += 4;
    }
    if bytes.get(len) == Some(&b'.') && n_digits(len + 1) > 0 {
        len += 1 + n_digits(len + 1);
    }
    if len == 0 {
        let fraction = digits.chars().next().filter(|c| c.is_numeric())?;
        return Some(start + fraction.len_utf8());
    }
    let suffix = digits[len..].find(|c: char| !c.is_ascii_alphanumeric() && !c.is_numeric());
    Some(start + suffix.map_or(text.len() - start, |suffix| len + suffix))
}
