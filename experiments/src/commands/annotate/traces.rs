//! Input rows of `extracot annotate`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use extracot_core::label::chat::atom_costs;
use extracot_core::{AtomizedCot, Problem, Tokenizer, segment};
use serde::Deserialize;
use serde_json::Value;

use crate::commands::rows;

#[derive(Debug, Deserialize)]
struct Row {
    id: Value,
    question: String,
    think: String,
    solution: Option<String>,
    answer: Option<Value>,
}

/// A think text to label.
#[derive(Debug)]
pub(super) struct Trace {
    /// Its line in the input, from 1.
    pub(super) line: usize,
    /// Its question, and what the row says of the solution; the answer may be empty.
    pub(super) problem: Problem,
    /// Its atoms.
    pub(super) cot: AtomizedCot,
    /// Cost of every atom.
    pub(super) costs: Vec<usize>,
    /// Why it cannot be labeled, whoever does it.
    pub(super) blocked: Option<&'static str>,
}

/// The traces of a file. Ids are texts or numbers; a number becomes its text.
///
/// # Errors
///
/// If the file cannot be read, a line is malformed or an id comes twice, by file and line.
pub(super) fn read(
    path: &Path,
    tokenizer: Option<&dyn Tokenizer>,
    needs_answer: bool,
) -> Result<Vec<Trace>> {
    let found: Vec<(usize, Row)> = rows::read(path)?;
    if found.is_empty() {
        bail!("{} has no rows", path.display());
    }
    let trace = |(line, row): (usize, Row)| {
        let trace = trace(line, row, tokenizer, needs_answer);
        trace.with_context(|| format!("{}:{line}", path.display()))
    };
    let traces = found.into_iter().map(trace).collect::<Result<Vec<_>>>()?;
    let ids: Vec<(usize, Value)> = traces
        .iter()
        .map(|trace| (trace.line, Value::from(trace.problem.id.as_str())))
        .collect();
    rows::check_ids(path, ids.iter().map(|(line, id)| (*line, id)))?;
    Ok(traces)
}

fn trace(
    line: usize,
    row: Row,
    tokenizer: Option<&dyn Tokenizer>,
    needs_answer: bool,
) -> Result<Trace> {
    let answer = match &row.answer {
        None | Some(Value::Null) => String::new(),
        Some(answer) => rows::text_of(answer).context("`answer` is neither a text nor a number")?,
    };
    let cot = segment(&row.think);
    let blocked = match (row.think.trim().is_empty(), answer.trim().is_empty()) {
        (true, _) => Some("empty_think"),
        (_, true) if needs_answer => Some("no_gold_answer"),
        _ => None,
    };
    Ok(Trace {
        line,
        problem: Problem {
            id: rows::text_of(&row.id).context("`id` is neither a text nor a number")?,
            question: row.question,
            solution: row.solution,
            answer,
            difficulty: None,
            options: Vec::new(),
        },
        costs: atom_costs(&cot, tokenizer),
        cot,
        blocked,
    })
}
