//! What every annotator of `extracot annotate` works on, and where its labels go.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use extracot_core::label::KeepRangeRow;
use extracot_core::{KeepLabels, Tokenizer};
use extracot_models::HfTokenizer;
use serde::{Deserialize, Serialize};

use super::Annotate;
use super::report::ChatCounts;
use super::traces::{self, Trace};
use crate::commands::rows;

/// The traces and what is known of them.
#[derive(Debug)]
pub(super) struct Job {
    /// The input.
    input: PathBuf,
    /// Where labels go.
    pub(super) out: PathBuf,
    /// The annotator's name in rows and reports.
    pub(super) annotator: String,
    /// The traces in the order of the input.
    pub(super) traces: Vec<Trace>,
    /// Labels that `--out` has already, by id.
    pub(super) earlier: BTreeMap<String, KeepRangeRow>,
    /// Whether costs are tokens of a tokenizer.
    pub(super) has_tokenizer: bool,
    /// Whether to print no progress.
    pub(super) quiet: bool,
}

/// Why a trace has no labels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct NoLabels {
    /// A short name, for counts.
    pub(super) reason: String,
    /// More on it; may be empty.
    pub(super) message: String,
}

impl NoLabels {
    /// A reason that says it all.
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            message: String::new(),
        }
    }
}

/// What became of the traces.
#[derive(Debug)]
pub(super) struct Labeling {
    /// By trace, in the order of the input.
    pub(super) rows: Vec<Result<KeepRangeRow, NoLabels>>,
    /// What a chat annotator counts.
    pub(super) chat: Option<ChatCounts>,
}

impl Job {
    /// Reads the input and, with `--resume`, the labels that are there.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or used, or there are labels and no `--resume`.
    pub(super) fn open(arguments: &Annotate) -> Result<Self> {
        let out = &arguments.out;
        if rows::is_stream(out) {
            bail!("annotate keeps answers and a report beside --out, so it needs a file there");
        }
        if out.exists() && !arguments.resume {
            bail!(
                "{} exists; add --resume to label what it lacks, or choose another --out",
                out.display()
            );
        }
        let tokenizer = match &arguments.tokenizer {
            Some(folder) => Some(HfTokenizer::load(folder)?),
            None => None,
        };
        let tokenizer = tokenizer.as_ref().map(|t| t as &dyn Tokenizer);
        let needs_answer = arguments.annotator.needs_answer();
        let traces = traces::read(&arguments.input, tokenizer, needs_answer)?;
        let mut job = Self {
            input: arguments.input.clone(),
            out: out.clone(),
            annotator: arguments.annotator.label(),
            traces,
            earlier: BTreeMap::new(),
            has_tokenizer: tokenizer.is_some(),
            quiet: arguments.quiet,
        };
        if out.exists() {
            job.earlier = job.earlier_labels()?;
        }
        Ok(job)
    }

    /// The labels in `--out`, which have to be this annotator's for these texts.
    fn earlier_labels(&self) -> Result<BTreeMap<String, KeepRangeRow>> {
        let by_id = self.traces.iter().map(|t| (t.problem.id.as_str(), t));
        let by_id: BTreeMap<&str, &Trace> = by_id.collect();
        let found: Vec<(usize, KeepRangeRow)> = rows::read(&self.out)?;
        let mut earlier = BTreeMap::new();
        for (line, row) in found {
            let place = || format!("{}:{line}", self.out.display());
            let Some(trace) = by_id.get(row.id.as_str()) else {
                bail!("{}: id `{}` is not in the input", place(), row.id);
            };
            if row.annotator.as_deref() != Some(self.annotator.as_str()) {
                let who = row.annotator.as_deref().unwrap_or("an unnamed annotator");
                bail!(
                    "{}: the labels are of {who}, not of {}",
                    place(),
                    self.annotator
                );
            }
            row.labels(trace.cot.n_atoms()).with_context(place)?;
            if let Some(row) = earlier.insert(row.id.clone(), row) {
                bail!("{}: id `{}` comes twice", place(), row.id);
            }
        }
        Ok(earlier)
    }

    /// Places of the traces that are to be labeled now.
    pub(super) fn open_places(&self) -> Vec<usize> {
        let is_open = |place: &usize| {
            let trace = &self.traces[*place];
            trace.blocked.is_none() && !self.earlier.contains_key(&trace.problem.id)
        };
        (0..self.traces.len()).filter(is_open).collect()
    }

    /// Labels from earlier, else why a trace cannot be labeled, else what `labels` says.
    pub(super) fn row(
        &self,
        place: usize,
        labels: impl FnOnce() -> Result<KeepLabels, NoLabels>,
    ) -> Result<KeepRangeRow, NoLabels> {
        let trace = &self.traces[place];
        if let Some(row) = self.earlier.get(&trace.problem.id) {
            return Ok(row.clone());
        }
        if let Some(reason) = trace.blocked {
            return Err(NoLabels::new(reason));
        }
        let labels = labels()?;
        Ok(KeepRangeRow::new(
            &trace.problem.id,
            &self.annotator,
            &labels,
        ))
    }

    /// Writes the labels that there are.
    ///
    /// # Errors
    ///
    /// If the output cannot be written.
    pub(super) fn write(&self, labeled: &[Result<KeepRangeRow, NoLabels>]) -> Result<()> {
        let labeled: Vec<&KeepRangeRow> = labeled.iter().flatten().collect();
        rows::write(&self.out, &labeled)
    }

    /// The place of a trace in the input, for errors.
    pub(super) fn line(&self, place: usize) -> String {
        format!("{}:{}", self.input.display(), self.traces[place].line)
    }
}
