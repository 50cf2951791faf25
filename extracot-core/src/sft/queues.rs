//! Traces with their compressed texts -> the two queues of training examples; every loss is counted.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;

    const TWENTY: KeepLevel = KeepLevel::ALL[0];
    const FORTY: KeepLevel = KeepLevel::ALL[1];

    fn trace(id: &str, think: &str, texts: [Result<&str, &'static str>; 2]) -> TraceTexts {
        let problem = Problem {
            id: id.into(),
            question: format!("question {id}"),
            solution: None,
            answer: "4".into(),
            difficulty: None,
            options: Vec::new(),
        };
        TraceTexts {
            trace: ReasoningTrace {
                problem,
                think: think.into(),
                visible: format!("\\boxed{{4}} of {id}"),
                think_tokens: 0,
            },
            texts: [TWENTY, FORTY]
                .into_iter()
                .zip(texts.map(|t| t.map(str::to_owned)))
                .collect(),
        }
    }

    fn traces() -> Vec<TraceTexts> {
        vec![
            trace("a", "full a", [Ok("a20"), Ok("a40")]),
            trace("b", "full b", [Err("lost_anchor"), Ok("b40")]),
            trace("c", "a think text that is too long", [Ok("c20"), Ok("c40")]),
            trace("d", "full d", [Ok("d20"), Ok("<think>")]),
        ]
    }

    fn settings() -> QueueSettings {
        QueueSettings {
            levels: vec![TWENTY, FORTY, KeepLevel::FULL],
            same_problems: false,
            fixed_quotas: LevelQuotas::default(),
            policy_quotas: LevelQuotas::default(),
        }
    }

    fn build(
        budgets: &[(&str, Option<KeepLevel>)],
        settings: &QueueSettings,
    ) -> (Vec<SftText>, QueueCounts) {
        let budgets = budgets
            .iter()
            .map(|(id, budget)| ((*id).to_owned(), *budget))
            .collect();
        let mut fits = |text: &SftText| Ok(text.think.len() < 20);
        build_queues(&traces(), Some(&budgets), settings, &mut fits).unwrap()
    }

    fn names(texts: &[SftText]) -> Vec<(String, &str)> {
        let control = |text: &SftText| text.control.map(|c| c.to_string()).unwrap_or_default();
        texts
            .iter()
            .map(|text| (control(text), text.think.as_str()))
            .collect()
    }

    fn dropped(tally: &Tally) -> Vec<(&str, u64)> {
        let sum: u64 = tally.dropped.values().sum();
        assert_eq!(tally.candidates, tally.used + sum);
        tally
            .dropped
            .iter()
            .map(|(reason, n)| (reason.as_str(), *n))
            .collect()
    }

    #[test]
    fn both_queues_are_filled_and_every_loss_is_counted() {
        let budgets = [
            ("a", Some(FORTY)),
            ("b", Some(TWENTY)),
            ("c", None),
            ("x", Some(FORTY)),
        ];
        let (texts, counts) = build(&budgets, &settings());
        let expected = [
            ("<COMP_20>", "a20"),
            ("<COMP_40>", "a40"),
            ("<COMP_100>", "full a"),
            ("<COMP_40>", "b40"),
            ("<COMP_100>", "full b"),
            ("<COMP_20>", "c20"),
            ("<COMP_40>", "c40"),
            ("<COMP_20>", "d20"),
            ("<COMP_100>", "full d"),
            ("<COMP_POLICY>", "a40"),
        ];
        assert_eq!(
            names(&texts),
            expected.map(|(control, think)| (control.to_owned(), think))
        );
        assert_eq!(
            texts[9].answer(),
            "<COMP_40>\n<think>\na40\n</think>\n\\boxed{4} of a"
        );
        assert_eq!(dropped(&counts.fixed[&TWENTY]), [("lost_anchor", 1)]);
        assert_eq!(dropped(&counts.fixed[&FORTY]), [("marker", 1)]);
        assert_eq!(dropped(&counts.fixed[&KeepLevel::FULL]), [("too_long", 1)]);
        let policy = [("lost_anchor", 1), ("no_budget", 1), ("not_measured", 1)];
        assert_eq!(
            (dropped(&counts.policy), counts.policy.used),
            (policy.to_vec(), 1)
        );
        assert_eq!(counts.policy_levels, BTreeMap::from([(FORTY, 1)]));
        let json = serde_json::to_value(&counts).unwrap();
        assert_eq!(json["fixed"]["20"]["dropped"]["lost_anchor"], 1);
    }

    #[test]
    fn the_same_problems_stand_at_every_level() {
        let same = QueueSettings {
            same_problems: true,
            ..settings()
        };
        let (texts, counts) = build(&[("b", Some(FORTY))], &same);
        assert_eq!(
            texts.iter().map(|t| t.think.as_str()).collect::<Vec<_>>(),
            ["a20", "a40", "full a"]
        );
        // c is too long at 100, d has no text at 40; b went at 20 itself.
        let at_twenty = [("lost_anchor", 1), ("other_level_dropped", 2)];
        assert_eq!(dropped(&counts.fixed[&TWENTY]), at_twenty);
        assert_eq!(
            dropped(&counts.policy),
            [("not_measured", 3), ("other_level_dropped", 1)]
        );
    }

    #[test]
    fn quotas_take_the_first_of_a_level_and_hold_for_each_queue() {
        let all = ["a", "b", "c", "d"].map(|id| (id, Some(KeepLevel::FULL)));
        let few = QueueSettings {
            levels: vec![FORTY, KeepLevel::FULL],
            fixed_quotas: "40=1".parse().unwrap(),
            policy_quotas: "2".parse().unwrap(),
            ..settings()
        };
        let (texts, counts) = build(&all, &few);
        assert_eq!(
            dropped(&counts.fixed[&FORTY]),
            [("marker", 1), ("over_quota", 2)]
        );
        assert_eq!(counts.fixed[&KeepLevel::FULL].used, 3);
        let policy: Vec<_> = names(&texts)
            .into_iter()
            .rev()
            .take(2)
            .map(|(_, t)| t.to_owned())
            .collect();
        assert_eq!(policy, ["full b", "full a"]);
        assert_eq!(
            dropped(&counts.policy),
            [("over_quota", 1), ("too_long", 1)]
        );
        let (_, counts) = build(&[("a", Some(TWENTY))], &few);
        assert_eq!(
            dropped(&counts.policy),
            [("level_left_out", 1), ("not_measured", 3)]
        );
    }

    #[test]
    fn without_budgets_there_is_no_policy_queue() {
        let (texts, counts) =
            build_queues(&traces(), None, &settings(), &mut |_| Ok(true)).unwrap();
        assert!(
            texts
                .iter()
                .all(|text| text.control != Some(ControlToken::Policy))
        );
        assert_eq!(counts.policy, Tally::default());
    }
}
