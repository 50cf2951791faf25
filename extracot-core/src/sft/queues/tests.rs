use proptest::prelude::*;

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
    let (texts, counts) = build_queues(&traces(), None, &settings(), &mut |_| Ok(true)).unwrap();
    assert!(
        texts
            .iter()
            .all(|text| text.control != Some(ControlToken::Policy))
    );
    assert_eq!(counts.policy, Tally::default());
}

proptest! {
    #[test]
    fn whatever_comes_is_used_or_counted(
        items in prop::collection::vec(
            (prop::option::of(0usize..30), prop::option::of(0usize..30), 0usize..30, 0usize..5), 0..12),
        same_problems in any::<bool>(),
        quota in prop::option::of(0usize..4),
    ) {
        // A number is the length of a text; 20 and more do not fit.
        let text = |n: Option<usize>| match n {
            Some(n) => Ok("x".repeat(n)),
            None => Err("lost_step"),
        };
        let mut budgets = BTreeMap::new();
        let mut traces = Vec::new();
        for (idx, (twenty, forty, full, budget)) in items.iter().enumerate() {
            let mut item = trace(&idx.to_string(), &"x".repeat(*full), [Ok(""), Ok("")]);
            item.texts = BTreeMap::from([(TWENTY, text(*twenty)), (FORTY, text(*forty))]);
            let levels = [None, Some(TWENTY), Some(FORTY), Some(KeepLevel::FULL)];
            if let Some(budget) = levels.get(*budget) {
                budgets.insert(idx.to_string(), *budget);
            }
            traces.push(item);
        }
        let quotas = quota.map(LevelQuotas::from).unwrap_or_default();
        let settings = QueueSettings {
            same_problems,
            fixed_quotas: quotas.clone(),
            policy_quotas: quotas,
            ..settings()
        };
        let mut fits = |text: &SftText| Ok(text.think.len() < 20);
        let (texts, counts) = build_queues(&traces, Some(&budgets), &settings, &mut fits).unwrap();

        let mut n_used = counts.policy.used;
        for tally in counts.fixed.values().chain([&counts.policy]) {
            dropped(tally);
            prop_assert_eq!(tally.candidates, items.len() as u64);
        }
        for (level, tally) in &counts.fixed {
            let control = Some(ControlToken::Level(*level));
            let n_level = texts.iter().filter(|text| text.control == control).count();
            prop_assert_eq!(tally.used, n_level as u64);
            prop_assert!(quota.is_none_or(|quota| n_level <= quota));
            n_used += tally.used;
        }
        prop_assert_eq!(n_used, texts.len() as u64);
        prop_assert!(texts.iter().all(|text| text.think.len() < 20));
        if same_problems && quota.is_none() {
            let used: Vec<u64> = counts.fixed.values().map(|tally| tally.used).collect();
            prop_assert!(used.windows(2).all(|pair| pair[0] == pair[1]), "{used:?}");
        }
    }
}
