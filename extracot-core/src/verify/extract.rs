//! Finds the answer in a response, or in the visible part of one.

mod boxes;
mod phrase;
mod prose;

use serde::{Deserialize, Serialize};

pub(super) use boxes::box_chain;
pub(crate) use boxes::last_box_span;
use phrase::{final_answer, phrase_answer};
pub(super) use prose::{is_prose, last_value};

use crate::ThinkText;

/// How an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtractionRule {
    /// `Final answer: ..` or `the final answer is ..`, with a value of its own behind the last box.
    FinalAnswer,
    /// The last closed, non-empty `\boxed{..}` or `\fbox{..}`.
    Boxed,
    /// The last non-blank line is `#### answer`, as in GSM8K.
    HashLine,
    /// The last `answer is ..` or `answer: ..`, up to the end of the sentence.
    Phrase,
    /// The last non-blank line is the letter of an option, such as `(B)`.
    OptionLine,
}

/// An answer and the rule that found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Extracted<'a> {
    /// The answer as written, without surrounding white space; never empty.
    pub text: &'a str,
    /// How it was found.
    pub rule: ExtractionRule,
}

/// The answer that a whole response gives.
///
/// What stands between think tags is no answer: only the visible part of [`ThinkText`] is looked at,
/// which is empty where a think text is open at the end. For a visible text alone this is
/// [`extract_visible`].
///
/// # Examples
///
/// ```
/// use extracot_core::verify::extract_answer;
/// let found = extract_answer(r"<think>\boxed{1}</think> So it is \boxed{2}.");
/// assert_eq!(found.map(|found| found.text), Some("2"));
/// assert_eq!(extract_answer(r"<think>\boxed{1}"), None);
/// ```
pub fn extract_answer(response: &str) -> Option<Extracted<'_>> {
    extract_visible(visible_part(response))
}

/// What follows the think text; nothing if that is open at the end.
pub(crate) fn visible_part(response: &str) -> &str {
    &response[ThinkText::of_text(response).visible]
}

/// The answer that a visible text gives, by the first [`ExtractionRule`] that finds one.
///
/// `None` means that there is no answer. Takes time and memory linear in the text.
pub fn extract_visible(visible: &str) -> Option<Extracted<'_>> {
    let by = |rule| move |text| Extracted { text, rule };
    extract_marked(visible)
        .or_else(|| phrase_answer(visible).map(by(ExtractionRule::Phrase)))
        .or_else(|| option_line(visible).map(by(ExtractionRule::OptionLine)))
}

/// An answer that carries a marker: a box, a GSM8K line, or the words `final answer` behind them.
pub(super) fn extract_marked(text: &str) -> Option<Extracted<'_>> {
    let by = |rule| move |text| Extracted { text, rule };
    if let Some(span) = last_box_span(text) {
        // A remark on the answer is none: `The final answer is positive, because ..`.
        let is_value = |text: &&str| !is_prose(text) || last_value(text).is_some();
        let behind = final_answer(&text[span.end..]).filter(is_value);
        let behind = behind.map(by(ExtractionRule::FinalAnswer));
        return behind.or_else(|| Some(by(ExtractionRule::Boxed)(text[span].trim())));
    }
    hash_line(text)
        .map(by(ExtractionRule::HashLine))
        .or_else(|| final_answer(text).map(by(ExtractionRule::FinalAnswer)))
}

fn last_line(text: &str) -> Option<&str> {
    text.trim_end().lines().next_back()
}

fn hash_line(text: &str) -> Option<&str> {
    // Only the last line: `####` elsewhere is a Markdown heading.
    let answer = last_line(text)?.trim_start().strip_prefix("####")?.trim();
    (!answer.is_empty() && !answer.starts_with('#')).then_some(answer)
}

fn option_line(text: &str) -> Option<&str> {
    let line = last_line(text)?.trim();
    let line = line.trim_matches(['*', '$', '.', ' ']);
    let letter = line
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'))
        .unwrap_or(line);
    // `I` is a word, and letters from K on no options.
    let is_option = letter.len() == 1 && letter.starts_with(|c| matches!(c, 'A'..='H' | 'J'));
    is_option.then_some(line)
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
            Some(("7", ExtractionRule::FinalAnswer))
        );
        assert_eq!(rule("the answer isn't known; answers vary"), None);
        assert_eq!(
            rule(r"answer is 1, \boxed{2}"),
            Some(("2", ExtractionRule::Boxed))
        );
        assert_eq!(rule(""), None);
    }

    #[test]
    fn every_rule_has_its_turn() {
        use ExtractionRule::{Boxed, FinalAnswer, HashLine, OptionLine, Phrase};
        let rule = |text| extract_answer(text).map(|a| (a.text, a.rule));
        assert_eq!(rule("So.\n**(B)**"), Some(("(B)", OptionLine)));
        assert_eq!(rule("So.\n$D$."), Some(("D", OptionLine)));
        assert_eq!(rule("Am I right?\nI"), None);
        assert_eq!(rule("So the answer is (C)."), Some(("(C)", Phrase)));
        assert_eq!(
            rule(r"\boxed{3} Final Answer: The final answer is $4$."),
            Some(("$4$", FinalAnswer))
        );
        assert_eq!(
            rule(r"\boxed{3}. The final answer is positive, because both are."),
            Some(("3", Boxed))
        );
        assert_eq!(rule("final answer: 3\n#### 4"), Some(("4", HashLine)));
        assert_eq!(rule("\\boxed{3}\n#### 4"), Some(("3", Boxed)));
        assert_eq!(rule("**Final Answer**\n\\boxed{3}"), Some(("3", Boxed)));
    }

    #[test]
    fn the_think_text_holds_no_answer() {
        let text = |response| extract_answer(response).map(|a| a.text);
        assert_eq!(text(r"<think>\boxed{1}</think>\boxed{2}"), Some("2"));
        assert_eq!(text(r"\boxed{1}</think>It is 2."), None);
        assert_eq!(text(r"<think>\boxed{1}"), None);
        assert_eq!(text(r"\boxed{1}"), Some("1"));
        assert_eq!(text(r"a</think>\boxed{1}<think>b</think>it is 2"), None);
    }
}
