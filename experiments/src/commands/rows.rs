//! JSON lines from a file or standard input, to a file or standard output.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use extracot_core::jsonl::{parse_numbered_jsonl, read_numbered_jsonl, write_jsonl};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The name of standard input and output.
const DASH: &str = "-";

/// Whether `path` stands for standard input or output.
pub fn is_stream(path: &Path) -> bool {
    path == Path::new(DASH)
}

/// Rows with their line numbers.
///
/// # Errors
///
/// If the input cannot be read; the first line that is no `T`, by file and line.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>> {
    Ok(match is_stream(path) {
        true => parse_numbered_jsonl(std::io::stdin().lock(), path)?,
        false => read_numbered_jsonl(path)?,
    })
}

/// Writes all rows: a file is written whole or not at all.
///
/// # Errors
///
/// If the output cannot be written.
pub fn write<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    if !is_stream(path) {
        return Ok(write_jsonl(path, rows)?);
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    for row in rows {
        serde_json::to_writer(&mut out, row)?;
        out.write_all(b"\n")?;
    }
    out.flush().context("cannot write to standard output")
}

/// The text of an id or an answer: a number becomes its digits.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Fails at the first id that comes twice: random streams are named by ids.
///
/// # Errors
///
/// By file and line.
pub fn check_ids<'a>(path: &Path, ids: impl Iterator<Item = (usize, &'a Value)>) -> Result<()> {
    let mut seen = std::collections::BTreeMap::new();
    for (line, id) in ids {
        if let Some(first) = seen.insert(id.to_string(), line) {
            bail!(
                "{}:{line}: id {id} is that of line {first} too",
                path.display()
            );
        }
    }
    Ok(())
}
