//! Samples in the folders of runs, as `eval` and `compare` read them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use extracot_core::jsonl::read_jsonl;
use extracot_core::report::EvalRecord;

use crate::commands::asked::Asked;
use crate::sweep::Prediction;

/// File with the samples of a level.
pub(crate) const PREDICTIONS: &str = "prediction.json";

/// All names of levels, in the order of a table.
const LEVELS: [&str; 7] = ["none", "100", "80", "60", "40", "20", "policy"];

/// A level of a run with its samples.
#[derive(Debug)]
pub(crate) struct LevelSamples {
    /// The folder's name: a level, unless somebody renamed it.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) predictions: Vec<Prediction>,
}

impl LevelSamples {
    /// The samples for statistics.
    pub(crate) fn records(&self) -> Vec<EvalRecord> {
        self.predictions.iter().map(Prediction::record).collect()
    }
}

/// The levels of a run folder that are complete, in the order of a table; or the one of a level's
/// folder.
///
/// # Errors
///
/// If there are none, or a file cannot be read.
pub(crate) fn read(folder: &Path) -> Result<Vec<LevelSamples>> {
    let level = |name: &str, folder: PathBuf| -> Result<LevelSamples> {
        let path = folder.join(PREDICTIONS);
        let predictions: Vec<Prediction> = read_jsonl(&path)?;
        if predictions.is_empty() {
            bail!("{} has no samples", path.display());
        }
        Ok(LevelSamples {
            name: name.to_owned(),
            folder,
            predictions,
        })
    };
    if folder.join(PREDICTIONS).is_file() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        return Ok(vec![level(&name, folder.to_owned())?]);
    }
    let names = LEVELS.iter().map(|name| (name, folder.join(name)));
    let complete = names.filter(|(_, folder)| folder.join(PREDICTIONS).is_file());
    let levels = complete
        .map(|(name, folder)| level(name, folder))
        .collect::<Result<Vec<_>>>()?;
    if levels.is_empty() {
        bail!(
            "{} holds no {PREDICTIONS}, neither itself nor in the folder of a level ({}); it is no \
             finished run of `extracot eval`",
            folder.display(),
            LEVELS.join(", ")
        );
    }
    Ok(levels)
}

/// The level that others are compared with: `none`, else the largest.
pub(crate) fn usual_baseline(levels: &[LevelSamples]) -> Option<&LevelSamples> {
    let rank = |level: &&LevelSamples| match level.name.parse::<Asked>() {
        Ok(Asked(None)) => 2.0,
        Ok(asked) => asked.level().map_or(0.0, |level| level.ratio().value()),
        Err(_) => -1.0,
    };
    levels.iter().max_by(|a, b| rank(a).total_cmp(&rank(b)))
}

/// What keeps two sets of samples from being of the same problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Problems that only one has.
    Missing { of: String, ids: Vec<String> },
    /// A problem whose text is another.
    Changed {
        id: String,
        what: &'static str,
        here: String,
        there: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { of, ids } => {
                let shown: Vec<&str> = ids.iter().take(5).map(String::as_str).collect();
                let more = if ids.len() > shown.len() { ", .." } else { "" };
                let n = ids.len();
                write!(f, "{of} lacks {n} problems: {}{more}", shown.join(", "))
            }
            Self::Changed {
                id,
                what,
                here,
                there,
            } => write!(f, "the {what} of problem `{id}` is {here:?} and {there:?}"),
        }
    }
}

impl std::error::Error for Difference {}

/// Question and gold answer of problems, by id.
pub(crate) type ProblemTexts = BTreeMap<String, (String, String)>;

/// What samples say of their problems.
pub(crate) fn problem_texts(samples: &[Prediction]) -> ProblemTexts {
    let pair = |p: &Prediction| (p.id.clone(), (p.question.clone(), p.gold.clone()));
    samples.iter().map(pair).collect()
}

/// Fails unless two sets of problems are the same.
///
/// # Errors
///
/// The first [`Difference`].
pub(crate) fn check_same_problems(
    (here_name, ours): (&str, &ProblemTexts),
    (there_name, theirs): (&str, &ProblemTexts),
) -> Result<(), Difference> {
    for (of, has, wants) in [(there_name, theirs, ours), (here_name, ours, theirs)] {
        let ids: Vec<String> = wants
            .keys()
            .filter(|id| !has.contains_key(*id))
            .cloned()
            .collect();
        if !ids.is_empty() {
            let of = of.to_owned();
            return Err(Difference::Missing { of, ids });
        }
    }
    for (id, (question, gold)) in ours {
        let Some((other_question, other_gold)) = theirs.get(id) else {
            continue;
        };
        for (what, here, there) in [
            ("question", question, other_question),
            ("gold answer", gold, other_gold),
        ] {
            if here != there {
                return Err(Difference::Changed {
                    id: id.clone(),
                    what,
                    here: here.clone(),
                    there: there.clone(),
                });
            }
        }
    }
    Ok(())
}

/// Samples to compare with, from `--baseline RUN`.
///
/// # Errors
///
/// If there is no such run or it is of other problems.
pub(crate) fn baseline_of(folder: &Path) -> Result<LevelSamples> {
    let mut levels = read(folder).with_context(|| format!("--baseline {}", folder.display()))?;
    let name = usual_baseline(&levels).map(|level| level.name.clone());
    let idx = levels
        .iter()
        .position(|level| Some(&level.name) == name.as_ref());
    Ok(levels.swap_remove(idx.unwrap_or(0)))
}
