//! Finds delimited formulas, and joins them with the plain-text formulas between them.
//!
//! One pass collects delimiters, one pairs them from the right, one walks over the pairs. A
//! delimiter without a partner is ordinary text: nothing here fails, and the time is linear.

mod marks;
mod price;

use std::collections::HashMap;
use std::ops::Range;

use super::plain::plain_spans;
use marks::{Mark, MarkKind, Partners, collect_marks, is_dollar_pair, pair_marks};
use price::is_inline_formula;

/// Byte spans of all formulas of `text`, in order, without overlap, delimiters included.
///
/// Formulas are `$..$`, `$$..$$`, `\(..\)`, `\[..\]`, `\begin{..}..\end{..}` (nested; lists, tables
/// and theorems are not formulas), fenced blocks marked `math`, and plain-text formulas such as
/// `3 + 4 = 7` or `48/2 = <<48/2=24>>24`. The outermost delimiters win. Prices (`$5 and $6`) and
/// escaped dollars are not formulas.
pub fn formula_spans(text: &str) -> Vec<Range<usize>> {
    let delimited = delimited_spans(text);
    let mut spans = Vec::with_capacity(delimited.len());
    let mut from = 0;
    for span in delimited {
        plain_spans(text, from..span.start, &mut spans);
        from = span.end;
        spans.push(span);
    }
    plain_spans(text, from..text.len(), &mut spans);
    spans
}

/// Formula delimiters that open or close nothing and are ordinary text therefore: `\(`, `\]`,
/// `\begin{..}` and their like without a partner, and dollars that neither belong to a formula nor
/// stand in front of a price. Blank lines and fences do not count.
pub fn n_unmatched_delimiters(text: &str) -> usize {
    let marks = collect_marks(text);
    let mut n_open: HashMap<&str, usize> = HashMap::new();
    let mut n_unmatched = 0;
    let formulas = formula_spans(text);
    for mark in &marks {
        let next = formulas.partition_point(|span| span.end <= mark.start);
        let is_inside = formulas
            .get(next)
            .is_some_and(|span| span.start <= mark.start);
        if is_inside {
            continue;
        }
        match mark.kind {
            MarkKind::BlankLine | MarkKind::Fence | MarkKind::MathFence => {}
            // Environments of text, such as lists, are no formulas; they pair by name.
            MarkKind::Begin => {
                *n_open.entry(environment(text, mark)).or_default() += 1;
                n_unmatched += 1;
            }
            MarkKind::End => match n_open.get_mut(environment(text, mark)) {
                Some(n_open) if *n_open > 0 => {
                    *n_open -= 1;
                    n_unmatched -= 1;
                }
                _ => n_unmatched += 1,
            },
            MarkKind::Dollar => {
                let after = text[mark.end..].trim_start_matches(' ');
                let is_price = after.starts_with(|c: char| c.is_ascii_digit() || c == '.');
                n_unmatched += usize::from(!is_price);
            }
            MarkKind::InlineOpen
            | MarkKind::InlineClose
            | MarkKind::DisplayOpen
            | MarkKind::DisplayClose => n_unmatched += 1,
        }
    }
    n_unmatched
}

/// The name in `\begin{..}` or `\end{..}`.
fn environment<'a>(text: &'a str, mark: &Mark) -> &'a str {
    let text = &text[mark.start..mark.end];
    text.split_once('{').map_or(text, |(_, name)| name)
}

fn delimited_spans(text: &str) -> Vec<Range<usize>> {
    let marks = collect_marks(text);
    let partners = pair_marks(text, &marks);
    let mut spans = Vec::new();
    let mut mark_idx = 0;
    while mark_idx < marks.len() {
        let found = match marks[mark_idx].kind {
            MarkKind::Dollar => dollar_span(text, &marks, &partners, mark_idx),
            _ => partners.closer[mark_idx].map(|closer| (closer + 1, marks[closer].end)),
        };
        match found {
            Some((next_idx, end)) => {
                spans.push(marks[mark_idx].start..end);
                mark_idx = next_idx;
            }
            // Half of an unmatched `$$` must not open an inline formula.
            None if is_dollar_pair(&marks, mark_idx) => mark_idx += 2,
            None => mark_idx += 1,
        }
    }
    spans
}

/// The formula that the dollar at `opener` starts: the mark behind it and its last byte plus one.
fn dollar_span(
    text: &str,
    marks: &[Mark],
    partners: &Partners,
    opener: usize,
) -> Option<(usize, usize)> {
    if is_dollar_pair(marks, opener) {
        let closer = partners.dollar_pair[opener + 2]?;
        let body = &text[marks[opener + 1].end..marks[closer].start];
        // Across a blank line only a display block on lines of its own is believed.
        let is_block = body.starts_with('\n') && body.ends_with('\n');
        let crosses = marks[opener + 2..closer]
            .iter()
            .any(|m| m.kind == MarkKind::BlankLine);
        let is_formula = !body.trim().is_empty() && (is_block || !crosses);
        return is_formula.then_some((closer + 2, marks[closer + 1].end));
    }
    let closer = partners.dollar[opener + 1]?;
    let inside = &marks[opener + 1..closer];
    if inside
        .iter()
        .any(|m| !matches!(m.kind, MarkKind::Begin | MarkKind::End))
    {
        return None;
    }
    let body = &text[marks[opener].end..marks[closer].start];
    is_inline_formula(body, &text[marks[closer].end..]).then_some((closer + 1, marks[closer].end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimited(text: &str) -> Vec<&str> {
        delimited_spans(text)
            .into_iter()
            .map(|span| &text[span])
            .collect()
    }

    #[test]
    fn delimiters_without_a_partner_are_counted() {
        for (text, n) in [
            (r"a $x$ \(y\) \[z\] $$w$$ costs $5 or \$6", 0),
            (r"a \(x and \] and \end{a}", 3),
            (r"\begin{a} x \begin{b} y \end{b}", 1),
            (r"\begin{itemize} a \end{itemize} \end{itemize}", 1),
            ("paid 48/2 = $<<48/2=24>>24 of it, and $ 5", 0),
            ("half of it: x$ is", 1),
            ("", 0),
        ] {
            assert_eq!(n_unmatched_delimiters(text), n, "{text}");
        }
    }

    #[test]
    fn each_delimiter_makes_one_formula() {
        let text = r"a $x+1$ b $$y$$ c \(z\) d \[w\] e $x$$y$ f $ 18 + 26 = 44 $.";
        let expected = [
            "$x+1$",
            "$$y$$",
            r"\(z\)",
            r"\[w\]",
            "$x$",
            "$y$",
            "$ 18 + 26 = 44 $",
        ];
        assert_eq!(delimited(text), expected);
        assert_eq!(
            delimited("see\n```math\na = b\n```\nend"),
            ["```math\na = b\n```"]
        );
        assert_eq!(delimited("```python\na = 1\n```"), [""; 0]);
        assert_eq!(delimited("$$\na\n\nb\n$$"), ["$$\na\n\nb\n$$"]);
    }

    #[test]
    fn environments_nest_and_the_outermost_delimiters_win() {
        let nested = r"\begin{cases} a \begin{matrix} b \end{matrix} \end{cases}";
        assert_eq!(delimited(&format!("so {nested}.")), [nested]);
        let display = r"\[ \begin{aligned} x \end{aligned} \]";
        assert_eq!(delimited(display), [display]);
        let list = r"\begin{itemize} \item $x$ \end{itemize}";
        assert_eq!(delimited(list), ["$x$"]);
        assert_eq!(delimited(r"\begin{cases} $x$ \end{matrix}"), ["$x$"]);
    }

    #[test]
    fn prices_and_escaped_dollars_are_not_formulas() {
        for text in [
            "$5 and $6",
            "It costs $5, or $6.50 with tax.",
            r"\$5 and \$6",
            "$5/hour and then 6$ more",
            "He has $20. She has $ 30. Together $50.",
            "$5 + $6 = $11",
            "5 $ and 6 $",
            "covers 3*5=$<<3*5=15>>15\nand 15-3=$<<15-3=12>>12",
            "$144*5 = $<<144*5=720>>720",
        ] {
            assert_eq!(delimited(text), [""; 0], "{text}");
        }
        assert_eq!(
            delimited("It costs $5 so $x = 5$ and $y$."),
            ["$x = 5$", "$y$"]
        );
        assert_eq!(
            delimited(r"$5\text{ apples}$ and $\$5$"),
            [r"$5\text{ apples}$", r"$\$5$"]
        );
    }

    #[test]
    fn a_delimiter_without_a_partner_is_text() {
        assert_eq!(delimited(r"\( a \( b \) c \] \["), [r"\( b \)"]);
        assert_eq!(delimited("\\( a\n\nb \\)"), [""; 0]);
        assert_eq!(delimited(r"$$ a \(b\) $"), [r"\(b\)"]);
        assert_eq!(delimited("a $$$$ b"), [""; 0]);
        assert_eq!(delimited(r"\\(x\\) \begin{ \end{} \begin{a"), [""; 0]);
        assert_eq!(
            delimited("Let $x be the number of apples they had and $y$ the pears"),
            ["$y$"]
        );
    }

    #[test]
    fn long_runs_of_delimiters_are_scanned_in_one_go() {
        for unit in [
            "$",
            "$$ ",
            "\\(",
            "\\[",
            "\\begin{a}",
            "```math ",
            "{",
            "(",
            "<<",
            "\\frac{",
        ] {
            formula_spans(&unit.repeat(200_000));
        }
    }
}
