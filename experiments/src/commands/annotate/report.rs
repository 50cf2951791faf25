//! What became of all traces: on stderr, and as JSON beside the labels.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use extracot_core::jsonl::write_atomic;
use extracot_core::label::chat::{AskRounds, Tolerance, WindowOutcome};
use extracot_core::{AtomKind, AtomizedCot};
use serde::Serialize;

use super::job::{Job, Labeling};
use super::windows::WindowState;
use crate::openai::Usage;

/// A part of a whole.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Kept {
    kept: usize,
    total: usize,
    /// `kept / total`; null without a total.
    share: Option<f64>,
}

impl Kept {
    fn add(&mut self, kept: usize, total: usize) {
        self.kept += kept;
        self.total += total;
        self.share = (self.total > 0).then(|| self.kept as f64 / self.total as f64);
    }
}

/// Counts of a chat annotator, over all runs whose answers are kept.
#[derive(Debug, Serialize)]
pub(super) struct ChatCounts {
    /// Windows by their last outcome; `not_asked`, `still_empty`.
    windows: BTreeMap<String, u64>,
    /// Outcomes of all rounds.
    replies: BTreeMap<String, u64>,
    /// What was tolerated in replies.
    tolerances: BTreeMap<Tolerance, u64>,
    /// Requests that were sent, repeated ones included.
    requests: u64,
    #[serde(flatten)]
    usage: Usage,
    /// By the prices given; null without any.
    cost: Option<f64>,
    /// Why asking stopped before the end, if it did.
    stopped_by: Option<String>,
}

impl ChatCounts {
    /// Sums up the windows.
    pub(super) fn new<'a>(
        states: impl Iterator<Item = &'a WindowState>,
        asking: &AskRounds,
        stopped_by: Option<String>,
        (price_in, price_out): (Option<f64>, Option<f64>),
    ) -> Self {
        let mut counts = Self {
            windows: BTreeMap::new(),
            replies: BTreeMap::new(),
            tolerances: BTreeMap::new(),
            requests: 0,
            usage: Usage::default(),
            cost: None,
            stopped_by,
        };
        for state in states {
            let name = match state.settled(asking.n_rounds) {
                None => "not_asked",
                Some(WindowOutcome::Empty) => "still_empty",
                Some(other) => other.name(),
            };
            *counts.windows.entry(name.to_owned()).or_insert(0) += 1;
            for (name, n) in &state.outcomes {
                *counts.replies.entry(name.clone()).or_insert(0) += n;
            }
            for (tolerance, n) in &state.tolerances {
                *counts.tolerances.entry(*tolerance).or_insert(0) += n;
            }
            counts.requests += state.n_requests;
            counts.usage += state.usage;
        }
        if price_in.is_some() || price_out.is_some() {
            let million = |tokens: u64| tokens as f64 / 1e6;
            counts.cost = Some(
                price_in.unwrap_or(0.0) * million(counts.usage.prompt_tokens)
                    + price_out.unwrap_or(0.0) * million(counts.usage.completion_tokens),
            );
        }
        counts
    }
}

/// What became of all traces.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    annotator: String,
    /// Traces of the input.
    pub(super) traces: usize,
    /// Traces with labels.
    labeled: usize,
    /// Of these, how many had them before this run.
    labeled_earlier: usize,
    /// Traces without labels, by reason.
    unlabeled: BTreeMap<String, usize>,
    /// Of every reason the first message.
    messages: BTreeMap<String, String>,
    /// Atoms of the labeled traces.
    atoms: Kept,
    /// The same by kind of atom: equations, other formulas, numbers outside of formulas, words.
    by_kind: BTreeMap<&'static str, Kept>,
    /// Costs of these atoms.
    tokens: Kept,
    /// `tokenizer`, or `bytes / 4`.
    token_unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat: Option<ChatCounts>,
}

impl Report {
    /// Counts.
    ///
    /// # Errors
    ///
    /// If labels do not fit their text.
    pub(super) fn new(job: &Job, labeling: Labeling) -> Result<Self> {
        let mut report = Self {
            annotator: job.annotator.clone(),
            traces: job.traces.len(),
            labeled: 0,
            labeled_earlier: job.earlier.len(),
            unlabeled: BTreeMap::new(),
            messages: BTreeMap::new(),
            atoms: Kept::default(),
            by_kind: BTreeMap::new(),
            tokens: Kept::default(),
            token_unit: match job.has_tokenizer {
                true => "tokenizer",
                false => "bytes / 4",
            },
            chat: labeling.chat,
        };
        for (trace, row) in job.traces.iter().zip(labeling.rows) {
            match row {
                Ok(row) => {
                    let labels = row.labels(trace.cot.n_atoms())?;
                    let costs = trace.costs.iter().zip(labels.as_slice());
                    let kept = costs.filter(|(_, is_kept)| **is_kept);
                    let kept: usize = kept.map(|(cost, _)| cost).sum();
                    report.labeled += 1;
                    report.atoms.add(labels.n_kept(), trace.cot.n_atoms());
                    for (atom_idx, is_kept) in labels.as_slice().iter().enumerate() {
                        let of_kind = report.by_kind.entry(kind(&trace.cot, atom_idx));
                        of_kind.or_default().add(usize::from(*is_kept), 1);
                    }
                    report.tokens.add(kept, trace.costs.iter().sum());
                }
                Err(why) => {
                    *report.unlabeled.entry(why.reason.clone()).or_insert(0) += 1;
                    if !why.message.is_empty() {
                        report.messages.entry(why.reason).or_insert(why.message);
                    }
                }
            }
        }
        Ok(report)
    }

    /// Traces without labels.
    pub(super) fn n_unlabeled(&self) -> usize {
        self.traces - self.labeled
    }

    /// The reasons with their counts.
    pub(super) fn reasons(&self) -> String {
        listed(&self.unlabeled)
    }

    /// Writes `OUT.report.json`.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(super) fn write(&self, out: &Path) -> Result<()> {
        let mut name = out.as_os_str().to_owned();
        name.push(".report.json");
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(write_atomic(&PathBuf::from(name), |file| {
            file.write_all(text.as_bytes())
        })?)
    }
}

fn kind(cot: &AtomizedCot, atom_idx: usize) -> &'static str {
    match cot.atoms()[atom_idx].kind {
        AtomKind::Formula if cot.core_text(atom_idx).contains('=') => "equation",
        AtomKind::Formula => "formula",
        AtomKind::Number => "number",
        AtomKind::Word => "word",
    }
}

fn listed<N: fmt::Display>(counts: &BTreeMap<String, N>) -> String {
    let pairs: Vec<String> = counts
        .iter()
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    pairs.join(", ")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (labeled, traces) = (self.labeled, self.traces);
        write!(
            f,
            "{}: {labeled} of {traces} traces labeled",
            self.annotator
        )?;
        match self.labeled_earlier {
            0 => writeln!(f)?,
            n => writeln!(f, ", {n} of them before")?,
        }
        if !self.unlabeled.is_empty() {
            writeln!(f, "unlabeled: {}", self.reasons())?;
        }
        for (reason, message) in &self.messages {
            writeln!(f, "  {reason}: {message}")?;
        }
        if let (Some(atoms), Some(tokens)) = (self.atoms.share, self.tokens.share) {
            let (atoms, tokens, unit) = (atoms * 100.0, tokens * 100.0, self.token_unit);
            writeln!(
                f,
                "kept: {atoms:.1} % of the atoms, {tokens:.1} % of the tokens ({unit})"
            )?;
            let kinds = self.by_kind.iter().filter_map(|(kind, kept)| {
                let (share, total) = (kept.share? * 100.0, kept.total);
                Some(format!("{kind} {share:.1} % of {total}"))
            });
            writeln!(f, "kept by kind: {}", kinds.collect::<Vec<_>>().join(", "))?;
        }
        let Some(chat) = &self.chat else {
            return Ok(());
        };
        writeln!(f, "windows: {}", listed(&chat.windows))?;
        writeln!(f, "replies: {}", listed(&chat.replies))?;
        let Usage {
            prompt_tokens,
            completion_tokens,
        } = chat.usage;
        write!(
            f,
            "requests: {}, {prompt_tokens} prompt tokens, {completion_tokens} completion tokens",
            chat.requests
        )?;
        match chat.cost {
            Some(cost) => writeln!(f, ", cost {cost:.4}")?,
            None => writeln!(f)?,
        }
        match &chat.stopped_by {
            Some(why) => writeln!(f, "stopped: {why}"),
            None => Ok(()),
        }
    }
}
