//! What became of all problems: as JSON beside the output, and on stderr.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use extracot_core::KeepLevel;
use extracot_core::budget::LevelOutcome;
use extracot_core::dataset::Dataset;
use extracot_core::jsonl::write_atomic;
use serde::Serialize;

use super::row::BudgetRow;

/// Problems of one budget.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Bucket {
    /// With this budget.
    measured: usize,
    /// Of these, within the quota.
    written: usize,
}

/// Samples of one level.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Samples {
    right: usize,
    all: usize,
    /// That state no level or another one.
    stating_another: usize,
}

/// What became of all problems.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Rows of the file by what became of them.
    rows: BTreeMap<String, u64>,
    /// Hash of the file.
    hash: String,
    /// Problems that were sampled and are not written, and those that could not be sampled, by reason.
    dropped: BTreeMap<&'static str, usize>,
    /// Problems by budget; `none` if no level passes.
    budgets: BTreeMap<String, Bucket>,
    /// Samples by level.
    samples: BTreeMap<KeepLevel, Samples>,
    /// Problems by what their reference tokens are those of.
    references: BTreeMap<&'static str, usize>,
    /// Problems written.
    written: usize,
}

impl Report {
    /// Of the problems of a file.
    pub(super) fn new(problems: &Dataset) -> Self {
        Self {
            rows: problems.counts.clone(),
            hash: problems.hash.clone(),
            dropped: BTreeMap::new(),
            budgets: BTreeMap::new(),
            samples: BTreeMap::new(),
            references: BTreeMap::new(),
            written: 0,
        }
    }

    /// Counts a problem that is not written.
    pub(super) fn drop(&mut self, reason: &'static str) {
        *self.dropped.entry(reason).or_default() += 1;
    }

    /// Counts the samples of a problem at one level.
    pub(super) fn add_samples(&mut self, outcome: LevelOutcome, n_stating_another: usize) {
        let samples = self.samples.entry(outcome.level).or_default();
        samples.right += outcome.n_correct;
        samples.all += outcome.n;
        samples.stating_another += n_stating_another;
    }

    /// Counts a problem with its budget.
    pub(super) fn count(&mut self, row: &BudgetRow, is_written: bool) {
        let bucket = self.budgets.entry(row.bucket()).or_default();
        bucket.measured += 1;
        if is_written {
            bucket.written += 1;
            self.written += 1;
            *self
                .references
                .entry(row.reference_source.name())
                .or_default() += 1;
        } else {
            self.drop("over_quota");
        }
    }

    /// Writes `OUT.report.json`.
    pub(super) fn write(&self, out: &Path) -> Result<()> {
        let mut name = out.as_os_str().to_owned();
        name.push(".report.json");
        Ok(write_atomic(&PathBuf::from(name), |out| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            out.write_all(b"\n")
        })?)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (reason, n) in &self.rows {
            writeln!(f, "[budgets] {reason}: {n}")?;
        }
        for (level, samples) in &self.samples {
            writeln!(
                f,
                "[budgets] level {level}: {} of {} samples right, {} state another level",
                samples.right, samples.all, samples.stating_another
            )?;
        }
        // By level, not by letters; those without one last.
        let mut budgets: Vec<_> = self.budgets.iter().collect();
        budgets.sort_by_key(|(budget, _)| budget.parse().unwrap_or(u8::MAX));
        for (budget, bucket) in budgets {
            writeln!(
                f,
                "[budgets] budget {budget}: {} problems, {} written",
                bucket.measured, bucket.written
            )?;
        }
        for (source, n) in &self.references {
            writeln!(f, "[budgets] reference tokens of {source}: {n}")?;
        }
        for (reason, n) in &self.dropped {
            writeln!(f, "[budgets] dropped, {reason}: {n}")?;
        }
        writeln!(f, "[budgets] {} problems written", self.written)
    }
}
