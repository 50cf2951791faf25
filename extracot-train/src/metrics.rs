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
    /// [`CoreError::Io`] if the file cannot be read or written, [`CoreError::JsonLine`] for a row among
    /// those that stay that is none, or behind which a step is missing.
    pub fn resume(path: &Path, n_steps: usize) -> Result<Self, CoreError> {
        let kept = match n_steps {
            0 => String::new(),
            _ => {
                let text = std::fs::read_to_string(path).map_err(CoreError::io("read", path))?;
                rows_before(&text, n_steps, path)?.to_owned()
            }
        };
        write_atomic(path, |out| out.write_all(kept.as_bytes()))?;
        let file = OpenOptions::new().append(true).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: file.map_err(CoreError::io("write", path))?,
        })
    }

    /// Waits until the disk has what was written: a state must not be ahead of its log.
    ///
    /// # Errors
    ///
    /// [`CoreError::Io`] if it cannot be written.
    pub fn sync(&self) -> Result<(), CoreError> {
        let synced = self.file.sync_data();
        synced.map_err(CoreError::io("write", &self.path))
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

/// The rows of the first `n_steps` steps.
fn rows_before<'a>(text: &'a str, n_steps: usize, path: &Path) -> Result<&'a str, CoreError> {
    let fail = |line: usize, message: String| CoreError::JsonLine {
        path: path.to_owned(),
        line,
        message,
    };
    let (mut end, mut n_seen) = (0, 0);
    for (idx, line) in text.split_inclusive('\n').enumerate() {
        if n_seen == n_steps && !line.ends_with('\n') {
            break;
        }
        let row: AtStep =
            serde_json::from_str(line).map_err(|error| fail(idx + 1, error.to_string()))?;
        if row.step >= n_steps {
            break;
        }
        // Rows of a step stand together; steps follow each other.
        if row.step != n_seen && row.step + 1 != n_seen {
            return Err(fail(
                idx + 1,
                format!("step {n_seen} is missing before step {}", row.step),
            ));
        }
        n_seen = row.step + 1;
        end += line.len();
    }
    match n_seen == n_steps && text[..end].ends_with('\n') {
        true => Ok(&text[..end]),
        false => {
            let n_lines = text[..end].lines().count();
            Err(fail(
                n_lines + 1,
                format!("step {n_seen} of the {n_steps} of the state is missing"),
            ))
        }
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
        // A row of a step that a state has done is missing, or is none.
        let damaged = |text: String, n_steps: usize| {
            std::fs::write(&path, text).unwrap();
            StepLog::resume(&path, n_steps).unwrap_err().to_string()
        };
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        let found = damaged([lines[0], lines[2], lines[3]].concat(), 4);
        assert!(
            found.contains("events.jsonl:2: step 1 is missing"),
            "{found}"
        );
        let found = damaged([lines[0], "{}\n", lines[2]].concat(), 3);
        assert!(found.contains("events.jsonl:2: missing field"), "{found}");
        let found = damaged(lines[..3].concat(), 4);
        assert!(found.contains("events.jsonl:4: step 3 of the 4"), "{found}");
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
