//! Numbers and words between formulas.

use std::ops::Range;

use super::Core;
use super::glue::{CLOSERS, OPENERS};
use crate::AtomKind;

/// Appends the numbers and words of a gap to `cores`.
pub(super) fn push_words(text: &str, gap: Range<usize>, cores: &mut Vec<Core>) {
    let mut start = None;
    let mut prev = None;
    for (offset, c) in text[gap.clone()].char_indices() {
        let pos = gap.start + offset;
        let is_cut = c.is_whitespace()
            || (c.is_alphanumeric() && prev.is_some_and(|p| is_cut_between(p, c)));
        if let Some(from) = start.filter(|_| is_cut) {
            push_word(text, from..pos, cores);
            start = None;
        }
        if !c.is_whitespace() && start.is_none() {
            start = Some(pos);
        }
        prev = Some(c);
    }
    if let Some(from) = start {
        push_word(text, from..gap.end, cores);
    }
}

/// Chinese and Japanese have no spaces: each character is a word.
fn is_cut_between(before: char, after: char) -> bool {
    let closes_cjk = matches!(before, '\u{3001}' | '\u{3002}' | '\u{ff01}'..='\u{ff1f}');
    is_cjk(after) && !OPENERS.contains(before) || is_cjk(before) || closes_cjk
}

fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

fn push_word(text: &str, core: Range<usize>, cores: &mut Vec<Core>) {
    let word = &text[core.clone()];
    if let Some((AtomKind::Number, number)) = cores.last_mut()
        && is_unit(word)
        && &text[number.end..core.start] == " "
        && text[number.clone()].ends_with(|c: char| c.is_alphanumeric())
        && !text[number.clone()].contains(' ')
    {
        number.end = core.end;
        return;
    }
    cores.push((
        if is_number(word) {
            AtomKind::Number
        } else {
            AtomKind::Word
        },
        core,
    ));
}

/// Whether a word starts with a digit, after brackets, a sign and a currency.
fn is_number(word: &str) -> bool {
    word.trim_start_matches(|c| OPENERS.contains(c) || "+-\u{2212}.~#\\$\u{20ac}\u{a3}".contains(c))
        .starts_with(char::is_numeric)
}

fn is_unit(word: &str) -> bool {
    let name = word.trim_end_matches(|c| CLOSERS.contains(c));
    UNITS.contains(&name)
        || name
            .strip_suffix('s')
            .is_some_and(|one| UNITS.contains(&one))
}

const UNITS: [&str; 47] = [
    "mm",
    "cm",
    "m",
    "km",
    "inch",
    "inches",
    "foot",
    "feet",
    "ft",
    "yard",
    "mile",
    "g",
    "kg",
    "mg",
    "gram",
    "kilogram",
    "pound",
    "lb",
    "ounce",
    "oz",
    "ton",
    "ml",
    "liter",
    "litre",
    "gallon",
    "cup",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "min",
    "cent",
    "dollar",
    "euro",
    "percent",
    "degree",
    "mph",
    "meter",
    "metre",
    "kilometer",
    "centimeter",
    "unit",
    "km/h",
    "m/s",
];
