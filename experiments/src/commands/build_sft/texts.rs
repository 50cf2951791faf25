//! Compressed texts of `extracot build-sft`: made by a scorer, or read.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use extracot_core::compress::CompressedCot;
use extracot_core::compress::quality::{self, QualityConfig};
use extracot_core::sft::{Tally, TraceTexts};
use extracot_core::{AtomizedCot, KeepLevel, KeepRatio, ReasoningTrace, segment};
use extracot_models::HfTokenizer;
use serde::Deserialize;
use serde_json::Value;

use super::BuildSft;
use crate::commands::compressor::{CompressorSettings, Targets, with_compressor};
use crate::commands::rows;
use crate::progress::Progress;

/// Compresses the traces to every level below 100.
///
/// # Errors
///
/// If there is no scorer for them, or it fails.
pub(super) fn make(
    arguments: &BuildSft,
    levels: &[KeepLevel],
    tokenizer: &HfTokenizer,
    traces: Vec<ReasoningTrace>,
) -> Result<Vec<TraceTexts>> {
    let levels: Vec<KeepLevel> = levels
        .iter()
        .copied()
        .filter(|l| *l != KeepLevel::FULL)
        .collect();
    if levels.is_empty() {
        let whole = |trace| TraceTexts {
            trace,
            texts: BTreeMap::new(),
        };
        return Ok(traces.into_iter().map(whole).collect());
    }
    let Some(scorer) = &arguments.scorer else {
        bail!("levels below 100 need --scorer or --compressed");
    };
    let device = crate::device::device(&arguments.device)?;
    let ratios: Vec<KeepRatio> = levels.iter().map(|level| level.ratio()).collect();
    let settings = CompressorSettings {
        scorer,
        selection: &arguments.selection,
        targets: Targets::Ratios(&ratios),
        tokenizer,
        device: &device,
    };
    let progress = Progress::new("build-sft", traces.len(), "traces", arguments.quiet);
    with_compressor(&settings, |compress| {
        let mut items = Vec::new();
        for batch in traces.chunks(arguments.selection.batch_rows.get()) {
            let pairs: Vec<(&str, &str)> = batch
                .iter()
                .map(|trace| (trace.problem.question.as_str(), trace.think.as_str()))
                .collect();
            let made = compress(&pairs).with_context(|| {
                let ids = batch.first().zip(batch.last());
                let (first, last) = ids.map_or(("", ""), |(a, b)| (&a.problem.id, &b.problem.id));
                format!("traces `{first}` to `{last}`")
            })?;
            for (trace, made) in batch.iter().zip(made) {
                let original = segment(&trace.think);
                let texts = levels
                    .iter()
                    .zip(made)
                    .map(|(level, (compressed, _))| (*level, usable(trace, &original, compressed)));
                items.push(TraceTexts {
                    texts: texts.collect(),
                    trace: trace.clone(),
                });
            }
            progress.advance(batch.len(), "");
        }
        Ok(items)
    })
}

fn usable(
    trace: &ReasoningTrace,
    original: &AtomizedCot,
    compressed: CompressedCot,
) -> Result<String, &'static str> {
    let problem = &trace.problem;
    let config = QualityConfig::default();
    let checked = quality::check(
        original,
        &compressed,
        &problem.question,
        &problem.answer,
        &config,
    );
    match checked {
        Ok(()) => Ok(compressed.text),
        Err(degenerate) => Err(degenerate.reason()),
    }
}

#[derive(Debug, Deserialize)]
struct CompressedRow {
    id: Value,
    target_ratio: Option<KeepRatio>,
    compressed: String,
    kept_tokens: usize,
    total_tokens: usize,
    kept_spans: Vec<(usize, usize)>,
}

/// Reads what `extracot compress` wrote. Rows of traces that are not used are counted, and those whose
/// ratio is that of no level below 100.
///
/// # Errors
///
/// If the file cannot be read; by file and line a malformed row, a second text of the same trace and
/// level, and a text of another think text.
pub(super) fn read(path: &Path, traces: Vec<ReasoningTrace>) -> Result<(Vec<TraceTexts>, Tally)> {
    let mut items: BTreeMap<String, TraceTexts> = BTreeMap::new();
    let order: Vec<String> = traces
        .iter()
        .map(|trace| trace.problem.id.clone())
        .collect();
    for trace in traces {
        let texts = BTreeMap::new();
        items.insert(trace.problem.id.clone(), TraceTexts { trace, texts });
    }
    let mut tally = Tally::default();
    for (line, row) in rows::read::<CompressedRow>(path)? {
        let place = || format!("{}:{line}", path.display());
        let id = rows::text_of(&row.id).context("`id` is neither a text nor a number");
        let id = id.with_context(place)?;
        let Some(item) = items.get_mut(&id) else {
            tally.count(Err("no_trace"));
            continue;
        };
        let mut levels = KeepLevel::ALL
            .into_iter()
            .filter(|level| *level != KeepLevel::FULL);
        let Some(level) = levels.find(|level| Some(level.ratio()) == row.target_ratio) else {
            tally.count(Err("no_level"));
            continue;
        };
        let lies_on = |(start, end): &(usize, usize)| item.trace.think.get(*start..*end).is_some();
        if !row.kept_spans.iter().all(lies_on) {
            bail!(
                "{}: kept_spans do not lie on the think text of trace `{id}`; compress these traces again",
                place()
            );
        }
        let compressed = CompressedCot {
            text: row.compressed,
            target_ratio: row.target_ratio,
            kept_tokens: row.kept_tokens,
            total_tokens: row.total_tokens,
            kept_spans: row.kept_spans,
        };
        let text = usable(&item.trace, &segment(&item.trace.think), compressed);
        if item.texts.insert(level, text).is_some() {
            bail!(
                "{}: a second text of trace `{id}` at level {level}",
                place()
            );
        }
        tally.count(Ok(()));
    }
    let ordered = order.into_iter().filter_map(|id| items.remove(&id));
    Ok((ordered.collect(), tally))
}
