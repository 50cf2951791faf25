use proptest::prelude::*;

use super::*;
use crate::reward::testing::{Case, evaluate};
use crate::reward::{Calibration, Integrity, Mode, ModeConstants};
use crate::{ControlToken, KeepLevel, Response, ThinkState};

fn reward() -> HierarchicalReward {
    let mode = Mode::try_new(ModeConstants::default()).unwrap();
    HierarchicalReward::try_new(1.0)
        .and_then(|r| r.with_term(0.1, Calibration::try_new(0.1)?))
        .and_then(|r| r.with_term(0.3, mode))
        .and_then(|r| r.with_term(0.1, Integrity))
        .and_then(|r| Ok(r.with_control(ControlHeadReward::try_new(mode, 1.0, 0.3)?)))
        .unwrap()
}

fn breakdown(
    reward: &HierarchicalReward,
    level: Option<KeepLevel>,
    think_tokens: usize,
    verdict: Verdict,
    budget: Option<KeepLevel>,
    closed: bool,
) -> Option<RewardBreakdown> {
    let response = Response {
        control: level.map(ControlToken::Level),
        think_state: if closed {
            ThinkState::Closed
        } else {
            ThinkState::Unclosed
        },
        think_tokens,
        total_tokens: think_tokens,
        think: "$1$".into(),
        visible: "\\boxed{1}".into(),
    };
    let context = RewardContext {
        response: &response,
        verdict: &verdict,
        reference_tokens: 100,
        budget,
    };
    reward.evaluate(&context)
}

#[test]
fn a_right_short_answer_adds_up_by_hand() {
    let (twenty, forty) = (KeepLevel::ALL[0], KeepLevel::ALL[1]);
    let found = breakdown(
        &reward(),
        Some(twenty),
        20,
        Verdict::Correct,
        Some(forty),
        true,
    )
    .unwrap();
    // 1 + 0.1 * 1 (on target) + 0.3 * min(0.4, 0.2) + 0.1 * 0.
    assert!((found.main - 1.16).abs() < 1e-9);
    // 1 * (0.2 + 0.3 * 0.8).
    assert!((found.control - 0.44).abs() < 1e-9);
    assert_eq!(found.stratum, Stratum::Right);
}

#[test]
fn an_undecided_answer_has_no_reward_and_a_malformed_one_the_lowest() {
    let undecided = Verdict::Undecided("?".into());
    assert!(breakdown(&reward(), Some(KeepLevel::FULL), 9, undecided, None, true).is_none());
    let malformed = breakdown(
        &reward(),
        Some(KeepLevel::FULL),
        9,
        Verdict::Correct,
        None,
        false,
    )
    .unwrap();
    assert_eq!(
        (malformed.stratum, malformed.main),
        (Stratum::Malformed, -1.0)
    );
    let silent = breakdown(&reward(), None, 9, Verdict::Correct, None, true).unwrap();
    assert_eq!((silent.stratum, silent.control), (Stratum::Malformed, -1.0));
}

proptest! {
    #[test]
    fn no_lower_stratum_outscores_a_higher_one(
        draws in prop::collection::vec(
            (0usize..6, 0usize..300, any::<bool>(), 0usize..6, any::<bool>()), 2),
        weights in prop::collection::vec(0.0f64..3.0, 3),
    ) {
        let reward = HierarchicalReward::try_new(1.0)
            .and_then(|r| r.with_term(weights[0], Calibration::try_new(0.1)?))
            .and_then(|r| r.with_term(weights[1], reward_mode()))
            .and_then(|r| r.with_term(weights[2], Integrity))
            .unwrap();
        let scored: Vec<_> = draws
            .into_iter()
            .map(|(level, tokens, right, budget, closed)| {
                let verdict = if right { Verdict::Correct } else { Verdict::Incorrect };
                let level = KeepLevel::ALL.get(level).copied();
                let budget = KeepLevel::ALL.get(budget).copied();
                breakdown(&reward, level, tokens, verdict, budget, closed).unwrap()
            })
            .collect();
        if scored[0].stratum < scored[1].stratum {
            prop_assert!(scored[0].main <= scored[1].main, "{scored:?}");
        }
    }
}

/// What a rollout and its problem can look like, coarsely but from end to end.
fn all_cases() -> Vec<Case> {
    let levels = || KeepLevel::ALL.into_iter().map(Some).chain([None]);
    let lengths = [0, 1, 19, 20, 21, 45, 60, 99, 100, 101, 400, 1_000_000];
    let verdicts = [Verdict::Correct, Verdict::Incorrect, Verdict::NoAnswer];
    let mut cases = Vec::new();
    for (level, budget) in levels().flat_map(|l| levels().map(move |b| (l, b))) {
        for (n_tokens, reference_tokens) in lengths.map(|n| [(n, 1), (n, 100)]).concat() {
            for (verdict, is_closed) in verdicts
                .clone()
                .map(|v| [(v.clone(), true), (v, false)])
                .concat()
            {
                cases.push(Case {
                    level,
                    n_tokens,
                    verdict,
                    is_closed,
                    budget,
                    reference_tokens,
                });
            }
        }
    }
    cases
}

#[test]
fn the_strata_stay_apart_at_every_length_level_and_budget() {
    for (w_acc, weights) in [(1.0, [0.1, 0.3, 0.1]), (0.5, [9.0, 9.0, 9.0])] {
        let reward = HierarchicalReward::try_new(w_acc)
            .and_then(|r| r.with_term(weights[0], Calibration::try_new(0.1)?))
            .and_then(|r| r.with_term(weights[1], reward_mode()))
            .and_then(|r| r.with_term(weights[2], Integrity))
            .unwrap();
        let mut extremes = std::collections::BTreeMap::new();
        for case in all_cases() {
            let found = evaluate(&reward, &case).unwrap();
            let (low, high) = extremes
                .entry(found.stratum)
                .or_insert((f64::INFINITY, f64::NEG_INFINITY));
            *low = found.main.min(*low);
            *high = found.main.max(*high);
        }
        let extremes: Vec<_> = extremes.into_values().collect();
        assert_eq!(extremes.len(), 3);
        assert!(
            extremes.windows(2).all(|pair| pair[0].1 <= pair[1].0),
            "{extremes:?}"
        );
        // The strata are used, not only kept apart.
        assert!(
            extremes[1..].iter().all(|(low, high)| high - low > 0.2),
            "{extremes:?}"
        );
    }
}

fn reward_mode() -> Mode {
    Mode::try_new(ModeConstants {
        kappa: 2.0,
        gain: 3.0,
        over_right: 2.0,
        under_wrong: 3.0,
        over_wrong: 1.0,
        none_wrong: 2.0,
    })
    .unwrap()
}
