//! `extracot budgets`: the smallest level at which a model answers; see docs/train_data.md.

mod measure;
mod report;
mod row;
mod samples;
#[cfg(feature = "parquet")]
mod verl;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use extracot_core::budget::{BudgetRule, LevelQuotas, teacher_budget, within_quotas};
use extracot_core::dataset::{DatasetKind, read_problems};
use extracot_core::jsonl::write_jsonl;
use extracot_core::{KeepLevel, Tokenizer};
use serde::Deserialize;
use serde_json::Value;

use super::model::{LoadedModel, WeightDtype};
use super::rows;
use report::Report;
pub(super) use row::BudgetRow;

/// Measures teacher budgets: the smallest level at which a model answers a problem right.
///
/// Reads problems, as JSON lines or as one JSON array: {"id", "question", "answer"} and seven other kinds
/// of files (see --kind). At every level 20 to 100 it samples --samples completions under the control
/// token of that level; a sample is right if its answer is right, its think text is closed and not empty
/// and it states the level that was asked for. Writes {"id", "question", "answer", "budget", "outcomes",
/// "reference_tokens", "reference_source"}: budget is null for a problem that no level solves, and
/// reference_tokens are the think tokens that ratios are measured against.
///
/// Also writes FILE.report.json, which says what became of every problem. Samples are kept in
/// FILE.unfinished as they come: the same command again goes on where it was killed.
#[derive(Debug, Args)]
pub struct Budgets {
    /// Model folder in Hugging Face layout, with control tokens
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Problems
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// gsm8k, math, amc23, metamath, mmlu, svamp, champ or plain; found out by default
    #[arg(long)]
    kind: Option<DatasetKind>,
    /// File to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// JSON lines, or parquet that verl reads
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Samples of every problem at every level
    #[arg(long, default_value = "3")]
    samples: NonZeroUsize,
    /// Which levels must pass: the smallest whose samples are all right; strict, if all larger levels pass
    /// too; majority, if more than half of its samples are right
    #[arg(long, default_value = "smallest", value_parser = parse_rule)]
    rule: BudgetRule,
    /// The most problems of a budget: a number, or as in 20=800,40=800,none=500; the first are taken
    #[arg(long, value_name = "QUOTA")]
    quota: Option<LevelQuotas>,
    /// Traces {"id", "think"} of the base model, for reference tokens of problems that have no right
    /// answer at level 100
    #[arg(long, value_name = "FILE")]
    traces: Option<PathBuf>,
    /// data_source of the parquet file, by which verl finds the reward function
    #[arg(long, value_name = "NAME", default_value = "extracot")]
    data_source: String,
    /// Tokens after which a sample is cut
    #[arg(long, default_value_t = 512)]
    max_new_tokens: usize,
    /// Temperature of the samples, above 0
    #[arg(long, default_value_t = 0.7)]
    temperature: f64,
    /// Draw from so many most likely tokens only
    #[arg(long)]
    top_k: Option<NonZeroUsize>,
    /// Draw from the most likely tokens that have this probability together only
    #[arg(long, default_value_t = 1.0)]
    top_p: f64,
    /// System turn
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Dtype of weights and computation
    #[arg(long, value_enum, default_value_t)]
    dtype: WeightDtype,
    /// Completions decoded together
    #[arg(long, default_value = "48")]
    batch_rows: NonZeroUsize,
    /// Run even if the memory may not suffice
    #[arg(long)]
    force: bool,
    /// Root of all random streams: the same seed gives the same samples on CPU
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// flex (CPU), vulkan, wgpu or cuda; :N for a GPU of that number, :cpu for a software device
    #[arg(long, default_value = "flex")]
    device: String,
    /// Threads, all cores by default; no result depends on their number
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print no progress and no summary
    #[arg(long)]
    quiet: bool,
}

/// The values of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// JSON lines
    #[default]
    Jsonl,
    /// Parquet: data_source, prompt, ability, reward_model, extra_info
    Verl,
}

fn parse_rule(text: &str) -> Result<BudgetRule, String> {
    serde_json::from_value(Value::String(text.to_owned()))
        .map_err(|_| "known are smallest, strict and majority".to_owned())
}

/// Runs the command.
///
/// # Errors
///
/// If an argument, the problems, the traces or the model cannot be used, if the output cannot be
/// written, and if no problem is left.
pub fn run(arguments: &Budgets) -> Result<()> {
    if arguments.format == Format::Verl && !cfg!(feature = "parquet") {
        bail!("this build writes no parquet; build with `--features parquet`");
    }
    let is_temperature = arguments.temperature.is_finite() && arguments.temperature > 0.0;
    if !is_temperature || !(0.0..=1.0).contains(&arguments.top_p) {
        bail!("--temperature has to be a number above 0 and --top-p from 0 to 1");
    }
    crate::device::set_threads(arguments.threads)?;
    let device = crate::device::device(&arguments.device)?;
    let problems = read_problems(&arguments.input, arguments.kind)?;
    let model = LoadedModel::load(
        &arguments.model,
        arguments.system.clone(),
        arguments.dtype,
        &device,
    )?;
    let traces = match &arguments.traces {
        Some(path) => read_traces(path, &model)?,
        None => BTreeMap::new(),
    };
    let mut report = Report::new(&problems);
    let measured = measure::measure(arguments, problems.problems, &model, &device, &mut report)?;
    let mut rows = Vec::new();
    for item in &measured.items {
        let outcomes = item.outcomes();
        let budget = teacher_budget(&outcomes, arguments.rule);
        match item.reference(traces.get(&item.problem.id).copied()) {
            None => report.drop("no_reference"),
            Some(reference) => {
                rows.push(BudgetRow::new(&item.problem, budget, outcomes, reference))
            }
        }
    }
    let budgets: Vec<Option<KeepLevel>> = rows.iter().map(|row| row.budget).collect();
    let taken = within_quotas(&budgets, &arguments.quota.clone().unwrap_or_default());
    let mut is_taken = vec![false; rows.len()];
    taken.iter().for_each(|idx| is_taken[*idx] = true);
    let mut kept = Vec::new();
    for (row, is_taken) in rows.into_iter().zip(is_taken) {
        report.count(&row, is_taken);
        kept.extend(is_taken.then_some(row));
    }
    report.write(&arguments.out)?;
    if !arguments.quiet {
        eprint!("{report}");
    }
    if kept.is_empty() {
        bail!(
            "no problem is left; the report beside {} says why",
            arguments.out.display()
        );
    }
    write(arguments, &kept)?;
    measured.finish()
}

fn write(arguments: &Budgets, rows: &[BudgetRow]) -> Result<()> {
    match arguments.format {
        Format::Jsonl => Ok(write_jsonl(&arguments.out, rows)?),
        #[cfg(feature = "parquet")]
        Format::Verl => verl::write(
            &arguments.out,
            &arguments.data_source,
            arguments.system.as_deref(),
            rows,
        ),
        #[cfg(not(feature = "parquet"))]
        Format::Verl => bail!("this build writes no parquet; build with `--features parquet`"),
    }
}

#[derive(Debug, Deserialize)]
struct TraceRow {
    id: Value,
    think: String,
}

/// Tokens of think texts by id.
fn read_traces(path: &Path, model: &LoadedModel) -> Result<BTreeMap<String, usize>> {
    let tokenizer = model.tokenizer()?;
    let mut tokens = BTreeMap::new();
    for (line, row) in rows::read::<TraceRow>(path)? {
        let place = || format!("{}:{line}", path.display());
        let id = rows::text_of(&row.id).context("`id` is neither a text nor a number");
        let id = id.with_context(place)?;
        if tokens
            .insert(id.clone(), tokenizer.n_tokens(&row.think))
            .is_some()
        {
            bail!("{}: the id `{id}` stands twice", place());
        }
    }
    Ok(tokens)
}
