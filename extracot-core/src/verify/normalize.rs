//! One canonical text form of an answer, and how lists, tuples and sets come apart.

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
    let mut rest = strip_wrapping(text);
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
            '!' | '(' | ')' | '[' | ']' => {}
            '%' | '$' | '#' | '&' | '_' => out.push(c),
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
        "big" | "Big" | "bigg" | "Bigg" | "displaystyle" | "textstyle" | "mathbf"
        | "boldsymbol" | "limits" => "",
        "quad" | "qquad" => " ",
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
        "emptyset" => r"\varnothing",
        _ => &rest[..=name_len],
    };
    out.push_str(spelled);
    1 + name_len
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
        '~' => out.push(' '),
        c if c.is_whitespace() => out.push(' '),
        c => out.push(c),
    }
}

/// Second stage, on simplified text: unwraps `\text{..}` and `{c}`, drops white space; words lose
/// their case, symbols keep it.
pub(super) fn canonical_text(simple: &str) -> String {
    let mut out = String::with_capacity(simple.len());
    // For each open brace: where it stands in `out`; `None` if it came from `\text` and is dropped.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut rest = simple;
    while let Some(c) = rest.chars().next() {
        let mut width = c.len_utf8();
        match c {
            '\\' if rest.starts_with(r"\text{") => {
                open.push(None);
                width = r"\text{".len();
            }
            '\\' => {
                out.push(c);
                if let Some(next) = rest[1..].chars().next() {
                    out.push(next);
                    width += next.len_utf8();
                }
            }
            '{' => {
                open.push(Some(out.len()));
                out.push(c);
            }
            '}' => match open.pop() {
                Some(None) => {}
                // `{c}` is `c`, so that `\frac{1}{2}` is `\frac12` and `x^{2}` is `x^2`.
                Some(Some(at)) if out[at + 1..].chars().take(2).count() == 1 => {
                    out.remove(at);
                }
                _ => out.push(c),
            },
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
        rest = &rest[width..];
    }
    let is_word = out.chars().all(|c| c.is_alphabetic() || c == '-') && out.len() > 1;
    if is_word {
        return out.to_lowercase();
    }
    match out.strip_prefix('+') {
        Some(unsigned) => unsigned.to_owned(),
        None => out,
    }
}

/// An answer made of parts, on simplified text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parts<'a> {
    /// `\{a, b\}`, or `a, b` without brackets: order does not count.
    Unordered(Vec<&'a str>),
    /// `(a, b)`, `[a, b)`: order and brackets count.
    Ordered(char, char, Vec<&'a str>),
    /// `(a)`, `{a}`, `\text{a}`: brackets that only group.
    Grouped(&'a str),
}

/// Takes a list, tuple, interval or set apart at its top level; `None` if it is none of these.
pub(super) fn split_parts(simple: &str) -> Option<Parts<'_>> {
    let simple = simple.trim();
    let commas = top_level_commas(simple)?;
    if !commas.is_empty() {
        return Some(Parts::Unordered(cut(simple, &commas)));
    }
    if let Some(inner) = simple
        .strip_prefix(r"\{")
        .and_then(|s| s.strip_suffix(r"\}"))
    {
        let commas = top_level_commas(inner)?;
        return Some(Parts::Unordered(cut(inner, &commas)));
    }
    for wrapper in [r"\text{", "{"] {
        if let Some(inner) = simple
            .strip_prefix(wrapper)
            .and_then(|s| s.strip_suffix('}'))
        {
            let commas = top_level_commas(inner)?;
            // `{1, 2}` is a set that lost its backslashes.
            let is_set = wrapper == "{" && !commas.is_empty();
            return Some(if is_set {
                Parts::Unordered(cut(inner, &commas))
            } else {
                Parts::Grouped(inner)
            });
        }
    }
    let inner = simple.strip_prefix(['(', '['])?.strip_suffix([')', ']'])?;
    let commas = top_level_commas(inner)?;
    if commas.is_empty() {
        return Some(Parts::Grouped(inner));
    }
    let brackets = (simple.chars().next()?, simple.chars().next_back()?);
    Some(Parts::Ordered(brackets.0, brackets.1, cut(inner, &commas)))
}

fn cut<'a>(text: &'a str, commas: &[usize]) -> Vec<&'a str> {
    let starts = std::iter::once(0).chain(commas.iter().map(|at| at + 1));
    let ends = commas.iter().copied().chain([text.len()]);
    starts
        .zip(ends)
        .map(|(start, end)| text[start..end].trim())
        .collect()
}

/// Positions of the commas outside all brackets that separate; `None` if brackets do not balance.
///
/// Where some comma is followed by a blank, one inside a number (`1,000, 2,000`) does not separate.
fn top_level_commas(text: &str) -> Option<Vec<usize>> {
    let mut depth = 0_usize;
    let mut commas = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => commas.push(at),
            _ => {}
        }
    }
    let bytes = text.as_bytes();
    if commas.iter().any(|at| bytes.get(at + 1) == Some(&b' ')) {
        commas.retain(|at| {
            let digits = bytes[at + 1..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count();
            let after_digit = *at > 0 && bytes[at - 1].is_ascii_digit();
            !(after_digit && digits == 3)
        });
    }
    (depth == 0).then_some(commas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_does_not_count() {
        let same = |a: &str, b: &str| assert_eq!(normalize_answer(a), normalize_answer(b));
        same(r"$$\dfrac{x}{2}$$.", r"\frac{x}2");
        same(r"\left( x+1 \right)^{2}", "(x+1)^2");
        same(r"\text{East}.", "east");
        same(r"x \le 3", "x\u{2264}3");
        same(r"2\,\pi", "2\u{3c0}");
        same(r"\(\mathrm{Monday}\)", "**Monday**");
        same(r"+\infty", "\u{221e}");
        same(r"3 \cdot x", "3\u{d7}x");
        assert_ne!(normalize_answer("A"), normalize_answer("a"));
        assert_ne!(normalize_answer("x^{23}"), normalize_answer("x^{2}3"));
        assert_eq!(normalize_answer(r"\left. $ "), "$");
        assert_eq!(normalize_answer("{{{"), "{{{");
        assert_eq!(normalize_answer("\\"), "");
    }

    #[test]
    fn parts_split_at_the_top_level_only() {
        assert_eq!(
            split_parts("(1, [2, 3])"),
            Some(Parts::Ordered('(', ')', vec!["1", "[2, 3]"]))
        );
        assert_eq!(
            split_parts(r"\{a,b\}"),
            Some(Parts::Unordered(vec!["a", "b"]))
        );
        assert_eq!(split_parts("1,2"), Some(Parts::Unordered(vec!["1", "2"])));
        assert_eq!(
            split_parts("1,000, 2,000"),
            Some(Parts::Unordered(vec!["1,000", "2,000"]))
        );
        assert_eq!(
            split_parts("(1,234)"),
            Some(Parts::Ordered('(', ')', vec!["1", "234"]))
        );
        assert_eq!(split_parts("(x)"), Some(Parts::Grouped("x")));
        assert_eq!(split_parts(r"\text{(A)}"), Some(Parts::Grouped("(A)")));
        assert_eq!(
            split_parts("{1, 2}"),
            Some(Parts::Unordered(vec!["1", "2"]))
        );
        assert_eq!(split_parts(r"\text{a}\text{b}"), None);
        assert_eq!(split_parts("(1)(2)"), None);
        assert_eq!(split_parts("(1, 2"), None);
        assert_eq!(split_parts("x"), None);
    }
}
