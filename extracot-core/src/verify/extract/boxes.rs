//! Boxes: `\boxed{..}` and `\fbox{..}`.

use std::ops::Range;

/// More text between two boxes makes them two answers.
const MAX_GAP_BYTES: usize = 60;

/// A closed box that holds something.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BoxSpan {
    /// Where its command begins.
    command: usize,
    content: Range<usize>,
}

/// Content of the one that opens last of the closed boxes that hold something.
pub(crate) fn last_box_span(text: &str) -> Option<Range<usize>> {
    let spans = box_spans(text).into_iter().map(|span| span.content);
    spans.max_by_key(|content| content.start)
}

/// Contents of the last box and of those before it that belong to the same answer: boxes with nothing
/// between them but layout, commas, `and`, `or` and a few words.
pub(crate) fn box_chain(text: &str) -> Vec<&str> {
    let mut spans = box_spans(text);
    spans.sort_by_key(|span| span.content.start);
    let mut chain: Vec<&str> = Vec::new();
    let mut next_command = None;
    for span in spans.iter().rev() {
        if let Some(next) = next_command {
            let joins = text
                .get(span.content.end + 1..next)
                .is_some_and(joins_boxes);
            if !joins {
                break;
            }
        }
        next_command = Some(span.command);
        chain.push(text[span.content.clone()].trim());
    }
    chain.reverse();
    chain
}

/// Whether a text between two boxes says that both are the answer.
fn joins_boxes(gap: &str) -> bool {
    if gap.len() > MAX_GAP_BYTES || gap.contains("\n\n") || gap.contains(". ") {
        return false;
    }
    let plain = gap.replace(r"\text", " ").replace(r"\quad", " ");
    let mut words = plain.split(|c: char| !c.is_alphanumeric());
    let has_word = plain.contains(char::is_alphanumeric);
    !has_word || plain.contains([',', ';']) || words.any(|word| matches!(word, "and" | "or"))
}

/// The closed boxes that hold something, by where they end.
fn box_spans(text: &str) -> Vec<BoxSpan> {
    let bytes = text.as_bytes();
    // For each open brace: where the command and the content start if it belongs to a box.
    let mut open: Vec<Option<(usize, usize)>> = Vec::new();
    let mut spans = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => {
                if let Some(brace) = box_brace(bytes, at) {
                    open.push(Some((at, brace + 1)));
                    at = brace + 1;
                } else if box_brace(bytes, at + 1).is_some() {
                    // `\\boxed{..}`: a doubly escaped box, or one after a line break.
                    at += 1;
                } else {
                    at += 2;
                }
                continue;
            }
            b'{' => open.push(None),
            b'}' => {
                if let Some(Some((command, start))) = open.pop()
                    && !text[start..at].trim().is_empty()
                {
                    spans.push(BoxSpan {
                        command,
                        content: start..at,
                    });
                }
            }
            _ => {}
        }
        at += 1;
    }
    spans
}

/// Position of the brace of the box command at `at`, if there is such a command.
fn box_brace(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let name = [&b"\\boxed"[..], b"\\fbox"]
        .into_iter()
        .find(|name| rest.starts_with(name))?;
    // A handful of blanks is typesetting; without the bound a run of blanks is read many times.
    let blanks = rest[name.len()..]
        .iter()
        .take(8)
        .take_while(|b| b.is_ascii_whitespace())
        .count();
    let brace = at + name.len() + blanks;
    (bytes.get(brace) == Some(&b'{')).then_some(brace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_that_belong_together_are_one_chain() {
        assert_eq!(box_chain(r"\boxed{1}\boxed{2}"), ["1", "2"]);
        assert_eq!(box_chain(r"$\boxed{1}$ and $\boxed{ 2 }$."), ["1", "2"]);
        assert_eq!(
            box_chain(r"\boxed{1}, \boxed{2}, \boxed{3}"),
            ["1", "2", "3"]
        );
        assert_eq!(
            box_chain(r"\boxed{3} \text{ for part (a) and } \boxed{1}"),
            ["3", "1"]
        );
        assert_eq!(box_chain(r"\boxed{1} no no no \boxed{2}"), ["2"]);
        assert_eq!(box_chain("\\boxed{1}.\n\nSo, \\boxed{2}"), ["2"]);
        assert_eq!(box_chain(r"\boxed{x = \boxed{2}}"), ["2"]);
        assert!(box_chain("none").is_empty());
    }
}
