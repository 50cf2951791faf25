//! One spelling for layout commands, delimiters and look-alike characters.

use std::borrow::Cow;

use super::canonical::canonical_text;

/// The canonical text of an answer that is compared as text: no LaTeX layout, no white space.
///
/// Two answers with the same canonical text are equal; the reverse does not hold, since no algebra
/// is done (`x+1` and `1+x` differ).
///
/// # Examples
///
/// ```
/// use extracot_core::verify::normalize_answer;
/// assert_eq!(normalize_answer(r"$\dfrac{\pi}{2}$."), normalize_answer(r"\frac {\pi} 2"));
/// ```
pub fn normalize_answer(text: &str) -> String {
    canonical_text(&simplify(text))
}

/// First stage: layout commands, delimiters and look-alike characters have one spelling.
///
/// `\text{..}` and white space stay, because units are told from variables by them.
pub(super) fn simplify(text: &str) -> String {
    let text = unescape(text);
    let mut rest = strip_wrapping(&text);
    let mut out = String::with_capacity(rest.len());
    while let Some(c) = rest.chars().next() {
        let width = match c {
            '\\' => simplify_command(rest, &mut out),
            '^' => match ["^\\circ", "^{\\circ}"]
                .iter()
                .find(|p| rest.starts_with(**p))
            {
                Some(degree) => {
                    out.push(DEGREE);
                    degree.len()
                }
                None => {
                    out.push('^');
                    1
                }
            },
            '{' if rest.starts_with("{,}") => {
                out.push(',');
                3
            }
            '.' if rest.starts_with("...") => {
                out.push_str(r"\dots ");
                3
            }
            '<' | '>' if rest[1..].starts_with('=') => {
                out.push_str(if c == '<' { r"\leq " } else { r"\geq " });
                2
            }
            '=' if rest.starts_with("==") => {
                out.push('=');
                2
            }
            // Not `5!=120`.
            '!' if rest.starts_with("!=") && out.ends_with(' ') => {
                out.push_str(r"\ne ");
                2
            }
            _ => {
                simplify_char(c, &mut out);
                c.len_utf8()
            }
        };
        rest = &rest[width..];
    }
    let end = out
        .trim_end_matches(|c: char| c.is_whitespace() || ".,;".contains(c))
        .len();
    out.truncate(end);
    let start = out.len() - out.trim_start().len();
    out.drain(..start);
    out
}

/// The degree sign.
pub(super) const DEGREE: char = '\u{b0}';

/// Text in which every command has two backslashes went through one escape too many.
fn unescape(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut is_doubled = false;
    let mut at = 0;
    while at < bytes.len() {
        let n_slashes = bytes[at..].iter().take_while(|b| **b == b'\\').count();
        let before_letter = bytes
            .get(at + n_slashes)
            .is_some_and(u8::is_ascii_alphabetic);
        if n_slashes > 0 && before_letter {
            if n_slashes % 2 == 1 {
                return Cow::Borrowed(text);
            }
            is_doubled = true;
        }
        at += n_slashes.max(1);
    }
    match is_doubled {
        true => Cow::Owned(text.replace(r"\\", r"\")),
        false => Cow::Borrowed(text),
    }
}

fn strip_wrapping(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let inner = text.trim_end_matches('.').trim_end();
        let inner = ["$", "**", "`"]
            .into_iter()
            .find_map(|mark| inner.strip_prefix(mark)?.strip_suffix(mark))
            .filter(|inner| !inner.ends_with('\\'))
            .map_or(inner, str::trim);
        if inner.len() == text.len() {
            return text;
        }
        text = inner;
    }
}

/// Handles the command at the start of `rest`; returns how many bytes it took.
fn simplify_command(rest: &str, out: &mut String) -> usize {
    let name_len = rest[1..]
        .bytes()
        .take_while(u8::is_ascii_alphabetic)
        .count();
    if name_len == 0 {
        let Some(c) = rest[1..].chars().next() else {
            return 1;
        };
        match c {
            // `10,\! 000`: blanks are no part of what `\!` closes up.
            '!' if out.ends_with(',') => {
                let blanks = rest[2..].len() - rest[2..].trim_start().len();
                return 2 + blanks;
            }
            '!' | '(' | ')' | '[' | ']' => {}
            // A price stays a number without its sign.
            '$' => out.push(' '),
            '%' | '#' | '&' | '_' => out.push(c),
            ',' | ';' | ':' => out.push(' '),
            c if c.is_whitespace() => out.push(' '),
            c => out.extend(['\\', c]),
        }
        return 1 + c.len_utf8();
    }
    let name = &rest[1..=name_len];
    let spelled = match name {
        "left" | "right" => {
            // `\left.` is an invisible delimiter.
            return 1 + name_len + usize::from(rest[1 + name_len..].starts_with('.'));
        }
        "big" | "Big" | "bigg" | "Bigg" | "bigl" | "bigr" | "Bigl" | "Bigr" | "displaystyle"
        | "textstyle" | "mathbf" | "boldsymbol" | "limits" | "bf" | "rm" | "it" => "",
        "quad" | "qquad" => " ",
        // `\quadx` lost its blank.
        _ if name.starts_with("quad") => {
            out.push(' ');
            return r"\quad".len();
        }
        "dfrac" | "tfrac" | "cfrac" => r"\frac",
        "mathrm" | "textrm" | "textbf" | "textit" | "textnormal" | "mbox" | "operatorname" => {
            r"\text"
        }
        "degree" | "degrees" => "\u{b0}",
        "cdot" => r"\times ",
        "le" => r"\leq ",
        "ge" => r"\geq ",
        "neq" => r"\ne ",
        "lt" => "<",
        "gt" => ">",
        "lbrace" => r"\{",
        "rbrace" => r"\}",
        "ldots" | "cdots" | "dotsc" => r"\dots ",
        "emptyset" => r"\varnothing",
        "dbinom" | "tbinom" => r"\binom",
        "lvert" | "rvert" | "vert" | "mid" => "|",
        "lbrack" => "[",
        "rbrack" => "]",
        "langle" => "\u{27e8}",
        "rangle" => "\u{27e9}",
        "approxeq" | "simeq" => r"\approx ",
        "lor" | "vee" => " or ",
        "land" | "wedge" => " and ",
        "euro" => "\u{20ac}",
        "pounds" => "\u{a3}",
        _ => &rest[..=name_len],
    };
    out.push_str(spelled);
    // `\text {m}` is `\text{m}`.
    let after = &rest[1 + name_len..];
    let group = after.trim_start();
    let n_blanks = after.len() - group.len();
    let is_text = spelled == r"\text" && group.starts_with('{');
    1 + name_len + if is_text { n_blanks } else { 0 }
}

fn simplify_char(c: char, out: &mut String) {
    match c {
        // Minus sign, hyphen, en dash.
        '\u{2212}' | '\u{2010}' | '\u{2013}' => out.push('-'),
        '\u{d7}' | '\u{b7}' | '\u{22c5}' => out.push_str(r"\times "),
        '\u{f7}' => out.push('/'),
        '\u{3c0}' => out.push_str(r"\pi "),
        '\u{221e}' => out.push_str(r"\infty "),
        '\u{2264}' => out.push_str(r"\leq "),
        '\u{2265}' => out.push_str(r"\geq "),
        '\u{ff05}' => out.push('%'),
        '\u{bd}' => out.push_str(" 1/2"),
        '\u{bc}' => out.push_str(" 1/4"),
        '\u{be}' => out.push_str(" 3/4"),
        '\u{2153}' => out.push_str(" 1/3"),
        '\u{2154}' => out.push_str(" 2/3"),
        '\u{2026}' => out.push_str(r"\dots "),
        '\u{2248}' => out.push_str(r"\approx "),
        '\u{2260}' => out.push_str(r"\ne "),
        '\u{b1}' => out.push_str(r"\pm "),
        '\u{221a}' => out.push_str(r"\sqrt "),
        '\u{222a}' => out.push_str(r"\cup "),
        '\u{2208}' => out.push_str(r"\in "),
        '\u{2205}' => out.push_str(r"\varnothing "),
        '\u{211d}' => out.push_str(r"\mathbb{R}"),
        '\u{3b1}' => out.push_str(r"\alpha "),
        '\u{3b2}' => out.push_str(r"\beta "),
        '\u{3b8}' => out.push_str(r"\theta "),
        '\u{3bb}' => out.push_str(r"\lambda "),
        '\u{b2}' => out.push_str("^2"),
        '\u{b3}' => out.push_str("^3"),
        '\u{2032}' | '\u{2019}' => out.push('\''),
        // Delimiters of formulas, and prices.
        '~' | '$' => out.push(' '),
        c if c.is_whitespace() => out.push(' '),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_come_together() {
        for (text, simple) in [
            (r"\\frac{1}{2}", r"\frac{1}{2}"),
            (
                r"\begin{pmatrix}1\\x\end{pmatrix}",
                r"\begin{pmatrix}1\\x\end{pmatrix}",
            ),
            ("x >= 5", r"x \geq  5"),
            ("x != 3", r"x \ne  3"),
            ("5!=120", "5!=120"),
            (r"1,\quadx", "1, x"),
            ("2\u{221a}3", r"2\sqrt 3"),
            (r"\$5", "5"),
            ("$1$ and $2$", "1  and  2"),
            (r"\left\langle 1 \right\rangle", "\u{27e8} 1 \u{27e9}"),
        ] {
            assert_eq!(simplify(text), simple, "{text}");
        }
    }
}
