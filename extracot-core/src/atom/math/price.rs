//! Tells `$x$` from two prices.

/// Whether `$body$` in front of `after` is a formula and not two prices.
///
/// # Source
///
/// The rule for the white space inside and the digit behind is Pandoc's (`tex_math_dollars`); the
/// treatment of `$ 3 + 4 $`, which models write, and of words is our own.
pub(super) fn is_inline_formula(body: &str, after: &str) -> bool {
    let trimmed = body.trim();
    if trimmed.is_empty() || after.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    // A GSM8K note comes behind a currency sign: `$23 + 1 = $<<23+1=24>>24`.
    if body.starts_with("<<") || after.starts_with("<<") {
        return false;
    }
    let n_words = n_prose_words(trimmed);
    let is_even = body.starts_with(char::is_whitespace) == body.ends_with(char::is_whitespace);
    // `$5 per hour and 6$`, `$10 / 2 = $`: a number with words or with a loose end is a price.
    let is_loose = !is_even || trimmed.ends_with(['=', '+', '-', '*', '/']);
    if trimmed.starts_with(|c: char| c.is_ascii_digit()) && (n_words > 0 || is_loose) {
        return false;
    }
    if trimmed.len() == body.len() {
        // A stray dollar pairs with the next formula's; what lies between is then a sentence.
        return n_words < 4;
    }
    let has_operator = trimmed.contains(|c| "+-*/=<>^_\\".contains(c));
    let is_symbol = !trimmed.contains(char::is_whitespace);
    n_words == 0
        && (has_operator || (is_symbol && is_even))
        && !after.starts_with(|c: char| c.is_alphanumeric() || c == '$')
}

/// Words of three letters or more outside braces and commands.
fn n_prose_words(body: &str) -> usize {
    let (mut n_words, mut depth, mut n_letters, mut in_command) = (0, 0_usize, 0, false);
    for c in body.chars().chain([' ']) {
        if c.is_alphabetic() {
            n_letters += 1;
            continue;
        }
        if n_letters >= 3 && depth == 0 && !in_command {
            n_words += 1;
        }
        n_letters = 0;
        in_command = c == '\\';
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    n_words
}
