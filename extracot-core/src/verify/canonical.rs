//! The canonical text of an answer, for answers that are compared as text.

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

#[cfg(test)]
mod tests {
    use super::super::normalize::normalize_answer;

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
        assert_eq!(normalize_answer(r"\left. $ "), "");
        assert_eq!(normalize_answer("{{{"), "{{{");
        assert_eq!(normalize_answer("\\"), "");
    }
}
