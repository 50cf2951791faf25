//! Steps as they are logged and shown.

use anyhow::Result;
use extracot_core::CoreError;
use extracot_train::metrics::{MetricRow, MetricSink, StepLog};

use super::RunFolder;
use super::folder::EVENTS;
use crate::progress::Progress;

/// Logs every step and shows it.
pub(in crate::commands) struct StepProgress {
    log: StepLog,
    progress: Progress,
    /// Metric keys to show, each with the word for it.
    shown: &'static [(&'static str, &'static str)],
    /// Their last values.
    values: Vec<Option<f64>>,
}

impl StepProgress {
    /// Goes on with the log of a run of `n_steps` steps.
    pub(in crate::commands) fn open(
        folder: &RunFolder,
        n_steps: usize,
        shown: &'static [(&'static str, &'static str)],
        quiet: bool,
    ) -> Result<Self> {
        Ok(Self {
            log: StepLog::resume(&folder.file(EVENTS), folder.n_done)?,
            progress: Progress::new(
                folder.name,
                n_steps.saturating_sub(folder.n_done),
                "steps",
                quiet,
            ),
            shown,
            values: vec![None; shown.len()],
        })
    }
}

impl MetricSink for StepProgress {
    fn record(&mut self, row: &MetricRow) -> Result<(), CoreError> {
        self.log.record(row)?;
        self.log.sync()?;
        let mut words = Vec::new();
        for ((key, word), value) in self.shown.iter().zip(&mut self.values) {
            *value = row.metrics.get(*key).copied().or(*value);
            words.extend(value.map(|value| format!("{word} {value:.3}")));
        }
        self.progress.advance(1, &words.join(", "));
        Ok(())
    }
}
