//! A reply to an outcome: strictly, then with tolerances that are counted by name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::WindowOutcome;
use crate::label::row::parse_bounds;

/// Characters of a reply that a message quotes.
const N_QUOTED: usize = 80;

/// What was tolerated in a reply. None of it changes which pieces the reply means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tolerance {
    /// The object stands in a code fence.
    CodeFence,
    /// Other text stands around the object. Of several objects with the key the last one counts.
    SurroundingText,
    /// The object has further keys.
    ExtraKeys,
    /// An entry is a number, not a text.
    NumberEntry,
    /// An entry has its last piece first.
    ReversedRange,
    /// The entries do not rise.
    UnsortedRanges,
    /// Entries have pieces in common.
    OverlappingRanges,
}

/// A reply that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedReply {
    /// `Labeled`, `Empty`, `BadJson` or `WrongIndex`.
    pub outcome: WindowOutcome,
    /// What had to be tolerated, each kind once.
    pub tolerances: BTreeSet<Tolerance>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictReply {
    ranges: Vec<String>,
}

#[derive(Deserialize)]
struct LooseReply {
    ranges: Vec<Entry>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an entry is a text or a number")]
enum Entry {
    Text(String),
    Number(usize),
}

/// Reads the reply for a window of `n_atoms` pieces.
///
/// A number that no piece has makes the whole reply a [`WindowOutcome::WrongIndex`]: a model that
/// lost count may be wrong in its other entries too, so nothing is clamped.
pub fn parse_reply(text: &str, n_atoms: usize) -> ParsedReply {
    let mut tolerances = BTreeSet::new();
    let outcome = entries(text, &mut tolerances)
        .and_then(|entries| ranges(entries, n_atoms, &mut tolerances))
        .map_or_else(
            |outcome| outcome,
            |ranges| match ranges.is_empty() {
                true => WindowOutcome::Empty,
                false => WindowOutcome::Labeled { ranges },
            },
        );
    ParsedReply {
        outcome,
        tolerances,
    }
}

fn bad_json(what: &str, reply: &str) -> WindowOutcome {
    let quoted: String = reply.trim().chars().take(N_QUOTED).collect();
    WindowOutcome::BadJson {
        message: format!("{what}: {quoted:?}"),
    }
}

/// The entries of the object in a reply.
fn entries(text: &str, tolerances: &mut BTreeSet<Tolerance>) -> Result<Vec<Entry>, WindowOutcome> {
    if let Ok(strict) = serde_json::from_str::<StrictReply>(text) {
        return Ok(strict.ranges.into_iter().map(Entry::Text).collect());
    }
    let (before, object, after) =
        last_object(text).ok_or_else(|| bad_json("no object with the key `ranges`", text))?;
    let reply: LooseReply =
        serde_json::from_str(object).map_err(|error| bad_json(&error.to_string(), object))?;
    let around = (before.trim(), after.trim());
    if matches!(around, ("```" | "```json", "```")) {
        tolerances.insert(Tolerance::CodeFence);
    } else if around != ("", "") {
        tolerances.insert(Tolerance::SurroundingText);
    }
    if !reply.others.is_empty() {
        tolerances.insert(Tolerance::ExtraKeys);
    }
    Ok(reply.ranges)
}

/// The last JSON object of a text that has the key `ranges`, with what stands around it.
fn last_object(text: &str) -> Option<(&str, &str, &str)> {
    let mut found = None;
    let mut from = 0;
    while let Some(offset) = text[from..].find('{') {
        let start = from + offset;
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        let value = values.next();
        from = start + 1;
        if let Some(Ok(value)) = value
            && value.get("ranges").is_some()
        {
            from = start + values.byte_offset();
            found = Some((&text[..start], &text[start..from], &text[from..]));
        }
    }
    found
}

/// The entries as ranges that rise and do not touch.
fn ranges(
    entries: Vec<Entry>,
    n_atoms: usize,
    tolerances: &mut BTreeSet<Tolerance>,
) -> Result<Vec<(usize, usize)>, WindowOutcome> {
    let mut ranges = Vec::with_capacity(entries.len());
    for entry in entries {
        let (first, last) = match entry {
            Entry::Number(index) => {
                tolerances.insert(Tolerance::NumberEntry);
                (index, index)
            }
            Entry::Text(text) => {
                parse_bounds(&text).ok_or_else(|| bad_json("an entry is no range", &text))?
            }
        };
        if last < first {
            tolerances.insert(Tolerance::ReversedRange);
        }
        ranges.push((first.min(last), first.max(last)));
    }
    let indices = ranges.iter().flat_map(|(first, last)| [*first, *last]);
    if let Some(index) = indices.into_iter().find(|idx| *idx == 0 || *idx > n_atoms) {
        return Err(WindowOutcome::WrongIndex { index, n_atoms });
    }
    if !ranges.is_sorted() {
        tolerances.insert(Tolerance::UnsortedRanges);
        ranges.sort_unstable();
    }
    let mut joined: Vec<(usize, usize)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1 + 1 => {
                if first <= before.1 {
                    tolerances.insert(Tolerance::OverlappingRanges);
                }
                before.1 = before.1.max(last);
            }
            _ => joined.push((first, last)),
        }
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> (WindowOutcome, Vec<Tolerance>) {
        let reply = parse_reply(text, 40);
        (reply.outcome, reply.tolerances.into_iter().collect())
    }

    fn labeled(ranges: &[(usize, usize)]) -> WindowOutcome {
        WindowOutcome::Labeled {
            ranges: ranges.to_vec(),
        }
    }

    #[test]
    fn the_form_asked_for_needs_no_tolerance() {
        let reply = "\n{\"ranges\": [\"005-012\", \"013-020\", \"40\"]}\n";
        // Ranges that touch are one.
        assert_eq!(read(reply), (labeled(&[(5, 20), (40, 40)]), vec![]));
        assert_eq!(read(r#"{"ranges":[]}"#), (WindowOutcome::Empty, vec![]));
    }

    #[test]
    fn what_is_tolerated_is_counted_by_name() {
        let object = r#"{"ranges": ["2-3"]}"#;
        let same = labeled(&[(2, 3)]);
        for (reply, tolerance) in [
            (format!("```json\n{object}\n```"), Tolerance::CodeFence),
            (format!("```\n{object}```"), Tolerance::CodeFence),
            (
                format!("Here {{it}} is: {object}"),
                Tolerance::SurroundingText,
            ),
            (
                format!("{{\"ranges\":[\"1-9\"]}}</think>{object} Done."),
                Tolerance::SurroundingText,
            ),
            (
                format!("{{\"result\": {object}}}"),
                Tolerance::SurroundingText,
            ),
            (
                r#"{"ranges": ["2-3"], "why": "x"}"#.to_owned(),
                Tolerance::ExtraKeys,
            ),
            (r#"{"ranges": [2, "3"]}"#.to_owned(), Tolerance::NumberEntry),
            (
                r#"{"ranges": ["3-2"]}"#.to_owned(),
                Tolerance::ReversedRange,
            ),
            (
                r#"{"ranges": ["3", "2"]}"#.to_owned(),
                Tolerance::UnsortedRanges,
            ),
            (
                r#"{"ranges": ["2-3", "3"]}"#.to_owned(),
                Tolerance::OverlappingRanges,
            ),
        ] {
            assert_eq!(read(&reply), (same.clone(), vec![tolerance]), "{reply}");
        }
        let fenced = "```json\n{\"ranges\": []}\n```";
        assert_eq!(
            read(fenced),
            (WindowOutcome::Empty, vec![Tolerance::CodeFence])
        );
    }

    #[test]
    fn a_piece_that_is_not_there_spoils_the_reply() {
        for (entry, index) in [
            ("\"39-41\"", 41),
            ("\"000-003\"", 0),
            ("\"99999999999999999999999\"", usize::MAX),
            ("41", 41),
        ] {
            let reply = format!("{{\"ranges\": [\"1-2\", {entry}]}}");
            let wrong = WindowOutcome::WrongIndex { index, n_atoms: 40 };
            assert_eq!(parse_reply(&reply, 40).outcome, wrong, "{reply}");
        }
    }

    #[test]
    fn what_has_another_form_is_bad_json() {
        for reply in [
            "",
            "I keep 1-3.",
            r#"{"ranges": ["1-3""#,
            r#"{"ranges": "1-3"}"#,
            r#"{"ranges": null}"#,
            r#"{"ranges": ["one"]}"#,
            r#"{"ranges": ["1-2-3"]}"#,
            r#"{"ranges": [-4]}"#,
            r#"{"ranges": [1.5]}"#,
            r#"{"ranges": ["1"], "ranges": ["2"]}"#,
            r#"["1-3"]"#,
            r#"{"keep": ["1-3"]}"#,
        ] {
            let (outcome, _) = read(reply);
            assert_eq!(outcome.name(), "bad_json", "{reply}: {outcome:?}");
        }
        let long = "x".repeat(1_000_000);
        let WindowOutcome::BadJson { message } = read(&long).0 else {
            panic!("no bad json");
        };
        assert!(message.len() < 200, "{message}");
    }

    proptest! {
        #[test]
        fn any_text_is_an_outcome_on_the_window(
            text in prop_oneof![
                any::<String>(),
                r#"[a `{]{0,3}\{"ranges": ?\[("[0-9]{1,2}(-[0-9]{1,2})?",?){0,4}\]\}.{0,3}"#,
            ],
            n_atoms in 1_usize..60,
        ) {
            if let WindowOutcome::Labeled { ranges } = parse_reply(&text, n_atoms).outcome {
                prop_assert!(ranges.iter().all(|(a, b)| 1 <= *a && a <= b && *b <= n_atoms));
                prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            }
        }
    }
}
