//! `extracot pool`: runs of one ablation with several seeds, in one table.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use extracot_core::Seed;
use extracot_core::jsonl::read_jsonl;
use extracot_core::report::{Comparison, EvalRecord, EvalSummary};
use extracot_core::stats::holm;
use extracot_models::checkpoint::load_json;

use crate::pipeline::slug;
use crate::report::{PooledPair, PooledRow, render_pooled_markdown};
use crate::summary::Summary;

/// Pools runs of one ablation that differ in their seeds, as Markdown.
///
/// Every row of the table is that of all runs together, with the figures of the runs one by one: each has
/// problems of its own, and a problem counts once per run. Differences are against the first row, and for every
/// --pair; their p-values (exact McNemar tests) are adjusted for all of them by Holm's method. Intervals are over
/// the choice of problems: the chance of training shows in the figures of the runs, and only there.
#[derive(Debug, Args)]
pub struct Pool {
    /// Finished run folders
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Compare one row with another, by their names in the table, as in --pair "full CHRPO=base" (repeatable)
    #[arg(long = "pair", value_name = "ROW=ROW")]
    pairs: Vec<String>,
    /// Root of the resamples: the same seed gives the same intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A run: its rows by name, in the order of its table.
struct EvaluatedRun {
    folder: PathBuf,
    seed: u64,
    /// Experiment, preset and source of the problems.
    origin: [String; 3],
    rows: Vec<(String, Vec<EvalRecord>)>,
}

/// Runs the command.
///
/// # Errors
///
/// If a folder holds no finished run, the runs have different rows, or a pair names no row.
#[allow(clippy::print_stdout, reason = "the table is what was asked for")]
pub fn run(arguments: &Pool) -> Result<()> {
    let runs = arguments.runs.iter().map(|folder| read(folder));
    let runs = runs.collect::<Result<Vec<_>>>()?;
    check_seeds(&runs)?;
    let names = common_names(&runs)?;
    let seed = Seed(arguments.seed).derive("statistics", 0);
    let pooled: Vec<Vec<EvalRecord>> = (0..names.len()).map(|idx| pool(&runs, idx)).collect();

    let mut rows = Vec::new();
    for (idx, name) in names.iter().enumerate() {
        let of_run =
            |run: &EvaluatedRun| EvalSummary::try_new(&run.rows[idx].1, &run.rows[0].1, seed);
        rows.push(PooledRow {
            name: name.clone(),
            pooled: EvalSummary::try_new(&pooled[idx], &pooled[0], seed)?,
            runs: runs.iter().map(of_run).collect::<Result<_, _>>()?,
        });
    }
    let mut asked: Vec<(usize, usize)> = (1..names.len()).map(|idx| (idx, 0)).collect();
    for pair in &arguments.pairs {
        let places = places(pair, &names)?;
        if !asked.contains(&places) {
            asked.push(places);
        }
    }
    let mut pairs = Vec::new();
    for (this, other) in asked {
        pairs.push(PooledPair {
            this: names[this].clone(),
            other: names[other].clone(),
            comparison: Comparison::try_new(&pooled[this], &pooled[other], seed)?,
            adjusted_p: 1.0,
        });
    }
    let p_values: Vec<f64> = pairs.iter().map(PooledPair::p).collect();
    for (pair, adjusted) in pairs.iter_mut().zip(holm(&p_values)) {
        pair.adjusted_p = adjusted;
    }
    print!("{}", render_pooled_markdown(&rows, &pairs));
    Ok(())
}

fn read(folder: &Path) -> Result<EvaluatedRun> {
    if !folder.join("manifest.json").is_file() {
        bail!("{} holds no finished run of an ablation", folder.display());
    }
    let summary: Summary = load_json(&folder.join("summary.json"))?;
    let origin = [summary.experiment, summary.preset, summary.problems];
    let rows = summary.rows.into_iter().map(|row| {
        let stage = format!("eval_{}", slug(&row.name));
        let records = read_jsonl(&folder.join("stages").join(stage).join("records.jsonl"))?;
        Ok((row.name, records))
    });
    Ok(EvaluatedRun {
        folder: folder.to_owned(),
        seed: summary.seed,
        origin,
        rows: rows.collect::<Result<_>>()?,
    })
}

/// Refuses runs whose problems are not independent of each other, or that are not of one kind.
fn check_seeds(runs: &[EvaluatedRun]) -> Result<()> {
    for (idx, run) in runs.iter().enumerate() {
        let (first, folder) = (&runs[0], run.folder.display());
        if run.origin != first.origin {
            bail!(
                "{folder} is {}, and {} is {}; pool runs that differ in their seeds only",
                run.origin.join(", "),
                first.folder.display(),
                first.origin.join(", ")
            );
        }
        if let Some(other) = runs[..idx].iter().find(|other| other.seed == run.seed) {
            bail!(
                "{folder} and {} have the seed {}: the same problems would count twice",
                other.folder.display(),
                run.seed
            );
        }
    }
    match runs {
        [first, _, ..] if !first.origin[2].starts_with("generator") => bail!(
            "the runs have the problems of {}: each seed has the same ones, and they would count once per run",
            first.origin[2]
        ),
        _ => Ok(()),
    }
}

/// The names of the rows, which all runs have in the same order.
fn common_names(runs: &[EvaluatedRun]) -> Result<Vec<String>> {
    let names = |run: &EvaluatedRun| run.rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>();
    let first = runs.first().context("no run")?;
    let expected = names(first);
    for run in runs {
        let found = names(run);
        if found != expected {
            bail!(
                "{} has the rows {}, and {} has {}; pool runs of one ablation",
                first.folder.display(),
                expected.join("; "),
                run.folder.display(),
                found.join("; ")
            );
        }
    }
    match expected.len() {
        0 => bail!("{} has no rows", first.folder.display()),
        _ => Ok(expected),
    }
}

/// The records of a row in all runs: problems of different runs are different problems.
fn pool(runs: &[EvaluatedRun], row: usize) -> Vec<EvalRecord> {
    let of_run = |(idx, run): (usize, &EvaluatedRun)| {
        let named = move |mut record: EvalRecord| {
            record.problem_id = format!("{idx}/{}", record.problem_id);
            record
        };
        run.rows[row]
            .1
            .iter()
            .cloned()
            .map(named)
            .collect::<Vec<_>>()
    };
    runs.iter().enumerate().flat_map(of_run).collect()
}

/// The rows that a pair names. Names may have `=` in them, so every one is tried.
fn places(pair: &str, names: &[String]) -> Result<(usize, usize)> {
    let place = |name: &str| names.iter().position(|known| known == name.trim());
    pair.match_indices('=')
        .find_map(|(at, _)| Some((place(&pair[..at])?, place(&pair[at + 1..])?)))
        .with_context(|| format!("--pair {pair}: ROW=ROW with the names {}", names.join("; ")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_pair_names_two_rows() {
        let names = ["base", "TokenSkip, level 20", "full CHRPO"].map(str::to_owned);
        assert_eq!(places("full CHRPO=base", &names).unwrap(), (2, 0));
        assert_eq!(
            places("full CHRPO = TokenSkip, level 20", &names).unwrap(),
            (2, 1)
        );
        let error = places("full CHRPO", &names).unwrap_err().to_string();
        assert!(error.contains("TokenSkip, level 20; full CHRPO"), "{error}");
    }
}
