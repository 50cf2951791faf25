//! Traces with their compressed texts -> the two queues of training examples; every loss is counted.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{SftText, Tally, reserved_marker};
use crate::budget::LevelQuotas;
use crate::{ControlToken, CoreError, KeepLevel, ReasoningTrace};

/// A trace with what its think text became below level 100.
#[derive(Debug, Clone)]
pub struct TraceTexts {
    /// The trace.
    pub trace: ReasoningTrace,
    /// The compressed think text of a level, or why it is no use.
    pub texts: BTreeMap<KeepLevel, Result<String, &'static str>>,
}

/// What the queues are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// The levels.
    pub levels: Vec<KeepLevel>,
    /// Only problems that have a text at every level.
    pub same_problems: bool,
    /// The most examples of every level in the fixed queue.
    pub fixed_quotas: LevelQuotas,
    /// The most examples of every level in the policy queue.
    pub policy_quotas: LevelQuotas,
}

/// What became of every trace, by queue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueCounts {
    /// The fixed queue, by level.
    pub fixed: BTreeMap<KeepLevel, Tally>,
    /// The policy queue.
    pub policy: Tally,
    /// Examples of the policy queue by the level they choose.
    pub policy_levels: BTreeMap<KeepLevel, u64>,
}

/// Training examples with what became of every trace.
///
/// The fixed queue has every trace at every level; the policy queue has every trace whose teacher
/// budget is known, at that level. Whoever is first within a quota is taken. The fixed queue comes
/// first, in the order of the traces and of rising levels.
///
/// A trace is dropped from a level, and counted there, for the first of: what `texts` says (`no_text`
/// where it says nothing), `marker`, `too_long` where `fits` says no, `other_level_dropped` under
/// [`QueueSettings::same_problems`], `over_quota`. From the policy queue it is dropped for the same
/// reasons at its level, and for `not_measured`, `no_budget` and `level_left_out`. Without `budgets`
/// there is no policy queue.
///
/// # Errors
///
/// What `fits` fails with.
pub fn build_queues(
    traces: &[TraceTexts],
    budgets: Option<&BTreeMap<String, Option<KeepLevel>>>,
    settings: &QueueSettings,
    fits: &mut dyn FnMut(&SftText) -> Result<bool, CoreError>,
) -> Result<(Vec<SftText>, QueueCounts), CoreError> {
    let mut counts = QueueCounts::default();
    let (mut fixed, mut policy) = (Vec::new(), Vec::new());
    let mut n_fixed: BTreeMap<KeepLevel, usize> = BTreeMap::new();
    let mut n_policy: BTreeMap<KeepLevel, usize> = BTreeMap::new();
    for item in traces {
        let outcomes = at_levels(item, settings, fits)?;
        for (level, outcome) in &outcomes {
            let outcome = outcome.clone().and_then(|text| {
                take(&mut n_fixed, *level, &settings.fixed_quotas)?;
                Ok(text)
            });
            let tally = counts.fixed.entry(*level).or_default();
            tally.count(outcome.as_ref().map(|_| ()).map_err(|reason| *reason));
            fixed.extend(outcome);
        }
        let Some(budgets) = budgets else { continue };
        let mut outcome = match budgets.get(&item.trace.problem.id) {
            None => Err("not_measured"),
            Some(None) => Err("no_budget"),
            Some(Some(level)) => outcomes
                .get(level)
                .cloned()
                .unwrap_or(Err("level_left_out")),
        };
        if let Ok(text) = &mut outcome {
            text.control = Some(ControlToken::Policy);
            if !fits(text)? {
                outcome = Err("too_long");
            }
        }
        let outcome = outcome.and_then(|text| match text.level {
            Some(level) => {
                take(&mut n_policy, level, &settings.policy_quotas)?;
                *counts.policy_levels.entry(level).or_default() += 1;
                Ok(text)
            }
            None => Err("no_text"),
        });
        counts
            .policy
            .count(outcome.as_ref().map(|_| ()).map_err(|reason| *reason));
        policy.extend(outcome);
    }
    fixed.extend(policy);
    Ok((fixed, counts))
}

/// Takes one more of a level, unless its quota is full.
fn take(
    taken: &mut BTreeMap<KeepLevel, usize>,
    level: KeepLevel,
    quotas: &LevelQuotas,
) -> Result<(), &'static str> {
    let n_taken = taken.entry(level).or_default();
    if quotas
        .of(Some(level))
        .is_some_and(|quota| *n_taken >= quota)
    {
        return Err("over_quota");
    }
    *n_taken += 1;
    Ok(())
}

type Outcomes = BTreeMap<KeepLevel, Result<SftText, &'static str>>;

/// The example of a trace at every level, before quotas.
fn at_levels(
    item: &TraceTexts,
    settings: &QueueSettings,
    fits: &mut dyn FnMut(&SftText) -> Result<bool, CoreError>,
) -> Result<Outcomes, CoreError> {
    let ReasoningTrace {
        problem,
        think,
        visible,
        ..
    } = &item.trace;
    let mut outcomes = Outcomes::new();
    for level in &settings.levels {
        let think = match (*level == KeepLevel::FULL, item.texts.get(level)) {
            (true, _) => Ok(think),
            (false, Some(text)) => text.as_ref().map_err(|reason| *reason),
            (false, None) => Err("no_text"),
        };
        let text = think.map(|think| SftText {
            problem_id: problem.id.clone(),
            question: problem.question.clone(),
            control: Some(ControlToken::Level(*level)),
            level: Some(*level),
            think: think.clone(),
            visible: visible.clone(),
        });
        let outcome = match text {
            Ok(text) if reserved_marker(&text.think).is_some() => Err("marker"),
            Ok(text) if !fits(&text)? => Err("too_long"),
            other => other,
        };
        outcomes.insert(*level, outcome);
    }
    if settings.same_problems && outcomes.values().any(Result::is_err) {
        for outcome in outcomes.values_mut().filter(|outcome| outcome.is_ok()) {
            *outcome = Err("other_level_dropped");
        }
    }
    Ok(outcomes)
}
