//! `extracot verify`: verdicts on answers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use extracot_core::jsonl::{stream_jsonl, write_atomic};
use extracot_core::verify::{ExtractionRule, extract_visible};
use extracot_core::{CoreError, MathVerifier};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value};

use super::response_text::ResponseText;
use super::rows::is_stream;
use crate::sweep::VerdictName;

/// Rows that are judged side by side and then written.
const CHUNK: usize = 4096;

/// Judges answers against gold ones.
///
/// Reads {"id", "gold", "pred"} with a bare answer, or {"id", "gold", "response"} with a whole
/// completion, of which what follows the think text counts. Gold and pred are texts or numbers.
/// Writes {"id", "verdict", "extracted", "rule", "how"} in order: verdict is correct, incorrect,
/// no_answer or undecided (then "reason" tells why), extracted the answer that was judged, rule how it
/// was found (null for pred), how what the comparison rests on. Further keys of a row are ignored.
///
/// A row that cannot be read ends the command with its line; a file is written whole or not at all.
#[derive(Debug, Args)]
pub struct Verify {
    /// JSON lines to read; - is standard input
    #[arg(long = "in", value_name = "FILE", default_value = "-")]
    input: PathBuf,
    /// JSON lines to write; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Threads, all cores by default; no verdict depends on their number
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print no counts
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Serialize)]
struct Judged {
    id: Value,
    verdict: VerdictName,
    extracted: Option<String>,
    rule: Option<ExtractionRule>,
    how: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Runs the command.
///
/// # Errors
///
/// The first row that is no such row, by file and line; if the input cannot be read or the output
/// cannot be written.
pub fn run(arguments: &Verify) -> Result<()> {
    crate::device::set_threads(arguments.threads)?;
    let input = &arguments.input;
    let source: Box<dyn BufRead> = match is_stream(input) {
        true => Box::new(std::io::stdin().lock()),
        false => {
            let file = File::open(input).map_err(CoreError::io("read", input))?;
            Box::new(BufReader::new(file))
        }
    };
    let mut counts = Counts::default();
    if is_stream(&arguments.out) {
        let mut out = BufWriter::new(std::io::stdout().lock());
        judge_all(source, input, &mut out, &mut counts)?;
    } else {
        // The reason of a failure is kept apart: it is not always one of writing.
        let mut failed = None;
        let written = write_atomic(&arguments.out, |out| {
            judge_all(source, input, out, &mut counts).map_err(|error| {
                failed = Some(error);
                std::io::Error::other("stopped")
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        written?;
    }
    if counts.rows == 0 {
        bail!("{} has no rows", input.display());
    }
    if !arguments.quiet {
        let rows = counts.rows;
        let [correct, incorrect, no_answer, undecided] = VerdictName::ALL.map(|v| counts.of(v));
        eprintln!(
            "{rows} rows: {correct} correct, {incorrect} incorrect, {no_answer} without an answer, \
             {undecided} undecided"
        );
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Counts {
    rows: usize,
    by_verdict: BTreeMap<VerdictName, usize>,
}

impl Counts {
    fn add(&mut self, verdict: VerdictName) {
        self.rows += 1;
        *self.by_verdict.entry(verdict).or_insert(0) += 1;
    }

    fn of(&self, verdict: VerdictName) -> usize {
        self.by_verdict.get(&verdict).copied().unwrap_or(0)
    }
}

fn judge_all(
    source: impl BufRead,
    path: &Path,
    out: &mut dyn Write,
    counts: &mut Counts,
) -> Result<()> {
    let mut rows = stream_jsonl::<Map<String, Value>>(source, path);
    loop {
        // Rows before one that cannot be read are judged first: what comes out does not depend on
        // the size of a chunk.
        let chunk: Vec<_> = rows.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return out.flush().context("cannot write the output");
        }
        let judged: Vec<Result<Judged>> = chunk
            .into_par_iter()
            .map(|row| {
                let (line, row) = row?;
                judge(row).with_context(|| format!("{}:{line}", path.display()))
            })
            .collect();
        for row in judged {
            let row = row?;
            counts.add(row.verdict);
            serde_json::to_writer(&mut *out, &row)?;
            out.write_all(b"\n").context("cannot write the output")?;
        }
    }
}

fn judge(mut row: Map<String, Value>) -> Result<Judged> {
    let id = row.remove("id").context("a row without `id`")?;
    let gold = row.remove("gold").context("a row without `gold`")?;
    let gold = text(gold).context("`gold` is neither a text nor a number")?;
    let (judgement, found) = match (row.remove("pred"), row.remove("response")) {
        (Some(Value::Null), None) | (None, Some(Value::Null)) => {
            // Without a gold answer that can be read nothing is said, not even of no answer.
            (MathVerifier.explain("", &gold), None)
        }
        (Some(pred), None) => {
            let pred = text(pred).context("`pred` is neither a text nor a number")?;
            let judgement = MathVerifier.explain(&pred, &gold);
            (judgement, Some((pred, None)))
        }
        (None, Some(Value::String(response))) => {
            let visible = ResponseText::split(&response).visible;
            let found = extract_visible(visible);
            let judgement = MathVerifier.explain_visible(visible, &gold);
            let found = found.map(|found| (found.text.to_owned(), Some(found.rule)));
            (judgement, found)
        }
        (None, Some(_)) => bail!("`response` is no text"),
        (None, None) => bail!("a row without `pred` or `response`"),
        (Some(_), Some(_)) => bail!("a row with `pred` and `response`; one of them is judged"),
    };
    let (verdict, reason) = VerdictName::of(judgement.verdict);
    // Of a chain of boxes the judgement has all that was compared.
    let (found, rule) = found.unwrap_or_default();
    let extracted = judgement.answer.unwrap_or(found);
    Ok(Judged {
        id,
        verdict,
        extracted: Some(extracted).filter(|text| !text.trim().is_empty()),
        rule,
        how: judgement.how.to_string(),
        reason,
    })
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(text: &str) -> (Vec<Value>, Result<()>) {
        let mut out = Vec::new();
        let result = judge_all(
            text.as_bytes(),
            Path::new("in.jsonl"),
            &mut out,
            &mut Counts::default(),
        );
        let text = String::from_utf8(out).unwrap();
        let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
        (rows.collect(), result)
    }

    #[test]
    fn answers_and_whole_completions_are_judged_in_order() {
        let rows = [
            json!({"id": 1, "gold": "1/2", "pred": "0.5"}),
            json!({"id": "b", "gold": 7, "pred": 8}),
            // The box inside the think text is not the answer.
            json!({"id": "c", "gold": "4", "response": "<think>\\boxed{4}</think> it is \\boxed{5}"}),
            json!({"id": "d", "gold": "4", "response": "<think>\\boxed{4}", "more": []}),
            json!({"id": "e", "gold": "", "response": "\\boxed{4}"}),
            json!({"id": "f", "gold": "4", "pred": null}),
        ];
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let (judged, result) = run(&text);
        result.unwrap();
        let want = [
            (json!(1), "correct", json!("0.5"), json!(null)),
            (json!("b"), "incorrect", json!("8"), json!(null)),
            (json!("c"), "incorrect", json!("5"), json!("boxed")),
            (json!("d"), "no_answer", json!(null), json!(null)),
            (json!("e"), "undecided", json!("4"), json!("boxed")),
            (json!("f"), "no_answer", json!(null), json!(null)),
        ];
        for (row, (id, verdict, extracted, rule)) in judged.iter().zip(want) {
            assert_eq!(
                (&row["id"], &row["verdict"], &row["extracted"], &row["rule"]),
                (&id, &json!(verdict), &extracted, &rule)
            );
        }
        assert_eq!(judged.len(), rows.len());
        assert!(judged[4]["reason"].is_string() && judged[0].get("reason").is_none());
    }

    #[test]
    fn many_rows_keep_their_order_and_a_bad_one_is_named_by_line() {
        let n = CHUNK + 100;
        let mut text: String = (0..n)
            .map(|id| {
                format!(
                    "{{\"id\":{id},\"gold\":\"{id}\",\"pred\":\"{}\"}}\n",
                    id % 7
                )
            })
            .collect();
        text += "\n{\"id\":0,\"gold\":\"1\"}\n";
        let (judged, result) = run(&text);
        assert_eq!(judged.len(), n);
        assert!(judged.iter().enumerate().all(|(id, row)| row["id"] == id));
        let correct = judged.iter().filter(|row| row["verdict"] == "correct");
        assert_eq!(correct.count(), 7);
        let error = format!("{:#}", result.unwrap_err());
        let line = format!("in.jsonl:{}: a row without `pred` or `response`", n + 2);
        assert_eq!(error, line);
        for (row, why) in [
            ("{\"gold\":\"1\",\"pred\":\"1\"}", "without `id`"),
            ("{\"id\":1,\"pred\":\"1\"}", "without `gold`"),
            (
                "{\"id\":1,\"gold\":[],\"pred\":\"1\"}",
                "`gold` is neither a text",
            ),
            (
                "{\"id\":1,\"gold\":\"1\",\"pred\":\"1\",\"response\":\"\"}",
                "one of them",
            ),
            (
                "{\"id\":1,\"gold\":\"1\",\"response\":3}",
                "`response` is no text",
            ),
            ("[]", "in.jsonl:1: "),
        ] {
            let error = format!("{:#}", run(row).1.unwrap_err());
            assert!(error.contains(why), "{row}: {error}");
        }
    }
}
