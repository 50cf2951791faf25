//! Where loops report their numbers: metric keys are `group/name_unit` (`docs/metrics.md`).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use extracot_core::CoreError;
use extracot_core::jsonl::write_atomic;
use serde::{Deserialize, Serialize};

use crate::update::StepStats;

/// The metrics of one step of one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricRow {
    /// The stage.
    pub stage: String,
    /// From 0.
    pub step: usize,
    /// Values by key.
    pub metrics: BTreeMap<String, f64>,
}

/// Takes metric rows.
pub trait MetricSink {
    /// Takes one row.
    ///
    /// # Errors
    ///
    /// If the row cannot be kept.
    fn record(&mut self, row: &MetricRow) -> Result<(), CoreError>;
}

/// Keeps rows in memory.
#[derive(Debug, Clone, Default)]
pub struct MemorySink {
    /// The rows so far.
    pub rows: Vec<MetricRow>,
}

impl MetricSink for MemorySink {
    fn record(&mut self, row: &MetricRow) -> Result<(), CoreError> {
        self.rows.push(row.clone());
        Ok(())
    }
}

/// JSON lines of a run, each with its `step`: a killed run keeps what it reported.
#[derive(Debug)]
pub struct StepLog {
    path: PathBuf,
    file: File,
}

/// What every row of a [`StepLog`] has.
#[derive(Debug, Deserialize)]
struct AtStep {
    step: usize,
}

impl StepLog {
    /// Starts the file anew.
    ///
    /// # Errors
    ///
    /// [`CoreError::Io`] if it cannot be created.
    pub fn create(path: &Path) -> Result<Self, CoreError> {
        Self::resume(path, 0)
    }

    /// Goes on behind the rows of the first `n_steps` steps; later ones, and what a killed run left of a
    /// row, are removed.
    ///
    /// # Errors
    ///
    /// [`CoreError::Io`] if the file cannot be read or written.
    pub fn resume(path: &Path, n_steps: usize) -> Result<Self, CoreError> {
        let kept = match n_steps {
            0 => String::new(),
            _ => {
                let text = std::fs::read_to_string(path).map_err(CoreError::io("read", path))?;
                let is_earlier = |line: &&str| {
                    serde_json::from_str::<AtStep>(line).is_ok_and(|row| row.step < n_steps)
                };
                text.split_inclusive('\n')
                    .take_while(is_earlier)
                    .filter(|line| line.ends_with('\n'))
                    .collect()
            }
        };
        write_atomic(path, |out| out.write_all(kept.as_bytes()))?;
        let file = OpenOptions::new().append(true).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: file.map_err(CoreError::io("write", path))?,
        })
    }

    /// Writes rows, in one piece.
    ///
    /// # Errors
    ///
    /// [`CoreError::Io`] if they cannot be written.
    pub fn append<T: Serialize>(
        &mut self,
        rows: impl IntoIterator<Item = T>,
    ) -> Result<(), CoreError> {
        let mut lines = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut lines, &row)
                .map_err(|error| CoreError::io("write", &self.path)(error.into()))?;
            lines.push(b'\n');
        }
        let written = self.file.write_all(&lines);
        written.map_err(CoreError::io("write", &self.path))
    }
}

impl MetricSink for StepLog {
    fn record(&mut self, row: &MetricRow) -> Result<(), CoreError> {
        self.append([row])
    }
}

impl MetricRow {
    /// The row of an optimizer step.
    pub fn of_step(stage: &str, step: usize, stats: &StepStats) -> Self {
        let metrics = [
            ("optim/loss", stats.loss),
            ("optim/grad_norm", stats.grad_norm),
            ("optim/learning_rate", stats.learning_rate),
        ];
        Self {
            stage: stage.to_owned(),
            step,
            metrics: metrics.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_goes_on_behind_the_steps_that_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let row = |step: usize| {
            let stats = StepStats {
                loss: 0.5,
                grad_norm: 1.0,
                learning_rate: 0.1,
            };
            MetricRow::of_step("compressor", step, &stats)
        };
        let mut sink = StepLog::create(&path).unwrap();
        for step in 0..5 {
            sink.record(&row(step)).unwrap();
        }
        let whole = std::fs::read_to_string(&path).unwrap();
        // Killed within the last row.
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        for n_steps in [4, 2, 0] {
            let mut sink = StepLog::resume(&path, n_steps).unwrap();
            for step in n_steps..5 {
                sink.record(&row(step)).unwrap();
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap(), whole, "{n_steps}");
        }
    }
}
