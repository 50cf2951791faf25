//! `extracot compress`: think texts at one or more ratios.

mod counts;

use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use extracot_core::compress::quality::{self, QualityConfig};
use extracot_core::jsonl::{stream_jsonl, write_atomic};
use extracot_core::{CoreError, KeepRatio, segment};
use extracot_models::HfTokenizer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compressor::{
    self, CompressorSettings, SelectionArguments, Targets, Texts, with_compressor,
};
use super::rows::is_stream;
use super::scorer::ScorerName;
use crate::progress::Progress;
use counts::Counts;

/// Compresses think texts to ratios of their tokens, atom by atom: no formula is ever cut.
///
/// Reads {"id", "question", "think"}, and "answer" if it is known. Writes, per row and ratio, {"id",
/// "target_ratio", "compressed", "kept_tokens", "total_tokens", "kept_spans", "degenerate",
/// "lost_protected"}: kept_spans are [start, end) byte offsets into think, degenerate names the rule
/// that a text breaks, or null. Rows are read, scored and written a few at a time.
#[derive(Debug, Args)]
pub struct Compress {
    /// JSON lines to read; - is standard input
    #[arg(long = "in", value_name = "FILE", default_value = "-")]
    input: PathBuf,
    /// JSON lines to write; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// What scores the atoms: a folder with a trained token classifier, llmlingua2:DIR (the baseline of
    /// TokenSkip, which cuts formulas), surprisal:DIR (a causal model), heuristic, position,
    /// position-last or random
    #[arg(long, value_name = "SCORER")]
    scorer: ScorerName,
    /// Folder with the tokenizer.json of the policy: it counts the cost; the scorer's own by default
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// Ratios of kept to all tokens, in (0, 1]
    #[arg(long, value_delimiter = ',', value_parser = parse_ratio, default_value = "0.2,0.4,0.6,0.8", conflicts_with = "threshold")]
    ratios: Vec<KeepRatio>,
    /// Keep what scores above this instead, whatever it costs; a classifier's scores are log odds
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    threshold: Option<f32>,
    #[command(flatten)]
    selection: SelectionArguments,
    /// Leave out texts that are no use for training, instead of naming the rule they break
    #[arg(long)]
    drop_degenerate: bool,
    /// flex (CPU), vulkan, wgpu or cuda; :N for a GPU of that number, :cpu for a software device
    #[arg(long, default_value = "flex")]
    device: String,
    /// Threads, all cores by default; no result depends on their number
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print no progress
    #[arg(long)]
    quiet: bool,
}

fn parse_ratio(text: &str) -> Result<KeepRatio, String> {
    let value: f64 = text
        .parse()
        .map_err(|_| "a ratio is a number such as 0.4")?;
    KeepRatio::try_new(value).map_err(|error| error.to_string())
}

#[derive(Debug, Deserialize)]
struct Row {
    id: Value,
    question: String,
    think: String,
    /// A number is read as its text.
    #[serde(default)]
    answer: Value,
}

#[derive(Debug, Serialize)]
struct Compressed<'a> {
    id: &'a Value,
    target_ratio: Option<KeepRatio>,
    compressed: &'a str,
    kept_tokens: usize,
    total_tokens: usize,
    kept_spans: &'a [(usize, usize)],
    degenerate: Option<&'static str>,
    lost_protected: usize,
}

/// Runs the command.
///
/// # Errors
///
/// If the scorer or the tokenizer cannot be used, or an input row, by file and line; an output file is
/// then not written.
pub fn run(arguments: &Compress) -> Result<()> {
    crate::device::set_threads(arguments.threads)?;
    let device = crate::device::device(&arguments.device)?;
    let folder = arguments.tokenizer.as_deref().or(arguments.scorer.folder());
    let Some(folder) = folder else {
        bail!(
            "--scorer {} needs --tokenizer DIR, which counts the cost",
            arguments.scorer
        );
    };
    let tokenizer = HfTokenizer::load(folder)?;
    let settings = CompressorSettings {
        scorer: &arguments.scorer,
        selection: &arguments.selection,
        targets: match arguments.threshold {
            Some(threshold) => Targets::Threshold(threshold),
            None => Targets::Ratios(&arguments.ratios),
        },
        tokenizer: &tokenizer,
        device: &device,
    };
    with_compressor(&settings, |compress| stream(arguments, compress))
}

/// Bytes read in all, and since the last look.
#[derive(Default)]
struct BytesRead(Cell<usize>, Cell<usize>);

impl BytesRead {
    fn take(&self) -> (usize, usize) {
        (self.0.get(), self.1.take())
    }
}

/// A source that counts what is read from it.
struct Counted<'a> {
    source: Box<dyn Read>,
    read: &'a BytesRead,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.read.0.update(|all| all + n);
        self.read.1.update(|new| new + n);
        Ok(n)
    }
}

/// Reads, compresses and writes a few rows at a time.
fn stream(arguments: &Compress, compress: &compressor::Compress<'_>) -> Result<()> {
    let compress = |rows: &[Row]| {
        let items: Vec<(&str, &str)> = rows
            .iter()
            .map(|row| (row.question.as_str(), row.think.as_str()))
            .collect();
        compress(&items)
    };
    let (source, n_bytes): (Box<dyn Read>, u64) = match is_stream(&arguments.input) {
        true => (Box::new(std::io::stdin().lock()), 0),
        false => {
            let place = || format!("cannot read {}", arguments.input.display());
            let file = File::open(&arguments.input).with_context(place)?;
            let n_bytes = file.metadata().with_context(place)?.len();
            (Box::new(file), n_bytes)
        }
    };
    let progress = Progress::new("compress", n_bytes as usize, "bytes", arguments.quiet);
    let mut counts = Counts::default();
    let read = BytesRead::default();
    let source = BufReader::new(Counted {
        source,
        read: &read,
    });
    let mut rows = stream_jsonl::<Row>(source, &arguments.input);
    let mut work = |out: &mut dyn Write| -> Result<()> {
        loop {
            let (lines, batch): (Vec<usize>, Vec<Row>) = rows
                .by_ref()
                .take(arguments.selection.batch_rows.get())
                .collect::<Result<Vec<_>, CoreError>>()?
                .into_iter()
                .unzip();
            if batch.is_empty() {
                return Ok(());
            }
            let texts = compress(&batch).or_else(|error| {
                // Which row it was is found by trying them one by one.
                for (line, row) in lines.iter().zip(&batch) {
                    compress(std::slice::from_ref(row))
                        .with_context(|| format!("{}:{line}", arguments.input.display()))?;
                }
                Err(error)
            })?;
            for (row, texts) in batch.iter().zip(texts) {
                write_row(arguments, row, &texts, &mut counts, out)?;
            }
            let (n_read, n_new) = read.take();
            progress.advance(n_new, &format!("{} rows, {n_read} bytes", counts.n_rows()));
        }
    };
    if is_stream(&arguments.out) {
        let mut out = BufWriter::new(std::io::stdout().lock());
        work(&mut out)?;
        out.flush().context("cannot write to standard output")?;
    } else {
        // A row that cannot be used is no failure of the file: it is reported as what it is.
        let mut stopped = None;
        let written = write_atomic(&arguments.out, |out| {
            work(out).map_err(|error| {
                stopped = Some(error);
                std::io::Error::other("stopped")
            })
        });
        if let Some(error) = stopped {
            return Err(error);
        }
        written?;
    }
    drop(progress);
    if !arguments.quiet {
        counts.report();
    }
    Ok(())
}

fn write_row(
    arguments: &Compress,
    row: &Row,
    texts: &Texts,
    counts: &mut Counts,
    out: &mut dyn Write,
) -> Result<()> {
    let original = segment(&row.think);
    let gold = match &row.answer {
        Value::Null => String::new(),
        Value::String(answer) => answer.clone(),
        other => other.to_string(),
    };
    let config = QualityConfig::default();
    counts.add_row(&row.think);
    for (compressed, lost_protected) in texts {
        let checked = quality::check(&original, compressed, &row.question, &gold, &config);
        let degenerate = checked.err().map(|degenerate| degenerate.reason());
        let is_dropped = arguments.drop_degenerate && degenerate.is_some();
        counts.add(compressed, degenerate, *lost_protected, is_dropped);
        if is_dropped {
            continue;
        }
        let line = Compressed {
            id: &row.id,
            target_ratio: compressed.target_ratio,
            compressed: &compressed.text,
            kept_tokens: compressed.kept_tokens,
            total_tokens: compressed.total_tokens,
            kept_spans: &compressed.kept_spans,
            degenerate,
            lost_protected: *lost_protected,
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
