//! Traces and their labels, in pairs, apart for training and judging.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use extracot_core::jsonl::read_numbered_jsonl;
use extracot_core::label::{KeepLabels, KeepRangeRow, text_or_number};
use extracot_core::{AtomizedCot, Seed, segment};
use extracot_models::scorer::{ClassifierInput, InputLayout};
use extracot_train::KeepExample;
use extracot_train::compressor_trainer::HeldOutText;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::commands::training::share_of;

#[derive(Debug, Deserialize)]
struct TraceRow {
    #[serde(deserialize_with = "text_or_number")]
    id: String,
    question: String,
    think: String,
}

/// A trace with its labels.
#[derive(Debug)]
pub(super) struct LabeledTrace {
    pub(super) id: String,
    pub(super) question: String,
    pub(super) cot: AtomizedCot,
    pub(super) labels: KeepLabels,
}

/// Reads rows that have an id, by it; an id that comes twice is an error.
fn read_by_id<T: DeserializeOwned>(
    path: &Path,
    id: impl Fn(&T) -> &String,
) -> Result<BTreeMap<String, (usize, T)>> {
    let mut rows: BTreeMap<String, (usize, T)> = BTreeMap::new();
    for (line, row) in read_numbered_jsonl::<T>(path)? {
        let id = id(&row).clone();
        if let Some((first, _)) = rows.get(&id) {
            bail!(
                "{}:{line}: id `{id}` is that of line {first} too",
                path.display()
            );
        }
        rows.insert(id, (line, row));
    }
    Ok(rows)
}

/// The traces that have labels, in the order of their ids, and what became of the rows.
///
/// # Errors
///
/// A row that cannot be read or labels that do not fit their trace, by file and line; no pair at all.
pub(super) fn read(
    traces: &Path,
    labels: &Path,
) -> Result<(Vec<LabeledTrace>, BTreeMap<String, u64>)> {
    let trace_rows = read_by_id(traces, |row: &TraceRow| &row.id)?;
    let mut label_rows = read_by_id(labels, |row: &KeepRangeRow| &row.id)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut count = |reason: String| *counts.entry(reason).or_default() += 1;
    let mut pairs = Vec::new();
    for (id, (_, trace)) in trace_rows {
        let Some((line, row)) = label_rows.remove(&id) else {
            count("trace without labels".to_owned());
            continue;
        };
        let cot = segment(&trace.think);
        let place = || format!("{}:{line}: labels of `{id}`", labels.display());
        let annotator = row.annotator.as_deref().unwrap_or("(no name)");
        count(format!("labeled by {annotator}"));
        let labels = row.labels(cot.n_atoms()).with_context(place)?;
        if cot.n_atoms() == 0 {
            count("dropped: empty think text".to_owned());
            continue;
        }
        pairs.push(LabeledTrace {
            id,
            question: trace.question,
            cot,
            labels,
        });
    }
    for _ in label_rows {
        count("labels without a trace".to_owned());
    }
    if pairs.is_empty() {
        bail!(
            "no trace of {} has labels in {}: {counts:?}",
            traces.display(),
            labels.display()
        );
    }
    Ok((pairs, counts))
}

/// The traces to train on and those to judge by. Which a trace is depends on its question (its id, if it
/// has none) and the seed, and on no other trace: several traces of a question stay together.
///
/// # Errors
///
/// If either is empty where the share asks for it.
pub(super) fn split(
    pairs: Vec<LabeledTrace>,
    share: f64,
    seed: Seed,
) -> Result<(Vec<LabeledTrace>, Vec<LabeledTrace>)> {
    let n_pairs = pairs.len();
    let (held_out, train): (Vec<_>, Vec<_>) = pairs
        .into_iter()
        .partition(|pair| is_held_out(pair, share, seed));
    if train.is_empty() || (held_out.is_empty() && share > 0.0) {
        bail!(
            "held_out_share = {share} leaves {} of {n_pairs} traces to train on and {} to judge by; \
             choose another share or seed, or 0 to judge by none",
            train.len(),
            held_out.len()
        );
    }
    Ok((train, held_out))
}

fn is_held_out(pair: &LabeledTrace, share: f64, seed: Seed) -> bool {
    let words: Vec<&str> = pair.question.split_whitespace().collect();
    let key = match words.is_empty() {
        true => pair.id.clone(),
        false => words.join(" ").to_lowercase(),
    };
    share_of(&key, share, seed)
}

/// The windows of the traces.
///
/// # Errors
///
/// A question that leaves no room for its think text, by id.
pub(super) fn examples(
    traces: &[LabeledTrace],
    layout: &InputLayout<'_>,
) -> Result<Vec<KeepExample>> {
    let mut examples = Vec::new();
    for trace in traces {
        let inputs = ClassifierInput::windows(&trace.question, &trace.cot, layout)
            .with_context(|| format!("trace `{}`", trace.id))?;
        examples.extend(inputs.into_iter().map(|input| KeepExample {
            input,
            keep: trace.labels.as_slice().to_vec(),
        }));
    }
    Ok(examples)
}

/// The texts to judge by.
///
/// # Errors
///
/// As [`examples`], so that a run does not fail at its first look.
pub(super) fn held_out_texts(
    traces: &[LabeledTrace],
    layout: &InputLayout<'_>,
) -> Result<Vec<HeldOutText>> {
    examples(traces, layout)?;
    let text = |trace: &LabeledTrace| HeldOutText {
        question: trace.question.clone(),
        cot: trace.cot.clone(),
        labels: trace.labels.clone(),
    };
    Ok(traces.iter().map(text).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn pair(id: &str) -> LabeledTrace {
        LabeledTrace {
            id: id.to_owned(),
            question: String::new(),
            cot: segment("a b"),
            labels: KeepLabels::new(vec![true, false]),
        }
    }

    fn ids(traces: &[LabeledTrace]) -> Vec<&str> {
        traces.iter().map(|trace| trace.id.as_str()).collect()
    }

    #[test]
    fn traces_of_one_question_are_on_one_side() {
        let pairs: Vec<LabeledTrace> = (0..400)
            .map(|idx| LabeledTrace {
                question: ["Is it  A?", "is it a?"][idx % 2].to_owned() + &(idx / 4).to_string(),
                ..pair(&format!("t{idx}"))
            })
            .collect();
        let (train, held_out) = split(pairs, 0.3, Seed(1)).unwrap();
        let sides = |traces: &[LabeledTrace]| -> std::collections::BTreeSet<String> {
            let keys = traces
                .iter()
                .map(|t| t.question[t.question.find('?').unwrap()..].to_owned());
            keys.collect()
        };
        assert!(sides(&train).is_disjoint(&sides(&held_out)));
        assert_eq!(sides(&train).len() + sides(&held_out).len(), 100);
    }

    #[test]
    fn without_questions_the_split_is_by_id_and_seed() {
        let all: Vec<String> = (0..1000).map(|i| format!("t{i}")).collect();
        let held_out = |names: &[&str], share: f64, seed: u64| -> Vec<String> {
            let pairs = names.iter().map(|name| pair(name)).collect();
            let (train, held_out) = split(pairs, share, Seed(seed)).unwrap();
            assert_eq!(train.len() + held_out.len(), names.len());
            ids(&held_out).into_iter().map(str::to_owned).collect()
        };
        let names: Vec<&str> = all.iter().map(String::as_str).collect();
        let first = held_out(&names, 0.1, 1);
        // 100 are expected, with a deviation of 9.5.
        assert!((60..140).contains(&first.len()), "{}", first.len());
        // Neither the order nor the other traces matter.
        let reversed: Vec<&str> = names.iter().rev().copied().collect();
        let mut other = held_out(&reversed, 0.1, 1);
        other.reverse();
        assert_eq!(first, other);
        let half = held_out(&names[..500], 0.1, 1);
        assert_eq!(half[..], first[..half.len()]);
        // A larger share takes more of them, another seed takes others.
        let more = held_out(&names, 0.3, 1);
        assert!(first.iter().all(|id| more.contains(id)));
        assert_ne!(first, held_out(&names, 0.1, 2));
        assert!(held_out(&names, 0.0, 1).is_empty());
    }

    #[test]
    fn a_share_that_leaves_nothing_is_refused() {
        for share in [0.0001, 0.9999] {
            let error = split(vec![pair("a"), pair("b")], share, Seed(1)).unwrap_err();
            assert!(error.to_string().contains("held_out_share"), "{error}");
        }
    }

    #[test]
    fn rows_are_paired_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let traces = file(
            "traces.jsonl",
            r#"{"id": "b", "question": "q", "think": "one two three", "answer": "3"}
{"id": 7, "question": "q", "think": "one two"}
{"id": "none", "question": "q", "think": "one"}
{"id": "empty", "question": "q", "think": ""}
"#,
        );
        let labels = file(
            "labels.jsonl",
            r#"{"id": "empty", "ranges": [], "n_atoms": 0}
{"id": "7", "ranges": ["001-002"], "annotator": "x"}
{"id": "b", "ranges": ["1", "003-003"], "annotator": "x", "n_atoms": 3}
{"id": "gone", "ranges": []}
"#,
        );
        let (pairs, counts) = read(&traces, &labels).unwrap();
        assert_eq!(ids(&pairs), ["7", "b"]);
        assert_eq!(pairs[1].labels.as_slice(), [true, false, true]);
        let counts: Vec<(&str, u64)> = counts.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        assert_eq!(
            counts,
            [
                ("dropped: empty think text", 1),
                ("labeled by (no name)", 1),
                ("labeled by x", 2),
                ("labels without a trace", 1),
                ("trace without labels", 1),
            ]
        );

        for (text, message) in [
            (r#"{"id": "b"}"#, "labels.jsonl:1: missing field `ranges`"),
            (
                "\n{\"id\": \"b\", \"ranges\": [\"2-9\"]}",
                "labels.jsonl:2: labels of `b`: keep range 2-9",
            ),
            (
                r#"{"id": "b", "ranges": ["x"]}"#,
                "labels.jsonl:1: labels of `b`: keep ranges",
            ),
            (
                r#"{"id": "b", "ranges": [], "n_atoms": 4}"#,
                "labels.jsonl:1: labels of `b`: keep ranges of problem `b` are for 4 atoms",
            ),
            (
                "{\"id\": \"b\", \"ranges\": []}\n{\"id\": \"b\", \"ranges\": []}",
                "labels.jsonl:2: id `b` is that of line 1",
            ),
            (r#"{"id": "gone", "ranges": []}"#, "no trace of"),
        ] {
            let labels = file("labels.jsonl", text);
            let error = format!("{:#}", read(&traces, &labels).unwrap_err());
            assert!(error.contains(message), "`{message}` is not in: {error}");
        }
        let traces = file("traces.jsonl", "{\"id\": 1, \"question\": \"q\"}");
        let error = format!("{:#}", read(&traces, &labels).unwrap_err());
        assert!(
            error.contains("traces.jsonl:1: missing field `think`"),
            "{error}"
        );
    }
}
