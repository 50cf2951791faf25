//! Runs of several seeds as Markdown.

use std::fmt::Write;

use extracot_core::report::{Comparison, EvalSummary};
use extracot_core::stats::Interval;

use super::text::p_phrase;

/// A row of the table.
#[derive(Debug, Clone)]
pub struct PooledRow {
    /// Its name.
    pub name: String,
    /// Over all runs.
    pub pooled: EvalSummary,
    /// Of each run.
    pub runs: Vec<EvalSummary>,
}

/// One row against another.
#[derive(Debug, Clone)]
pub struct PooledPair {
    /// The one.
    pub this: String,
    /// The other.
    pub other: String,
    /// This minus the other.
    pub comparison: Comparison,
    /// Holm's p-value over all pairs.
    pub adjusted_p: f64,
}

impl PooledPair {
    /// The p-value before it is adjusted.
    pub fn p(&self) -> f64 {
        let bootstrap = self.comparison.accuracy.p_two_sided;
        self.comparison
            .mcnemar
            .map_or(bootstrap, |test| test.p_two_sided)
    }
}

/// Two tables: the rows, and the pairs.
pub fn render_pooled_markdown(rows: &[PooledRow], pairs: &[PooledPair]) -> String {
    let mut out = String::from(
        "| row | ActRatio | accuracy, % | tokens | ActRatio by run | accuracy by run |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in rows {
        let by_run = |value: fn(&EvalSummary) -> f64, digits: usize| {
            let values = row
                .runs
                .iter()
                .map(|run| format!("{:.digits$}", value(run)));
            values.collect::<Vec<_>>().join(", ")
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.1} | {} | {} |",
            row.name,
            interval(&row.pooled.act_ratio, 1.0, 3),
            interval(&row.pooled.accuracy, 100.0, 1),
            row.pooled.think_tokens,
            by_run(|run| run.act_ratio.estimate, 3),
            by_run(|run| 100.0 * run.accuracy.estimate, 1),
        );
    }
    if pairs.is_empty() {
        return out;
    }
    out += "\n| pair | accuracy, points | McNemar | adjusted (Holm) | tokens |\n|---|---|---|---|---|\n";
    for pair in pairs {
        let Comparison {
            accuracy,
            think_tokens,
            ..
        } = &pair.comparison;
        let _ = writeln!(
            out,
            "| {} minus {} | {:+.1} [{:+.1}, {:+.1}] | {} | {} | {:+.1} [{:+.1}, {:+.1}] |",
            pair.this,
            pair.other,
            100.0 * accuracy.mean,
            100.0 * accuracy.low,
            100.0 * accuracy.high,
            p_phrase(pair.p()),
            p_phrase(pair.adjusted_p),
            think_tokens.mean,
            think_tokens.low,
            think_tokens.high,
        );
    }
    out
}

fn interval(found: &Interval, scale: f64, digits: usize) -> String {
    let [estimate, low, high] = [found.estimate, found.low, found.high].map(|v| v * scale);
    format!("{estimate:.digits$} [{low:.digits$}, {high:.digits$}]")
}
