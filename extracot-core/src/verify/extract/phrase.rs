//! Answers that words announce.

/// Longer displayed formulas are no answers.
const MAX_FORMULA_BYTES: usize = 2_000;

/// The value behind the last `final answer` that has one of its own.
pub(super) fn final_answer(text: &str) -> Option<&str> {
    const WORDS: &str = "final answer";
    last_of(text, WORDS).find_map(|after| heading_value(after).or_else(|| phrase_value(after)))
}

/// The value behind the last `answer is` or `answer:`.
pub(super) fn phrase_answer(text: &str) -> Option<&str> {
    last_of(text, "answer").find_map(phrase_value)
}

/// What follows the occurrences of some words, the last one first.
fn last_of<'a>(text: &'a str, words: &'static str) -> impl Iterator<Item = &'a str> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(words.len()))
        .rev()
        .filter(move |at| bytes[*at..*at + words.len()].eq_ignore_ascii_case(words.as_bytes()))
        .map(move |at| &text[at + words.len()..])
}

/// The value after the word `answer`: behind `is` or `:`, up to a line or sentence end.
fn phrase_value(rest: &str) -> Option<&str> {
    const DECORATION: [char; 3] = ['*', ' ', ':'];
    let rest = rest.trim_start_matches(['*', ' ']);
    let after_is = rest
        .strip_prefix("is")
        .filter(|value| value.starts_with(DECORATION) || value.starts_with('\n'))
        .or_else(|| rest.strip_prefix(':'))?;
    line_value(after_is.trim_start_matches(DECORATION))
}

/// The line below a heading that is nothing but `Final Answer`.
fn heading_value(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches(['*', ' ', ':', '#']);
    rest.starts_with(['\n', '\r']).then(|| line_value(rest))?
}

/// The rest of the line, or the next line if there is none, up to the end of a sentence.
fn line_value(value: &str) -> Option<&str> {
    let value = value.trim_start();
    // A formula of several lines.
    for (open, close) in [("$$", "$$"), (r"\[", r"\]")] {
        if let Some(inner) = value.strip_prefix(open) {
            // The bound keeps many opening marks from each looking through all of the text.
            let near = &inner[..inner.floor_char_boundary(MAX_FORMULA_BYTES)];
            let end = near.find(close);
            let is_open = end.is_none() && near.len() < inner.len();
            let inner = near[..end.unwrap_or(near.len())].trim();
            return (!inner.is_empty() && !is_open).then_some(inner);
        }
    }
    // A heading, told before the end of its line is looked for.
    if unquoted_start(value).starts_with('#') {
        return None;
    }
    let bytes = value.as_bytes();
    let ends = |at: usize| bytes[at] == b'\n' || bytes[at..].starts_with(b". ");
    let end = (0..bytes.len()).find(|at| ends(*at)).unwrap_or(bytes.len());
    let value = value[..end].trim().trim_end_matches(['*', '.']).trim();
    let value = unquoted(value);
    (!value.is_empty()).then_some(value)
}

const QUOTES: [char; 3] = ['"', '\u{201c}', '\u{201d}'];

fn unquoted_start(value: &str) -> &str {
    let value = value.strip_prefix("\\\"").unwrap_or(value);
    value.trim_start_matches(QUOTES).trim_start()
}

/// Without quotation marks, escaped or not.
fn unquoted(value: &str) -> &str {
    let value = unquoted_start(value);
    let value = value.strip_suffix("\\\"").unwrap_or(value);
    value.trim_matches(QUOTES).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_phrase_with_a_value_counts() {
        let text = "Final Answer: The final answer is $28 \\%$. I hope it is correct.";
        assert_eq!(final_answer(text), Some("$28 \\%$"));
        assert_eq!(
            final_answer("**Final Answer**\n\nNavin earns it.\n"),
            Some("Navin earns it")
        );
        assert_eq!(phrase_answer("The answer is:\n\n$$\n5\n$$ so"), Some("5"));
        assert_eq!(final_answer("my final answer."), None);
        assert_eq!(phrase_answer("the answer isn't known"), None);
    }
}
