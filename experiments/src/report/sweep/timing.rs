//! The table of times.

use super::tables::{TextTable, head};
use crate::report::text::{MISSING, number};
use crate::sweep::{Spread, SweepRow, SweepSummary, Timing};

fn milliseconds(spread: Option<&Spread>, of: fn(&Spread) -> f64) -> String {
    spread.map_or(MISSING.to_owned(), |spread| number(1000.0 * of(spread), 1))
}

/// Throughput, requests, and completions that had the model to themselves.
pub(super) fn timing_table(summary: &SweepSummary, timings: &[&Timing]) -> TextTable {
    let both = |spread: Option<&Spread>| match spread {
        None => MISSING.to_owned(),
        some => format!(
            "{} / {}",
            milliseconds(some, |s| s.p50),
            milliseconds(some, |s| s.p99)
        ),
    };
    let line = |(row, timing): (&SweepRow, &&Timing)| {
        let alone = timing.alone.as_ref();
        let rate = timing.tokens_per_s();
        vec![
            row.level.clone(),
            rate.map_or(MISSING.to_owned(), |rate| number(rate, 1)),
            both(timing.request_s.as_ref()),
            alone.map_or(MISSING.to_owned(), |alone| alone.n.to_string()),
            both(alone.map(|alone| &alone.first_token_s)),
            both(alone.and_then(|alone| alone.per_token_s.as_ref())),
            both(alone.map(|alone| &alone.whole_s)),
        ]
    };
    let mut notes: Vec<String> = vec![];
    if let Some(timing) = timings.first() {
        notes.push(format!(
            "Throughput and requests: all samples, {}. Alone: one prompt at a time, after the \
             samples; first token is a completion of one token.",
            timing.side_by_side
        ));
    }
    let failed: usize = timings
        .iter()
        .filter_map(|t| Some(t.alone.as_ref()?.n_failed))
        .sum();
    if failed > 0 {
        notes.push(format!(
            "{failed} completions failed while they were timed."
        ));
    }
    if let Some(message) = timings.iter().find_map(|t| t.alone_failure.as_ref()) {
        notes.push(format!("The first that failed alone: {message}."));
    }
    TextTable {
        title: "Time".to_owned(),
        head: head(&[
            "level",
            "tokens/s",
            "request ms p50/p99",
            "n alone",
            "first token ms p50/p99",
            "per token ms p50/p99",
            "whole ms p50/p99",
        ]),
        lines: summary.rows.iter().zip(timings).map(line).collect(),
        notes,
    }
}
