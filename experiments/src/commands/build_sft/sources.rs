//! Traces and teacher budgets of `extracot build-sft`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use extracot_core::sft::{Tally, check_trace};
use extracot_core::{KeepLevel, MathVerifier, Problem, ReasoningTrace, Tokenizer};
use serde::Deserialize;
use serde_json::Value;

use crate::commands::rows;

#[derive(Debug, Deserialize)]
struct TraceRow {
    id: Value,
    question: String,
    think: String,
    visible: String,
    /// A number is read as its text.
    #[serde(default)]
    answer: Value,
    #[serde(default)]
    options: Vec<String>,
}

/// The traces of a file that may be trained on, and what became of the others.
///
/// # Errors
///
/// If the file cannot be read, a line is malformed or an id comes twice, by file and line.
pub(super) fn read_traces(
    path: &Path,
    tokenizer: &dyn Tokenizer,
    turn_close: &str,
) -> Result<(Vec<ReasoningTrace>, Tally)> {
    let found: Vec<(usize, TraceRow)> = rows::read(path)?;
    let mut tally = Tally::default();
    let mut traces = Vec::new();
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for (line, row) in found {
        let place = || format!("{}:{line}", path.display());
        let problem = problem(&row).with_context(place)?;
        if let Some(first) = lines.insert(problem.id.clone(), line) {
            bail!(
                "{}: the id `{}` is that of line {first} too",
                place(),
                problem.id
            );
        }
        let outcome = check_trace(
            &problem,
            &row.think,
            &row.visible,
            turn_close,
            &MathVerifier,
        );
        tally.count(outcome.map_err(|unusable| unusable.reason()));
        if outcome.is_ok() {
            traces.push(ReasoningTrace {
                problem,
                think_tokens: tokenizer.n_tokens(&row.think),
                think: row.think,
                visible: row.visible,
            });
        }
    }
    Ok((traces, tally))
}

fn problem(row: &TraceRow) -> Result<Problem> {
    let answer = match &row.answer {
        Value::Null => String::new(),
        answer => rows::text_of(answer).context("`answer` is neither a text nor a number")?,
    };
    Ok(Problem {
        id: rows::text_of(&row.id).context("`id` is neither a text nor a number")?,
        question: row.question.clone(),
        solution: None,
        answer,
        difficulty: None,
        options: row.options.clone(),
    })
}

#[derive(Debug, Deserialize)]
struct BudgetRow {
    id: Value,
    budget: Option<KeepLevel>,
}

/// Teacher budgets by id.
///
/// # Errors
///
/// If the file cannot be read, a line is malformed or an id comes twice, by file and line.
pub(super) fn read_budgets(path: &Path) -> Result<BTreeMap<String, Option<KeepLevel>>> {
    let mut budgets = BTreeMap::new();
    for (line, row) in rows::read::<BudgetRow>(path)? {
        let place = || format!("{}:{line}", path.display());
        let id = rows::text_of(&row.id).context("`id` is neither a text nor a number");
        let id = id.with_context(place)?;
        if budgets.insert(id.clone(), row.budget).is_some() {
            bail!("{}: the id `{id}` stands twice", place());
        }
    }
    Ok(budgets)
}
