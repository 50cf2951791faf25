//! Whether the rewards and advantages in `rollouts.jsonl` are those of the settings.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, bail};
use extracot_core::MathVerifier;
use extracot_train::audit::recompute_group;
use extracot_train::policy_trainer::RolloutRow;
use serde_json::Value;

use crate::pipeline::{Arm, LoggedRollout};

/// Fields of a row that rewards are computed from. Runs of early versions did not write them.
const SOURCES: [&str; 3] = ["answer", "reference_tokens", "response"];

/// What an audit looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Audited {
    /// Rollouts.
    pub n_rows: usize,
    /// Groups of rollouts.
    pub n_groups: usize,
    /// Rollouts without a reward, because nothing can be said of their answer.
    pub n_undecided: usize,
}

/// Computes every row of a `rollouts.jsonl` anew, group by group, and compares it with what is there,
/// to the bit.
///
/// `arm` gives the arm of a name, or `None` for one that it does not know.
///
/// # Errors
///
/// The first difference, by file, line and field; a row that lacks what is needed, an arm that is not
/// known, a group that has not `group_size` rollouts in order, and a file that cannot be read.
pub fn audit_rollouts(
    path: &Path,
    group_size: usize,
    mut arm: impl FnMut(&str) -> Result<Option<Arm>>,
) -> Result<Audited> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut arms: BTreeMap<String, Arm> = BTreeMap::new();
    let mut audited = Audited::default();
    let mut group: Vec<Line> = Vec::new();
    for (idx, text) in BufReader::new(file).lines().enumerate() {
        let line_no = idx + 1;
        let place = || format!("{}:{line_no}", path.display());
        let line = Line::read(line_no, text.with_context(place)?).with_context(place)?;
        let name = &line.logged.arm;
        if !arms.contains_key(name) {
            let known = arm(name).with_context(place)?;
            let known = known.with_context(|| {
                format!(
                    "{}: no arm `{name}` is known to this program; a binary with arms of its own \
                     calls `experiments::audit::audit_rollouts`",
                    place()
                )
            })?;
            arms.insert(name.clone(), known);
        }
        if group.first().is_some_and(|first| !first.is_of_group(&line)) {
            check_group(path, &group, group_size, &arms, &mut audited)?;
            group.clear();
        }
        group.push(line);
    }
    if !group.is_empty() {
        check_group(path, &group, group_size, &arms, &mut audited)?;
    }
    match audited.n_rows {
        0 => bail!("{} has no rows", path.display()),
        _ => Ok(audited),
    }
}

/// A row as text and as what it means.
struct Line {
    line_no: usize,
    text: String,
    logged: LoggedRollout,
}

impl Line {
    fn read(line_no: usize, text: String) -> Result<Self> {
        let value: Value = serde_json::from_str(&text)?;
        let missing: Vec<String> = SOURCES
            .iter()
            .filter(|field| value.get(field).is_none())
            .map(|field| format!("`{field}`"))
            .collect();
        if !missing.is_empty() {
            bail!(
                "the row has no {}, which its reward is computed from: the run is of a version that \
                 did not write them, so run it again into another folder",
                missing.join(", ")
            );
        }
        let logged = serde_json::from_str(&text)?;
        Ok(Self {
            line_no,
            text,
            logged,
        })
    }

    fn is_of_group(&self, other: &Self) -> bool {
        let name = |line: &Self| {
            let RolloutRow {
                step, prompt_id, ..
            } = &line.logged.row;
            (line.logged.arm.clone(), *step, prompt_id.clone())
        };
        name(self) == name(other)
    }
}

fn check_group(
    path: &Path,
    group: &[Line],
    group_size: usize,
    arms: &BTreeMap<String, Arm>,
    audited: &mut Audited,
) -> Result<()> {
    let first = &group[0];
    let place = |line: &Line| format!("{}:{}", path.display(), line.line_no);
    if group.len() != group_size {
        bail!(
            "{}: {} rollouts of `{}` in step {} of `{}`, the settings say {group_size}",
            place(first),
            group.len(),
            first.logged.row.prompt_id,
            first.logged.row.step,
            first.logged.arm
        );
    }
    let out_of_order = group
        .iter()
        .zip(0..)
        .find(|(line, idx)| line.logged.row.sample_idx != *idx);
    if let Some((line, idx)) = out_of_order {
        bail!("{}: `sample_idx` has to be {idx}", place(line));
    }
    let arm = arms
        .get(&first.logged.arm)
        .context("an arm that was looked up is gone")?;
    let rows: Vec<RolloutRow> = group.iter().map(|line| line.logged.row.clone()).collect();
    let found = recompute_group(
        &rows,
        arm.reward.as_ref(),
        arm.estimator.as_ref(),
        &MathVerifier,
    );
    for (line, row) in group.iter().zip(found) {
        let logged = LoggedRollout {
            arm: line.logged.arm.clone(),
            row,
        };
        // Numbers are written so that every bit is in their text, and are not read back as exactly.
        let expected = serde_json::to_string(&logged)?;
        if expected != line.text {
            bail!("{}: {}", place(line), difference(&line.text, &expected)?);
        }
        audited.n_undecided += usize::from(logged.row.reward.is_none());
    }
    audited.n_rows += group.len();
    audited.n_groups += 1;
    Ok(())
}

/// Says where two rows differ first.
fn difference(found: &str, expected: &str) -> Result<String> {
    let (left, right) = (
        serde_json::from_str(found)?,
        serde_json::from_str(expected)?,
    );
    if let Some((field, left, right)) = differing_field("", &left, &right) {
        return Ok(format!("`{field}` is {left}, computed anew it is {right}"));
    }
    let n_same = found
        .bytes()
        .zip(expected.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    let around = |text: &str| {
        let bytes = &text.as_bytes()[n_same.saturating_sub(30)..text.len().min(n_same + 20)];
        String::from_utf8_lossy(bytes).into_owned()
    };
    Ok(format!(
        "column {}: `{}`, computed anew it is `{}`",
        n_same + 1,
        around(found),
        around(expected)
    ))
}

/// The first field in which two values differ, with both of its values.
fn differing_field(path: &str, found: &Value, expected: &Value) -> Option<(String, Value, Value)> {
    let join = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match (found, expected) {
        (Value::Object(left), Value::Object(right)) => {
            let names = left.keys().chain(right.keys());
            names.into_iter().find_map(|name| {
                let value = |map: &serde_json::Map<String, Value>| {
                    map.get(name).cloned().unwrap_or(Value::Null)
                };
                differing_field(&join(name), &value(left), &value(right))
            })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let pairs = left.iter().zip(right).enumerate();
            pairs.into_iter().find_map(|(idx, (left, right))| {
                differing_field(&join(&idx.to_string()), left, right)
            })
        }
        _ if found == expected => None,
        _ => Some((path.to_owned(), found.clone(), expected.clone())),
    }
}
