//! Finds the answer in the visible part of a response.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// How an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtractionRule {
    /// The last closed, non-empty `\boxed{..}` or `\fbox{..}`.
    Boxed,
    /// The last non-blank line is `#### answer`, as in GSM8K.
    HashLine,
    /// The last `answer is ..` or `answer: ..`, up to the end of the sentence.
    Phrase,
}

/// An answer and the rule that found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Extracted<'a> {
    /// The answer as written, without surrounding white space; never empty.
    pub text: &'a str,
    /// How it was found.
    pub rule: ExtractionRule,
}

/// The answer that a visible text gives, by the first [`ExtractionRule`] that finds one.
///
/// `None` means that there is no answer. Takes time and memory linear in the text.
pub fn extract_answer(visible: &str) -> Option<Extracted<'_>> {
    extract_marked(visible).or_else(|| {
        phrase_answer(visible).map(|text| Extracted {
            text,
            rule: ExtractionRule::Phrase,
        })
    })
}

/// An answer that carries a marker: a box, or a GSM8K line.
pub(super) fn extract_marked(text: &str) -> Option<Extracted<'_>> {
    last_box(text)
        .map(|text| Extracted {
            text,
            rule: ExtractionRule::Boxed,
        })
        .or_else(|| {
            hash_line(text).map(|text| Extracted {
                text,
                rule: ExtractionRule::HashLine,
            })
        })
}

fn last_box(text: &str) -> Option<&str> {
    last_box_span(text).map(|span| text[span].trim())
}

/// Content of the one that opens last of the closed boxes that hold something.
pub(crate) fn last_box_span(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    // For each open brace: where its content starts if it belongs to a box.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut best: Option<(usize, usize)> = None;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => {
                if let Some(brace) = box_brace(bytes, at) {
                    open.push(Some(brace + 1));
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
                if let Some(Some(start)) = open.pop()
                    && !text[start..at].trim().is_empty()
                    && best.is_none_or(|(best_start, _)| start > best_start)
                {
                    best = Some((start, at));
                }
            }
            _ => {}
        }
        at += 1;
    }
    best.map(|(start, end)| start..end)
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

fn hash_line(text: &str) -> Option<&str> {
    // Only the last line: `####` elsewhere is a Markdown heading.
    let answer = text
        .trim_end()
        .lines()
        .next_back()?
        .trim_start()
        .strip_prefix("####")?
        .trim();
    (!answer.is_empty() && !answer.starts_with('#')).then_some(answer)
}

fn phrase_answer(text: &str) -> Option<&str> {
    const WORD: &str = "answer";
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(WORD.len()))
        .rev()
        .filter(|at| bytes[*at..*at + WORD.len()].eq_ignore_ascii_case(WORD.as_bytes()))
        .find_map(|at| phrase_value(&text[at + WORD.len()..]))
}

/// The value after the word `answer`: behind `is` or `:`, up to a line or sentence end.
fn phrase_value(rest: &str) -> Option<&str> {
    const DECORATION: [char; 3] = ['*', ' ', ':'];
    let rest = rest.trim_start_matches(['*', ' ']);
    let after_is = rest
        .strip_prefix("is")
        .filter(|value| value.starts_with(DECORATION))
        .or_else(|| rest.strip_prefix(':'))?;
    let value = after_is.trim_start_matches(DECORATION);
    let bytes = value.as_bytes();
    let ends = |at: usize| bytes[at] == b'\n' || bytes[at..].starts_with(b". ");
    let end = (0..bytes.len()).find(|at| ends(*at)).unwrap_or(bytes.len());
    let value = value[..end].trim().trim_end_matches(['*', '.']).trim();
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(text: &str) -> Option<&str> {
        extract_answer(text)
            .filter(|a| a.rule == ExtractionRule::Boxed)
            .map(|a| a.text)
    }

    #[test]
    fn the_last_closed_box_wins() {
        assert_eq!(boxed(r"\boxed{1} then \fbox{ 2 }."), Some("2"));
        assert_eq!(boxed(r"\boxed{\frac{1}{2}}"), Some(r"\frac{1}{2}"));
        assert_eq!(boxed(r"\boxed{x = \boxed{3}}"), Some("3"));
        assert_eq!(boxed(r"\boxed {\{1, 2\}}"), Some(r"\{1, 2\}"));
        assert_eq!(boxed(r"a \\boxed{7}"), Some("7"));
        assert_eq!(boxed("{ } } { \\boxed{5}"), Some("5"));
    }

    #[test]
    fn an_unterminated_or_empty_box_falls_back_to_an_earlier_one() {
        assert_eq!(boxed(r"\boxed{3} so \boxed{4"), Some("3"));
        assert_eq!(boxed(r"\boxed{4 and {x}"), None);
        assert_eq!(boxed(r"\boxed{3} within \boxed{}"), Some("3"));
        assert_eq!(boxed(r"\boxed{ }"), None);
        assert_eq!(boxed(r"\boxed{[0, 1\}"), None);
    }

    #[test]
    fn marked_lines_and_phrases_are_fallbacks() {
        let rule = |text| extract_answer(text).map(|a| (a.text, a.rule));
        assert_eq!(
            rule("steps\n#### 42\n"),
            Some(("42", ExtractionRule::HashLine))
        );
        assert_eq!(rule("#### Step 1\nfoo"), None);
        assert_eq!(
            rule("The answer is 3. No, the Answer is: **$4.50**. Done."),
            Some(("$4.50", ExtractionRule::Phrase))
        );
        assert_eq!(
            rule("**Final Answer:** 7\nbye"),
            Some(("7", ExtractionRule::Phrase))
        );
        assert_eq!(rule("the answer isn't known; answers vary"), None);
        assert_eq!(
            rule(r"answer is 1, \boxed{2}"),
            Some(("2", ExtractionRule::Boxed))
        );
        assert_eq!(rule(""), None);
    }
}
