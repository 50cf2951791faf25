//! `extracot eval`: a model at every level; see docs/eval.md.

mod arguments;
mod chat;
mod levels;
mod local;
mod pace;
mod problems;
pub(super) mod run_folder;
mod settings;
mod source;
mod timing;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use extracot_core::Seed;
use extracot_core::report::EvalRecord;
use extracot_models::checkpoint::save_json;

use super::asked::Asked;
use super::command_to_go_on;
use crate::config::content_hash;
use crate::report::{SweepReport, render_sweep_html, render_sweep_markdown, render_sweep_table};
use crate::run::{claim, write_manifest_with, write_text};
use crate::sweep::{Baseline, Prediction, SweepSummary, SweptLevel, fidelity, sweep_rows};

pub use arguments::Eval;
use arguments::ModelName;
use chat::ChatSource;
use levels::{FinishedLevel, Sweep, Swept};
use local::LocalSource;
use problems::ProblemFile;
use run_folder::{LevelSamples, baseline_of, check_same_problems, problem_texts};
use settings::{Provenance, Settings};
use source::{SampleSource, Task};

const FAILURES: &str = "failures.json";

/// Runs the command.
///
/// # Errors
///
/// If an argument, the model, a problem or the baseline cannot be used, before anything is sampled; if
/// a file cannot be written; and if samples are still open: with the counts by reason and the command
/// that goes on.
#[allow(
    clippy::print_stdout,
    reason = "the table and the settings are what was asked for"
)]
pub fn run(arguments: &Eval) -> Result<()> {
    let started = Instant::now();
    arguments.check()?;
    crate::device::set_threads(arguments.local.threads)?;
    let limit = arguments.limit.map(std::num::NonZeroUsize::get);
    let file = ProblemFile::read(&arguments.problems, arguments.dataset, limit)?;
    let settings = Settings::new(arguments, &file)?;
    let config = settings.to_toml()?;
    if arguments.dry_run {
        print!("{config}");
        return Ok(());
    }
    let other = other_baseline(arguments, &file)?;
    let leakage = match &arguments.train {
        Some(train) => Some(file.leakage(train)?),
        None => None,
    };
    let task = Task {
        problems: &file.problems,
        params: arguments.params(),
        seed: Seed(arguments.seed),
        quiet: arguments.quiet,
    };
    let source: Box<dyn SampleSource + '_> = match &arguments.model {
        ModelName::Folder(folder) => Box::new(LocalSource::load(
            folder,
            arguments.system.clone(),
            &arguments.local,
            &task,
        )?),
        ModelName::Chat(address) => Box::new(ChatSource::open(address, arguments, &task)?),
    };
    // Every prompt of every level is there before the first is completed.
    let hash = |asked: &Asked| content_hash(&source.prompts(*asked)?);
    let prompt_hashes = arguments
        .levels
        .iter()
        .map(hash)
        .collect::<Result<Vec<_>>>()?;

    claim(&arguments.out, &config, arguments.resume)?;
    let key = content_hash(&config)?;
    let sweep = Sweep {
        out: &arguments.out,
        key: &key,
        task: &task,
        source: source.as_ref(),
        n_timed: arguments.latency,
        is_resumed: arguments.resume,
        accept_open: arguments.accept_open,
    };
    let swept = sweep.run(&arguments.levels)?;
    report_failures(&arguments.out, &swept, &task, arguments.levels.len())?;

    let levels = swept_levels(&swept.finished, &prompt_hashes, source.as_ref());
    let (baseline, base, own) = baseline(arguments, &swept.finished, other)?;
    let seed = Seed(arguments.seed).derive("statistics", 0);
    let summary = SweepSummary {
        token_unit: settings.token_unit(),
        model: settings.model,
        problems: file.about.clone(),
        decoding: settings.decoding,
        config_hash: key.clone(),
        baseline,
        leakage,
        rows: sweep_rows(&levels, &base, own, seed)?,
        fidelity: fidelity(&levels, &base, seed)?,
    };
    let provenance = Provenance::new(arguments);
    let report = SweepReport {
        summary: &summary,
        timings: swept.finished.iter().map(|l| &l.timing).collect(),
        samples: swept.finished.iter().map(|l| &l.predictions[..]).collect(),
        config: &config,
        provenance: provenance.facts(),
    };
    for (level, row) in swept.finished.iter().zip(&summary.rows) {
        save_json(row, &level.folder.join("metrics.json"))?;
    }
    let out = &arguments.out;
    save_json(&summary, &out.join("summary.json"))?;
    write_text(&out.join("summary.md"), &render_sweep_markdown(&report))?;
    write_text(&out.join("report.html"), &render_sweep_html(&report))?;
    write_manifest_with(out, "eval", key, started, &provenance)?;
    if !arguments.quiet {
        let page = out.join("report.html");
        println!(
            "{}\nreport: {}",
            render_sweep_table(&report),
            page.display()
        );
    }
    Ok(())
}

/// Samples of the run that `--baseline` names, unless it names a level of this one.
fn other_baseline(arguments: &Eval, file: &ProblemFile) -> Result<Option<LevelSamples>> {
    let Some(name) = &arguments.baseline else {
        return Ok(None);
    };
    if let Ok(asked) = name.parse::<Asked>() {
        if !arguments.levels.contains(&asked) {
            bail!("--baseline {name} is none of --levels; add it, or name a run that has it");
        }
        return Ok(None);
    }
    let folder = Path::new(name);
    if !folder.is_dir() {
        bail!("--baseline {name} is neither a level nor the folder of a run");
    }
    let other = baseline_of(folder)?;
    let theirs = problem_texts(&other.predictions);
    check_same_problems(("this run", &file.texts()), ("the baseline", &theirs))
        .with_context(|| format!("--baseline {name} is of other problems"))?;
    Ok(Some(other))
}

/// Writes what failed beside the samples; an error if a level is not finished for it.
fn report_failures(out: &Path, swept: &Swept, task: &Task<'_>, n_levels: usize) -> Result<()> {
    let path = out.join(FAILURES);
    if swept.failures.is_empty() {
        if path.exists() {
            std::fs::remove_file(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        return Ok(());
    }
    save_json(&swept.failures, &path)?;
    let open = swept.open();
    let n_open: usize = open.values().sum();
    let reasons: Vec<String> = open.iter().map(|(why, n)| format!("{why} {n}")).collect();
    let what = format!(
        "{n_open} of {} samples are still open ({}), the first by {}",
        n_levels * task.n_places(),
        reasons.join(", "),
        swept.example().unwrap_or_default(),
    );
    if swept.finished.len() == n_levels {
        eprintln!(
            "warning: {what}; they count as failures, see {}",
            path.display()
        );
        return Ok(());
    }
    let or = match swept.failures.values().any(|f| f.stopped_by.is_some()) {
        true => "",
        false => " --accept-open ends the run with them as failures;",
    };
    bail!(
        "{what}; all others are kept, see {};{or} go on with: {}",
        path.display(),
        command_to_go_on()
    )
}

fn swept_levels(
    finished: &[FinishedLevel],
    prompt_hashes: &[String],
    source: &dyn SampleSource,
) -> Vec<SweptLevel> {
    let level = |(level, prompts_hash): (&FinishedLevel, &String)| {
        let samples = &level.predictions;
        let there = || samples.iter().filter(|sample| !sample.is_open());
        let counted = there().map(|sample| source.count(&sample.text));
        let reported: usize = there().map(|sample| sample.total_tokens).sum();
        let ratio = |n: usize| n as f64 / reported.max(1) as f64;
        SweptLevel {
            name: level.asked.to_string(),
            level: level.asked.level(),
            prompts_hash: prompts_hash.clone(),
            records: samples.iter().map(|sample| sample.record()).collect(),
            open: open_by_reason(samples),
            counted_over_reported: counted.sum::<Option<usize>>().map(ratio),
        }
    };
    finished.iter().zip(prompt_hashes).map(level).collect()
}

/// Samples without a completion, by the word that their reason begins with.
fn open_by_reason(samples: &[Prediction]) -> BTreeMap<String, usize> {
    let mut open = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.is_open()) {
        let reason = sample.reason.as_deref().unwrap_or_default();
        let word = reason.split(':').next().unwrap_or_default();
        *open.entry(word.to_owned()).or_insert(0) += 1;
    }
    open
}

/// The baseline, its samples, and its place among the levels if it is one of them.
fn baseline(
    arguments: &Eval,
    finished: &[FinishedLevel],
    other: Option<LevelSamples>,
) -> Result<(Baseline, Vec<EvalRecord>, Option<usize>)> {
    if let Some(other) = other {
        let baseline = Baseline {
            level: other.name.clone(),
            run: Some(other.folder.display().to_string()),
            chosen_by: "--baseline".to_owned(),
        };
        return Ok((baseline, other.records(), None));
    }
    let (asked, chosen_by) = match &arguments.baseline {
        Some(name) => (name.parse().ok(), "--baseline"),
        None if arguments.levels.contains(&Asked(None)) => {
            (Some(Asked(None)), "default: none, as it is swept")
        }
        None if arguments.levels.len() == 1 => {
            (arguments.levels.first().copied(), "the only level")
        }
        None => {
            let largest = arguments.levels.iter().max_by_key(|asked| asked.level());
            (
                largest.copied(),
                "default: the largest level, as none is not swept",
            )
        }
    };
    let own = finished.iter().position(|level| Some(level.asked) == asked);
    let own = own.context("the baseline has no samples")?;
    let records = finished[own]
        .predictions
        .iter()
        .map(|p| p.record())
        .collect();
    let baseline = Baseline {
        level: finished[own].asked.to_string(),
        run: None,
        chosen_by: chosen_by.to_owned(),
    };
    Ok((baseline, records, Some(own)))
}
