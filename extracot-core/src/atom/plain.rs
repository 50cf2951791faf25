//! Finds formulas written as plain text: `3 + 4 = 7`, `x^2 - 1`, `sqrt(117) = 3*sqrt(13)`,
//! `48/2 = <<48/2=24>>24`, `\boxed{42}` without dollars.
//!
//! The text between delimited formulas is cut into tokens, tokens that can belong to a
//! formula form runs, brackets without a partner and commas outside brackets cut the runs, and a
//! run counts if it holds a relation, an operation, a call, a command with arguments or a tuple.
//!
//! # Source
//!
//! What counts follows the reference's detector in outline (relations, powers, operations with
//! mathematical neighbors); the tokens, the treatment of units and the GSM8K notes are our own. The
//! offsets are those of the text itself: nothing is normalized first.

mod lexer;
mod number;
mod token;

use std::ops::Range;

use lexer::tokenize;
use token::{Class, Token};

/// Appends the spans of plain-text formulas inside `region` to `spans`, in order.
pub(super) fn plain_spans(text: &str, region: Range<usize>, spans: &mut Vec<Range<usize>>) {
    let mut tokens = tokenize(text, region);
    resolve_words(text, &mut tokens);
    for run in tokens.chunk_by(joins) {
        for part in split_run(run) {
            let part = trim_run(part);
            if let ([first, ..], [.., last]) = (part, part)
                && is_formula(part)
            {
                spans.push(first.start..last.end);
            }
        }
    }
}

/// Gives words a role that only their neighbors show: `Total = 5`, `5 apples * 2`, `17 mod 5`.
fn resolve_words(text: &str, tokens: &mut [Token]) {
    for idx in 0..tokens.len() {
        let prev = idx.checked_sub(1).map(|prev| tokens[prev]);
        let next = tokens.get(idx + 1).copied();
        let prev_is_number = prev.is_some_and(|t| t.class == Class::Number);
        let next_is_number = next.is_some_and(|t| t.class == Class::Number);
        // A sign that touches what follows is no operator: `from 2 to -4`.
        let is_operated = next.is_some_and(|t| {
            let touches = tokens
                .get(idx + 2)
                .is_some_and(|after| after.start == t.end);
            t.is_arithmetic() && !(t.class == Class::Sign && touches)
        });
        let token = &mut tokens[idx];
        let is_between = prev_is_number && next_is_number;
        let word = &text[token.start..token.end];
        match token.class {
            Class::Value | Class::Word if is_between && OPERATORS.contains(&word) => {
                token.class = Class::Binary;
            }
            Class::Word if prev_is_number && is_operated && !CONNECTIVES.contains(&word) => {
                token.class = Class::Unit;
            }
            Class::Word if next.is_some_and(|t| t.class == Class::Equals) => {
                token.class = Class::Value;
            }
            _ => {}
        }
    }
}

const OPERATORS: [&str; 6] = ["x", "X", "mod", "times", "plus", "minus"];
const CONNECTIVES: [&str; 8] = ["to", "is", "and", "or", "of", "by", "in", "from"];

/// Whether two neighboring tokens can be in the same formula.
fn joins(a: &Token, b: &Token) -> bool {
    let is_text = |t: &Token| matches!(t.class, Class::Break | Class::Word);
    if is_text(a) || is_text(b) {
        return false;
    }
    // Values side by side multiply (`2(x + 1)`); with a space between only if brackets show it.
    let multiplies = a.ends_value() && b.starts_value();
    let touches = a.end == b.start;
    let spaced_ok = a.takes_argument() || a.class == Class::Command || b.class == Class::Command;
    !multiplies || touches || spaced_ok || matches!(b.class, Class::Unit | Class::Open)
}

/// Cuts a run at brackets without a partner and at commas outside brackets.
///
/// Kinds of brackets are not told apart: `[2, 5)` is an interval.
fn split_run(run: &[Token]) -> Vec<&[Token]> {
    let mut is_cut = vec![false; run.len()];
    let mut open = Vec::new();
    for (idx, token) in run.iter().enumerate() {
        match token.class {
            Class::Open => open.push(idx),
            Class::Close if open.pop().is_none() => is_cut[idx] = true,
            _ => {}
        }
    }
    // What is left open encloses no matched pair, so a cut there never separates one.
    for idx in open {
        is_cut[idx] = true;
    }
    let mut depth = 0;
    for (idx, token) in run.iter().enumerate() {
        match token.class {
            Class::Open if !is_cut[idx] => depth += 1,
            Class::Close if !is_cut[idx] => depth -= 1,
            Class::Comma if depth == 0 => is_cut[idx] = true,
            _ => {}
        }
    }
    let mut parts = Vec::new();
    let mut from = 0;
    for idx in (0..run.len()).filter(|idx| is_cut[*idx]) {
        parts.push(&run[from..idx]);
        from = idx + 1;
    }
    parts.push(&run[from..]);
    parts
}

/// Drops operators that have no operand at the ends; `= 25` and `-3 + x` keep theirs.
fn trim_run(mut part: &[Token]) -> &[Token] {
    while let [rest @ .., last] = part {
        if last.ends_value() {
            break;
        }
        part = rest;
    }
    while let [first, rest @ ..] = part {
        let next = rest.first();
        let is_kept = match first.class {
            Class::Equals => next.is_some_and(|t| t.starts_value() || t.class == Class::Sign),
            Class::Sign => next.is_some_and(|t| t.starts_value() && t.start == first.end),
            _ => first.starts_value() && first.class != Class::Unit,
        };
        if is_kept {
            break;
        }
        part = rest;
    }
    part
}

fn is_formula(part: &[Token]) -> bool {
    let (mut n_values, mut has_comma) = (0, false);
    for (idx, token) in part.iter().enumerate() {
        let prev = idx.checked_sub(1).map(|prev| part[prev]);
        let is_inside = prev.is_some_and(|t| t.ends_value()) && idx + 1 < part.len();
        match token.class {
            Class::Binary | Class::Sign | Class::Relation if is_inside => return true,
            Class::Equals if idx + 1 < part.len() => return true,
            Class::Command | Class::Note | Class::Prefix => return true,
            Class::Open if prev.is_some_and(|t| t.is_callable() && t.end == token.start) => {
                return true;
            }
            Class::Number | Class::Value => n_values += 1,
            Class::Comma => has_comma = true,
            _ => {}
        }
    }
    has_comma && n_values >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Vec<&str> {
        let mut spans = Vec::new();
        plain_spans(text, 0..text.len(), &mut spans);
        spans.into_iter().map(|span| &text[span]).collect()
    }

    #[test]
    fn equations_and_expressions_are_found_without_the_prose_around() {
        for (text, expected) in [
            ("So 3 + 4 = 7.", vec!["3 + 4 = 7"]),
            ("take x^2 - 1, then", vec!["x^2 - 1"]),
            ("x = 5 and y = 3", vec!["x = 5", "y = 3"]),
            ("2^5 - 1 = 31", vec!["2^5 - 1 = 31"]),
            ("so 3*sqrt(13) it is", vec!["3*sqrt(13)"]),
            (
                "Distance = sqrt( (x2 - x1)^2 )",
                vec!["Distance = sqrt( (x2 - x1)^2 )"],
            ),
            ("(since 9*13=117).", vec!["9*13=117"]),
            ("(x = 5)", vec!["(x = 5)"]),
            ("the points (2, -6) and", vec!["(2, -6)"]),
            ("3 x 4 = 12", vec!["3 x 4 = 12"]),
            ("6 *2.5 = 15", vec!["6 *2.5 = 15"]),
            ("17 mod 5 = 2", vec!["17 mod 5 = 2"]),
            ("so 6 times 7 is 42", vec!["6 times 7"]),
            (
                "e^{i\u{3b8}} = \\lfloor x \\rfloor",
                vec!["e^{i\u{3b8}} = \\lfloor x \\rfloor"],
            ),
            ("\\left( x + 1 \\right)^2", vec!["\\left( x + 1 \\right)^2"]),
            (
                "is 1,200 + 3.5 = 1,203.5, ok",
                vec!["1,200 + 3.5 = 1,203.5"],
            ),
            ("$5 + $6 = $11", vec!["$5 + $6 = $11"]),
            ("= 25", vec!["= 25"]),
            ("S = N/2 [2a + (N-1)d] ok", vec!["S = N/2 [2a + (N-1)d]"]),
            ("AB + BC = AC", vec!["AB + BC = AC"]),
            ("f(x) = 2x", vec!["f(x) = 2x"]),
            ("- x = 5\n* y = 2", vec!["x = 5", "y = 2"]),
            (
                "6 \u{d7} 7 = 42 \u{2264} 50",
                vec!["6 \u{d7} 7 = 42 \u{2264} 50"],
            ),
            (r"the answer is \boxed{42}.", vec![r"\boxed{42}"]),
            (r"\frac{1}{2} + x \leq 3", vec![r"\frac{1}{2} + x \leq 3"]),
            ("|x - 3| = 5", vec!["|x - 3| = 5"]),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }

    #[test]
    fn a_gsm8k_step_is_one_formula() {
        for (text, expected) in [
            (
                "Natalia sold 48/2 = <<48/2=24>>24 clips",
                "48/2 = <<48/2=24>>24",
            ),
            (
                "earns 12/60 = $<<12/60=0.2>>0.2 per",
                "12/60 = $<<12/60=0.2>>0.2",
            ),
            (
                "paid $15 +$23=$<<15+23=38>>38 of",
                "$15 +$23=$<<15+23=38>>38",
            ),
            (
                "earned 0.2 x 50 = $<<0.2*50=10>>10.",
                "0.2 x 50 = $<<0.2*50=10>>10",
            ),
            (
                "has 5 apples * 2 = <<5*2=10>>10 apples",
                "5 apples * 2 = <<5*2=10>>10",
            ),
        ] {
            assert_eq!(plain(text), [expected], "{text}");
        }
    }

    #[test]
    fn prose_is_left_alone() {
        for text in [
            "a well-known 5-sided shape",
            "it costs $5 and $6",
            "I am - a bit - lost",
            "and/or",
            "1, 2, 4, 7",
            "(a) first (b) second",
            "word(s)",
            "see <think> and </think>",
            "http://a.bc/de",
            "**bold** and *it*",
            "x-axis",
            "wait... what?",
            "5!",
            "| a | b |",
            "1. First",
            "",
            "<< >> <<",
            r"C:\Users\name",
            "- 5 apples",
            "'quoted' don't",
            "(from 2 to -4)",
        ] {
            assert_eq!(plain(text), [""; 0], "{text}");
        }
    }
}
