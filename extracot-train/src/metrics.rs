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

/// Writes rows as JSON lines, each flushed, so that a killed run keeps what it reported.
#[derive(Debug)]
pub struct JsonLinesSink {
    path: PathBuf,
    file: File,
}

impl JsonLinesSink {
    /// Starts the file anew.
    ///
    /// # Errors
    ///
    /// [`CoreError::Io`] if it cannot be created.
    pub fn create(path: &Path) -> Result<Self, CoreError> {
        let file = File::create(path).map_err(CoreError::io("create", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Goes on behind the rows of the first `n_steps` steps; later ones, and what a killed run left of a
    /// row, are removed.
    ///
    /// # Errors
    ///
    /// [`CoreError::Io`] if the file cannot be read or written.
    pub fn resume(path: &Path, n_steps: usize) -> Result<Self, CoreError> {
        let text = std::fs::read_to_string(path).map_err(CoreError::io("read", path))?;
        let is_earlier = |line: &&str| {
            serde_json::from_str::<MetricRow>(line).is_ok_and(|row| row.step < n_steps)
        };
        let kept: String = text
            .split_inclusive('\n')
            .take_while(is_earlier)
            .filter(|line| line.ends_with('\n'))
            .collect();
        write_atomic(path, |out| out.write_all(kept.as_bytes()))?;
        let file = OpenOptions::new().append(true).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: file.map_err(CoreError::io("write", path))?,
        })
    }
}

impl MetricSink for JsonLinesSink {
    fn record(&mut self, row: &MetricRow) -> Result<(), CoreError> {
        let mut line = serde_json::to_vec(row)
            .map_err(|error| CoreError::io("write", &self.path)(error.into()))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(CoreError::io("write", &self.path))
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
        let mut sink = JsonLinesSink::create(&path).unwrap();
        for step in 0..5 {
            sink.record(&row(step)).unwrap();
        }
        let whole = std::fs::read_to_string(&path).unwrap();
        // Killed within the last row.
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        for n_steps in [4, 2, 0] {
            let mut sink = JsonLinesSink::resume(&path, n_steps).unwrap();
            for step in n_steps..5 {
                sink.record(&row(step)).unwrap();
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap(), whole, "{n_steps}");
        }
    }
}
