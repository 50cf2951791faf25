//! Simplified text to the tokens of a formula.

use super::function::Function;

/// A token of a formula.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Digits with at most one point.
    Number(String),
    /// One letter.
    Letter(char),
    /// Capitals that stand for one thing, such as the segment `AB`.
    Points(String),
    /// A command without its backslash, or a plain word that names a function or a constant.
    Name(String),
    /// Any other character; `\{` and `\}` are braces.
    Symbol(char),
    /// `\\`.
    RowBreak,
}

/// Plain words that are read as a whole.
const WORDS: [&str; 6] = ["sqrt", "pi", "infinity", "inf", "binom", "mod"];

/// A run of this many letters is a word, unless all are capitals.
const MIN_WORD_LETTERS: usize = 4;

/// Reads all of a simplified text; `None` if it holds words or characters of no formula.
pub(super) fn tokens(simple: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = simple;
    while let Some(c) = rest.chars().next() {
        let (token, width) = match c {
            c if c.is_whitespace() => (None, c.len_utf8()),
            '0'..='9' => number(rest),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest),
            '\\' => command(rest, &mut tokens)?,
            '*' if rest.starts_with("**") => (Some(Token::Symbol('^')), 2),
            c if c.is_ascii_alphabetic() => {
                let width = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
                word(&rest[..width], &mut tokens)?;
                (None, width)
            }
            c if c.is_alphabetic() => (Some(Token::Letter(c)), c.len_utf8()),
            c if "+-*/^_()[]{}|!=<>,:'&%\u{b0}".contains(c) => {
                (Some(Token::Symbol(c)), c.len_utf8())
            }
            _ => return None,
        };
        tokens.extend(token);
        rest = &rest[width..];
    }
    Some(tokens)
}

fn number(rest: &str) -> (Option<Token>, usize) {
    let bytes = rest.as_bytes();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut end = digits(0);
    let mut text = rest[..end].to_owned();
    if (1..=3).contains(&end) && !text.starts_with('0') {
        // `1,000\pi`: a group of exactly three digits.
        while bytes.get(end) == Some(&b',') && digits(end + 1) == 3 {
            text.push_str(&rest[end + 1..end + 4]);
            end += 4;
        }
    }
    if bytes.get(end) == Some(&b'.') {
        let n_decimals = digits(end + 1);
        let repeats = rest[end + 1 + n_decimals..]
            .trim_start()
            .starts_with(r"\overline");
        if n_decimals > 0 || repeats {
            text.push_str(&rest[end..=end + n_decimals]);
            end += 1 + n_decimals;
        }
    }
    (Some(Token::Number(text)), end)
}

/// A command; `\text{..}` is taken for a formula if it is a letter, a function or digits.
fn command(rest: &str, tokens: &mut Vec<Token>) -> Option<(Option<Token>, usize)> {
    let name_len = rest[1..]
        .bytes()
        .take_while(u8::is_ascii_alphabetic)
        .count();
    if name_len == 0 {
        return match rest[1..].chars().next()? {
            '\\' => Some((Some(Token::RowBreak), 2)),
            '{' => Some((Some(Token::Symbol('{')), 2)),
            '}' => Some((Some(Token::Symbol('}')), 2)),
            ' ' => Some((None, 2)),
            '|' => Some((Some(Token::Symbol('|')), 2)),
            _ => None,
        };
    }
    let name = &rest[1..=name_len];
    if matches!(name, "begin" | "end") {
        let group = rest[1 + name_len..].strip_prefix('{')?;
        let (environment, _) = group.split_once('}')?;
        tokens.push(Token::Name(name.to_owned()));
        tokens.push(Token::Name(environment.to_owned()));
        return Some((None, 1 + name_len + environment.len() + 2));
    }
    if name != "text" {
        return Some((Some(Token::Name(name.to_owned())), 1 + name_len));
    }
    let inner = rest[1 + name_len..].trim_start();
    let skipped = rest.len() - inner.len();
    let (inner, _) = inner.strip_prefix('{')?.split_once('}')?;
    let width = skipped + inner.len() + 2;
    let trimmed = inner.trim();
    let token = match trimmed {
        "" => None,
        word if Function::named(word).is_some() || WORDS.contains(&word) => {
            Some(Token::Name(word.to_owned()))
        }
        letter if letter.chars().count() == 1 && letter.starts_with(char::is_alphabetic) => {
            letter.chars().next().map(Token::Letter)
        }
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(Token::Number(digits.to_owned()))
        }
        // Names of points and segments: `\mathrm{AB}`.
        points if points.bytes().all(|b| b.is_ascii_uppercase()) && points.len() <= 4 => {
            Some(Token::Points(points.to_owned()))
        }
        _ => return None,
    };
    Some((token, width))
}

/// A run of letters: one name, or a product of letters that may end in one (`xsin`). `None` for a word
/// of the language.
fn word(run: &str, tokens: &mut Vec<Token>) -> Option<()> {
    let is_name = |rest: &str| Function::named(rest).is_some() || WORDS.contains(&rest);
    let named = (0..run.len()).find(|at| is_name(&run[*at..]));
    let letters = &run[..named.unwrap_or(run.len())];
    if letters.len() >= MIN_WORD_LETTERS && letters.contains(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    // Behind a number there is a product: `2abd`.
    if is_short_word(letters) && !matches!(tokens.last(), Some(Token::Number(_))) {
        return None;
    }
    let is_capital = |c: char| c.is_ascii_uppercase();
    let mut rest = letters;
    while let Some(first) = rest.chars().next() {
        let n_capitals = rest.chars().take_while(|c| is_capital(*c)).count();
        let (token, width) = match n_capitals {
            0 | 1 => (Token::Letter(first), 1),
            _ => (Token::Points(rest[..n_capitals].to_owned()), n_capitals),
        };
        tokens.push(token);
        rest = &rest[width..];
    }
    tokens.extend(named.map(|at| Token::Name(run[at..].to_owned())));
    Some(())
}

/// Whether two or three small letters are a word, such as `no` or `cat`, and no product, such as `xyz`,
/// `abc`, `pqr`.
fn is_short_word(letters: &str) -> bool {
    let has_vowel = letters.contains(['a', 'e', 'i', 'o', 'u']);
    let is_product = letters.bytes().all(|b| b"abcxyz".contains(&b));
    let is_word = letters.len() == 3
        && letters.bytes().all(|b| b.is_ascii_lowercase())
        && has_vowel
        && !is_product;
    is_word || matches!(letters, "no" | "on")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Token {
        Token::Name(text.to_owned())
    }

    fn number(text: &str) -> Token {
        Token::Number(text.to_owned())
    }

    #[test]
    fn words_are_letters_unless_they_name_something() {
        assert_eq!(
            tokens(r"2xy\pi sin 3.50"),
            Some(vec![
                number("2"),
                Token::Letter('x'),
                Token::Letter('y'),
                name("pi"),
                name("sin"),
                number("3.50"),
            ])
        );
        assert_eq!(tokens("pi"), Some(vec![name("pi")]));
        assert_eq!(tokens(r"\text{e}"), Some(vec![Token::Letter('e')]));
        assert_eq!(tokens(r"\text{of them}"), None);
        assert_eq!(
            tokens("1,000x"),
            Some(vec![number("1000"), Token::Letter('x')])
        );
        assert_eq!(tokens("no solution"), None);
        assert_eq!(tokens("x # y"), None);
        assert_eq!(tokens(r"\"), None);
    }
}
