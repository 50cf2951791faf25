//! Where loops report their numbers: metric keys are `group/name_unit` (`docs/metrics.md`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use extracot_core::CoreError;
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
