//! Formula delimiters and their partners.

use std::collections::HashMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkKind {
    Dollar,
    InlineOpen,
    InlineClose,
    DisplayOpen,
    DisplayClose,
    Begin,
    End,
    MathFence,
    Fence,
    BlankLine,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) kind: MarkKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// All delimiters of `text`, in order.
pub(super) fn collect_marks(text: &str) -> Vec<Mark> {
    let bytes = text.as_bytes();
    let mut marks = Vec::new();
    let mut pos = 0;
    while pos < bytes.len() {
        let (kind, len) = match bytes[pos] {
            b'\\' => match bytes.get(pos + 1) {
                Some(b'(') => (Some(MarkKind::InlineOpen), 2),
                Some(b')') => (Some(MarkKind::InlineClose), 2),
                Some(b'[') => (Some(MarkKind::DisplayOpen), 2),
                Some(b']') => (Some(MarkKind::DisplayClose), 2),
                Some(b'b') => match environment_len(&text[pos..], "\\begin{") {
                    Some(len) => (Some(MarkKind::Begin), len),
                    None => (None, 1),
                },
                Some(b'e') => match environment_len(&text[pos..], "\\end{") {
                    Some(len) => (Some(MarkKind::End), len),
                    None => (None, 1),
                },
                Some(b'\\' | b'$') => (None, 2),
                _ => (None, 1),
            },
            b'$' => (Some(MarkKind::Dollar), 1),
            b'`' if text[pos..].starts_with("```") => {
                let rest = &text[pos + 3..];
                let is_math = rest.starts_with("math")
                    && !rest[4..].starts_with(|c: char| c.is_alphanumeric());
                (
                    Some(if is_math {
                        MarkKind::MathFence
                    } else {
                        MarkKind::Fence
                    }),
                    3,
                )
            }
            b'\n' => {
                let blanks = bytes[pos + 1..]
                    .iter()
                    .take_while(|b| b" \t\r".contains(b))
                    .count();
                let is_blank_line = bytes.get(pos + 1 + blanks) == Some(&b'\n');
                (is_blank_line.then_some(MarkKind::BlankLine), 1)
            }
            _ => (None, 1),
        };
        if let Some(kind) = kind {
            marks.push(Mark {
                kind,
                start: pos,
                end: pos + len,
            });
        }
        pos += len;
    }
    marks
}

/// Bytes of `\begin{name}` or `\end{name}` at the start of `text`.
fn environment_len(text: &str, opener: &str) -> Option<usize> {
    let rest = text.strip_prefix(opener)?;
    let name = rest
        .bytes()
        .take(32)
        .take_while(|b| b.is_ascii_alphabetic() || *b == b'*')
        .count();
    (name > 0 && rest.as_bytes().get(name) == Some(&b'}')).then_some(opener.len() + name + 1)
}

pub(super) struct Partners {
    /// Per mark that opens a formula other than by a dollar: the mark that closes it.
    pub(super) closer: Vec<Option<usize>>,
    /// Per mark: the first `Dollar` at or behind it.
    pub(super) dollar: Vec<Option<usize>>,
    /// Per mark: the first of two touching `Dollar`s at or behind it.
    pub(super) dollar_pair: Vec<Option<usize>>,
}

/// Finds, from the right, what closes each mark.
pub(super) fn pair_marks(text: &str, marks: &[Mark]) -> Partners {
    let mut closer = vec![None; marks.len()];
    // One entry more than marks, so that looking behind the last mark needs no check.
    let mut dollar = vec![None; marks.len() + 1];
    let mut dollar_pair = vec![None; marks.len() + 2];
    let (mut inline, mut display, mut fence) = (None, None, None);
    for (mark_idx, mark) in marks.iter().enumerate().rev() {
        dollar[mark_idx] = dollar[mark_idx + 1];
        dollar_pair[mark_idx] = dollar_pair[mark_idx + 1];
        match mark.kind {
            MarkKind::Dollar => {
                dollar[mark_idx] = Some(mark_idx);
                if is_dollar_pair(marks, mark_idx) {
                    dollar_pair[mark_idx] = Some(mark_idx);
                }
            }
            // An opener between an opener and its closer shows that the first one is stray.
            MarkKind::InlineOpen => closer[mark_idx] = inline.take(),
            MarkKind::InlineClose => inline = Some(mark_idx),
            MarkKind::BlankLine => inline = None,
            MarkKind::DisplayOpen => closer[mark_idx] = display.take(),
            MarkKind::DisplayClose => display = Some(mark_idx),
            MarkKind::MathFence => closer[mark_idx] = fence.take(),
            MarkKind::Fence => fence = Some(mark_idx),
            MarkKind::Begin | MarkKind::End => {}
        }
    }
    pair_environments(text, marks, &mut closer);
    Partners {
        closer,
        dollar,
        dollar_pair,
    }
}

fn pair_environments(text: &str, marks: &[Mark], closer: &mut [Option<usize>]) {
    let name = |mark: &Mark| {
        let braced = &text[mark.start..mark.end];
        braced
            .find('{')
            .map_or("", |open| &braced[open + 1..braced.len() - 1])
    };
    let mut open: Vec<usize> = Vec::new();
    let mut n_open: HashMap<&str, usize> = HashMap::new();
    for (mark_idx, mark) in marks.iter().enumerate() {
        match mark.kind {
            MarkKind::Begin => {
                *n_open.entry(name(mark)).or_default() += 1;
                open.push(mark_idx);
            }
            // An end that nothing opened is ignored; otherwise whatever is still open inside the
            // environment is stray.
            MarkKind::End if n_open.get(name(mark)).is_some_and(|n| *n > 0) => {
                while let Some(begin) = open.pop() {
                    let begin_name = name(&marks[begin]);
                    if let Some(n) = n_open.get_mut(begin_name) {
                        *n -= 1;
                    }
                    if begin_name == name(mark) {
                        if !is_text_environment(begin_name) {
                            closer[begin] = Some(mark_idx);
                        }
                        break;
                    }
                }
            }
            _ => {}
        }
    }
}

fn is_text_environment(name: &str) -> bool {
    const TEXT: [&str; 17] = [
        "center",
        "corollary",
        "definition",
        "description",
        "document",
        "enumerate",
        "example",
        "figure",
        "itemize",
        "lemma",
        "proof",
        "proposition",
        "quote",
        "solution",
        "table",
        "tabular",
        "theorem",
    ];
    TEXT.contains(&name.trim_end_matches('*'))
}

/// Whether the marks at `mark_idx` and behind it are the two dollars of a `$$`.
pub(super) fn is_dollar_pair(marks: &[Mark], mark_idx: usize) -> bool {
    match marks.get(mark_idx..mark_idx + 2) {
        Some([a, b]) => {
            a.kind == MarkKind::Dollar && b.kind == MarkKind::Dollar && a.end == b.start
        }
        _ => false,
    }
}
