//! `extracot compare`: two runs of `extracot eval` on the same problems.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use extracot_core::Seed;
use extracot_core::report::{Comparison, EvalSummary};

use super::eval::run_folder::{LevelSamples, check_same_problems, problem_texts, read};
use crate::report::{render_comparison_markdown, render_comparison_table};
use crate::sweep::{ComparedLevel, versus};

/// Compares two runs of eval on the same problems, level by level.
///
/// A run is its folder, or the folder of one of its levels: two of the latter are compared whatever
/// their levels are. Differences are B minus A, with 95 % intervals; p-values are adjusted for all
/// levels of the table.
///
/// Runs of other seeds are pooled with --more-a and --more-b: their samples are further samples of the same
/// problems, and problems are resampled with all their samples.
#[derive(Debug, Args)]
pub struct Compare {
    /// Folder of the first run, or of one of its levels
    #[arg(value_name = "RUN_A")]
    a: PathBuf,
    /// Folder of the second run, or of one of its levels
    #[arg(value_name = "RUN_B")]
    b: PathBuf,
    /// A further run of A, say of another seed (repeatable)
    #[arg(long, value_name = "RUN")]
    more_a: Vec<PathBuf>,
    /// A further run of B (repeatable)
    #[arg(long, value_name = "RUN")]
    more_b: Vec<PathBuf>,
    /// Print Markdown
    #[arg(long)]
    markdown: bool,
    /// Root of the resamples: the same seed gives the same intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the command.
///
/// # Errors
///
/// If a folder holds no finished level, the runs have no level in common, or are of different
/// problems: naming the first difference.
#[allow(clippy::print_stdout, reason = "the table is what was asked for")]
pub fn run(arguments: &Compare) -> Result<()> {
    let a = pooled(&arguments.a, &arguments.more_a)?;
    let b = pooled(&arguments.b, &arguments.more_b)?;
    let (pairs, remarks) = pairs(&a, &b)?;
    let seed = Seed(arguments.seed).derive("statistics", 0);
    let levels = compare(&pairs, seed)?;
    let name = |folder: &Path, further: &[PathBuf]| match further.len() {
        0 => folder.display().to_string(),
        n => format!("{} and {n} more", folder.display()),
    };
    let a = name(&arguments.a, &arguments.more_a);
    let b = name(&arguments.b, &arguments.more_b);
    let render = match arguments.markdown {
        true => render_comparison_markdown,
        false => render_comparison_table,
    };
    print!("{}", render((&a, &b), &levels, &remarks));
    Ok(())
}

/// The levels of a run with the samples of further runs behind its own.
fn pooled(folder: &Path, further: &[PathBuf]) -> Result<Vec<LevelSamples>> {
    let mut levels = read(folder)?;
    for other_folder in further {
        let others = read(other_folder)?;
        if let Some(surplus) = others
            .iter()
            .find(|other| levels.iter().all(|level| level.name != other.name))
        {
            let (name, first) = (&surplus.name, folder.display());
            bail!(
                "{} has level {name}, {first} has not",
                other_folder.display()
            );
        }
        for level in &mut levels {
            let Some(other) = others.iter().find(|other| other.name == level.name) else {
                bail!(
                    "{} lacks level {}, which {} has",
                    other_folder.display(),
                    level.name,
                    folder.display()
                );
            };
            let place = |level: &LevelSamples| level.folder.display().to_string();
            check_same_problems(
                (&place(level), &problem_texts(&level.predictions)),
                (&place(other), &problem_texts(&other.predictions)),
            )?;
            let taken = level.predictions.iter().map(|p| p.sample_idx + 1).max();
            let taken = taken.unwrap_or(0);
            let further = other.predictions.iter().cloned().map(|mut sample| {
                sample.sample_idx += taken;
                sample
            });
            level.predictions.extend(further);
        }
    }
    Ok(levels)
}

/// A level of each run.
struct Pair<'a> {
    /// The level, or both where they differ.
    name: String,
    a: &'a LevelSamples,
    b: &'a LevelSamples,
}

/// What is compared, and in words what is not.
fn pairs<'a>(a: &'a [LevelSamples], b: &'a [LevelSamples]) -> Result<(Vec<Pair<'a>>, Vec<String>)> {
    if let ([one], [other]) = (a, b)
        && one.name != other.name
    {
        let name = format!("{} (A), {} (B)", one.name, other.name);
        let (a, b) = (one, other);
        return Ok((vec![Pair { name, a, b }], vec![]));
    }
    let of = |levels: &'a [LevelSamples], name: &str| levels.iter().find(|l| l.name == name);
    let common = a.iter().filter_map(|one| {
        Some(Pair {
            name: one.name.clone(),
            a: one,
            b: of(b, &one.name)?,
        })
    });
    let common: Vec<_> = common.collect();
    let mut remarks = Vec::new();
    for (run, levels, others) in [("A", a, b), ("B", b, a)] {
        let alone = levels
            .iter()
            .filter(|level| of(others, &level.name).is_none());
        let alone: Vec<&str> = alone.map(|level| level.name.as_str()).collect();
        if !alone.is_empty() {
            remarks.push(format!(
                "Only {run} has, so not compared: {}",
                alone.join(", ")
            ));
        }
    }
    if common.is_empty() {
        bail!(
            "the two runs have no level in common; to compare different ones name their folders, as \
             in RUN_A/none RUN_B/40 ({})",
            remarks.join("; ")
        );
    }
    Ok((common, remarks))
}

fn compare(pairs: &[Pair<'_>], seed: Seed) -> Result<Vec<ComparedLevel>> {
    let mut found = Vec::new();
    let mut n_problems = 0;
    for Pair { name, a, b } in pairs {
        let place = |level: &LevelSamples| level.folder.display().to_string();
        let (ours, theirs) = (problem_texts(&a.predictions), problem_texts(&b.predictions));
        check_same_problems((&place(a), &ours), (&place(b), &theirs))
            .with_context(|| format!("level {name}: the runs are not of the same problems"))?;
        n_problems = ours.len();
        let (a, b) = (a.records(), b.records());
        let seed = seed.derive(name, 0);
        let comparison = Comparison::try_new(&b, &a, seed)?;
        let summaries = [
            EvalSummary::try_new(&a, &a, seed)?,
            EvalSummary::try_new(&b, &a, seed)?,
        ];
        found.push((name, summaries, comparison));
    }
    let comparisons: Vec<Comparison> = found.iter().map(|(_, _, found)| *found).collect();
    let adjusted = versus(&comparisons, n_problems);
    Ok(found
        .into_iter()
        .zip(adjusted)
        .map(|((name, [a, b], _), versus)| ComparedLevel {
            level: name.clone(),
            a,
            b,
            versus,
        })
        .collect())
}
