//! What became of all traces: as JSON, and on stderr.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use extracot_core::jsonl::write_atomic;
use extracot_core::sft::{QueueCounts, Tally};
use serde::Serialize;

/// What became of all traces.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Traces of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traces: Option<Tally>,
    /// Rows of `--compressed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) compressed: Option<Tally>,
    /// Usable traces, by queue.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) queues: Option<QueueCounts>,
    /// Rows of `--budgets` whose problem has no usable trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) budgets_without_trace: Option<usize>,
    /// Examples of `--from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) read_back: Option<Tally>,
    /// Examples written.
    examples: usize,
    /// Their tokens, prompt and completion together.
    tokens: usize,
    /// Those of the longest.
    longest: usize,
    /// The most that an example may have.
    pub(super) max_tokens: Option<usize>,
    /// Control tokens and think tags that the tokenizer lacked; they get the next ids.
    pub(super) tokens_added: usize,
}

impl Report {
    /// Counts an example of so many tokens.
    pub(super) fn add(&mut self, n_tokens: usize) {
        self.examples += 1;
        self.tokens += n_tokens;
        self.longest = self.longest.max(n_tokens);
    }

    /// Writes it.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        Ok(write_atomic(path, |out| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            out.write_all(b"\n")
        })?)
    }
}

fn line(f: &mut fmt::Formatter<'_>, what: &str, tally: &Tally) -> fmt::Result {
    write!(
        f,
        "[build-sft] {what}: {} of {} used",
        tally.used, tally.candidates
    )?;
    for (reason, n) in &tally.dropped {
        write!(f, ", {n} {reason}")?;
    }
    writeln!(f)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tallies = [
            ("traces", &self.traces),
            ("compressed texts", &self.compressed),
            ("examples read", &self.read_back),
        ];
        for (what, tally) in tallies {
            if let Some(tally) = tally {
                line(f, what, tally)?;
            }
        }
        if let Some(queues) = &self.queues {
            for (level, tally) in &queues.fixed {
                line(f, &format!("fixed queue, level {level}"), tally)?;
            }
            if queues.policy.candidates > 0 {
                line(f, "policy queue", &queues.policy)?;
                let levels = queues.policy_levels.iter();
                let levels: Vec<String> =
                    levels.map(|(level, n)| format!("{level}: {n}")).collect();
                writeln!(
                    f,
                    "[build-sft] policy queue by level: {}",
                    levels.join(", ")
                )?;
            }
        }
        if let Some(n) = self.budgets_without_trace.filter(|n| *n > 0) {
            writeln!(
                f,
                "[build-sft] {n} budgets of problems without a usable trace"
            )?;
        }
        writeln!(
            f,
            "[build-sft] {} examples of {} tokens, the longest of {}",
            self.examples, self.tokens, self.longest
        )
    }
}
