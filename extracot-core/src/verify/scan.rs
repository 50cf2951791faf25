//! Finds what takes an answer apart: separators, relations and operators of sets outside all brackets.

/// How two sides are related.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    Approx,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    /// A relation that is compared as text, such as `\equiv`.
    Other,
}

/// What a mark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkKind {
    Comma,
    Semicolon,
    And,
    Or,
    Relation(Op),
    Cup,
    Setminus,
    /// `:` or `|`, as in `\{x : x > 0\}`.
    SuchThat,
}

/// A mark and its byte range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: MarkKind,
}

/// The marks of a simplified text outside all brackets; `None` if brackets do not balance. Any opening
/// bracket may be closed by any other, as those of intervals are.
pub(super) fn marks(simple: &str) -> Option<Vec<Mark>> {
    let mut marks = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(c) = simple[at..].chars().next() {
        let mut width = c.len_utf8();
        let mut kind = None;
        match c {
            '(' | '[' | '{' | '\u{27e8}' => depth += 1,
            ')' | ']' | '}' | '\u{27e9}' => depth = depth.checked_sub(1)?,
            ',' => kind = Some(MarkKind::Comma),
            ';' => kind = Some(MarkKind::Semicolon),
            ':' | '|' => kind = Some(MarkKind::SuchThat),
            '=' => kind = Some(MarkKind::Relation(Op::Equal)),
            '<' => kind = Some(MarkKind::Relation(Op::Less)),
            '>' => kind = Some(MarkKind::Relation(Op::Greater)),
            '\\' => {
                let rest = &simple[at + 1..];
                let name_len = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
                let name = &rest[..name_len];
                width += name_len;
                match name {
                    "" => {
                        // `\{` and `\}` count by their brace.
                        let next = rest.chars().next();
                        width += next
                            .filter(|c| !"{}".contains(*c))
                            .map_or(0, char::len_utf8);
                    }
                    "begin" => depth += 1,
                    "end" => depth = depth.checked_sub(1)?,
                    "text" => {
                        let group = text_group(&rest[name_len..])?;
                        width += group.len();
                        let word = group.trim().trim_matches(['{', '}']).trim();
                        kind = conjunction(word.trim_matches(',').trim());
                    }
                    name => kind = command_kind(name),
                }
            }
            c if c.is_alphabetic() => {
                width = simple[at..]
                    .find(|c: char| !c.is_alphabetic())
                    .unwrap_or(simple.len() - at);
                let run = &simple[at..at + width];
                let is_glued = simple[..at].ends_with(|c: char| c.is_ascii_digit() || c == ')');
                kind = conjunction(run);
                // `1orW(x)`
                if kind.is_none() && is_glued && run.starts_with("or") && run.len() == 3 {
                    width = 2;
                    kind = Some(MarkKind::Or);
                }
            }
            _ => {}
        }
        if let Some(kind) = kind
            && depth == 0
        {
            marks.push(Mark {
                start: at,
                end: at + width,
                kind,
            });
        }
        at += width;
    }
    (depth == 0).then_some(marks)
}

/// The group behind `\text`, braces included.
fn text_group(rest: &str) -> Option<&str> {
    let start = rest.len() - rest.trim_start().len();
    if !rest[start..].starts_with('{') {
        return Some("");
    }
    let mut depth = 0_usize;
    for (at, byte) in rest.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&rest[..=at]);
        }
    }
    None
}

fn conjunction(word: &str) -> Option<MarkKind> {
    match word {
        "and" | "AND" => Some(MarkKind::And),
        "or" | "OR" => Some(MarkKind::Or),
        _ => None,
    }
}

fn command_kind(name: &str) -> Option<MarkKind> {
    let op = match name {
        "leq" | "leqslant" | "leqq" => Op::LessEqual,
        "geq" | "geqslant" | "geqq" => Op::GreaterEqual,
        "ne" => Op::NotEqual,
        "approx" => Op::Approx,
        "in" => Op::In,
        "equiv" | "sim" | "cong" | "to" | "rightarrow" | "implies" | "Rightarrow" | "iff"
        | "propto" | "subset" | "subseteq" | "notin" | "parallel" | "perp" | "cap" | "ll"
        | "gg" => Op::Other,
        "cup" => return Some(MarkKind::Cup),
        "setminus" | "backslash" => return Some(MarkKind::Setminus),
        _ => return None,
    };
    Some(MarkKind::Relation(op))
}

/// The parts between some of the marks, trimmed.
pub(super) fn cut<'a>(text: &'a str, marks: &[Mark]) -> Vec<&'a str> {
    let starts = std::iter::once(0).chain(marks.iter().map(|mark| mark.end));
    let ends = marks.iter().map(|mark| mark.start).chain([text.len()]);
    starts
        .zip(ends)
        .map(|(start, end)| text[start..end].trim())
        .collect()
}

/// The marks that separate the parts of a list: semicolons if there are any, else commas and
/// conjunctions.
///
/// Where some comma is followed by a blank, one inside a number (`1,000, 2,000`) does not separate.
pub(super) fn separators(text: &str, marks: &[Mark]) -> Vec<Mark> {
    let of = |kinds: &[MarkKind]| -> Vec<Mark> {
        let chosen = marks.iter().filter(|mark| kinds.contains(&mark.kind));
        chosen.copied().collect()
    };
    let semicolons = of(&[MarkKind::Semicolon]);
    if !semicolons.is_empty() {
        return semicolons;
    }
    let mut found = of(&[MarkKind::Comma, MarkKind::And, MarkKind::Or]);
    let bytes = text.as_bytes();
    let is_spaced = found
        .iter()
        .any(|mark| mark.kind != MarkKind::Comma || bytes.get(mark.end) == Some(&b' '));
    if is_spaced {
        found.retain(|mark| {
            let n_digits = bytes[mark.end..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count();
            let after_digit = mark.start > 0 && bytes[mark.start - 1].is_ascii_digit();
            !(mark.kind == MarkKind::Comma && after_digit && n_digits == 3)
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<&str> {
        let marks = marks(text).unwrap();
        cut(text, &separators(text, &marks))
    }

    #[test]
    fn lists_come_apart_at_the_top_level_only() {
        assert_eq!(parts("(1, 2), [3, 4)"), ["(1, 2)", "[3, 4)"]);
        assert_eq!(parts("1,000, 2,000"), ["1,000", "2,000"]);
        assert_eq!(parts("1,5; 2,5"), ["1,5", "2,5"]);
        assert_eq!(parts(r"6 \text{ and }8"), ["6", "8"]);
        assert_eq!(parts("(11,7)or(7,11)"), ["(11,7)", "(7,11)"]);
        assert_eq!(parts("W(x)=1orW(x)=-1"), ["W(x)=1", "W(x)=-1"]);
        assert_eq!(parts("19, 46, and 82"), ["19", "46", "", "82"]);
        assert_eq!(parts("orange"), ["orange"]);
    }

    #[test]
    fn relations_are_found() {
        let kinds =
            |text| -> Vec<MarkKind> { marks(text).unwrap().iter().map(|mark| mark.kind).collect() };
        assert_eq!(
            kinds(r"-2 \leq x < 7"),
            [
                MarkKind::Relation(Op::LessEqual),
                MarkKind::Relation(Op::Less)
            ]
        );
        assert_eq!(kinds(r"(a=b) \cup c"), [MarkKind::Cup]);
        assert_eq!(kinds(r"\begin{matrix} 1, 2 \end{matrix}"), []);
        assert_eq!(marks("(1, 2"), None);
        assert_eq!(marks(")("), None);
    }
}
