//! The reinforcement loop on a table: importance weights, dynamic sampling, and the other methods that are
//! values on the same core.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::policy_table::{
    START, chrpo, chrpo_reward, config, level_probabilities, run, table, uneven_table,
};
use extracot_core::Seed;
use extracot_core::advantage::{GroupCentered, GroupNormalized};
use extracot_core::reward::{AdditiveReward, LcpoMax};
use extracot_train::loss::ClipRange;
use extracot_train::objective::{DeGrpo, DrGrpo, Grpo};
use extracot_train::policy_trainer::{
    LeftOut, PolicyAlgorithm, PolicyConfig, PolicyStepReport, RolloutRow,
};

#[test]
fn the_first_update_has_weights_of_one_and_later_ones_are_clipped() {
    for temperature in [0.5, 1.0, 1.3] {
        for updates_per_step in [1, 6] {
            let config = PolicyConfig {
                temperature,
                updates_per_step,
                ..config(2, 5, 4, 3)
            };
            let mut clipped = 0.0;
            let algorithm = PolicyAlgorithm {
                reward: &chrpo_reward(),
                estimator: &GroupNormalized,
                objective: &chrpo(0.1),
            };
            run(&algorithm, &uneven_table(), &config, Seed(1), |step| {
                assert!(step.metrics["policy/logprob_mismatch_max"] < 1e-4);
                assert!(step.metrics["policy/logprob_mismatch_mean"] < 1e-5);
                clipped += step.metrics["policy/clip_low_share"];
                clipped += step.metrics["policy/clip_high_share"];
            });
            // Six updates at this rate move the weights beyond the bounds.
            assert_eq!(
                clipped > 0.0,
                updates_per_step > 1,
                "{temperature}: {clipped}"
            );
        }
    }
}

/// Rows by prompt and seed of the draw.
fn groups(step: &PolicyStepReport) -> Vec<Vec<&RolloutRow>> {
    let size = 2;
    step.rollouts
        .chunks(size)
        .map(|group| group.iter().collect())
        .collect()
}

#[test]
fn constant_groups_are_replaced_by_later_prompts_and_counted() {
    // Two rollouts at five equally likely levels: every fifth group has two equal rewards.
    let config = PolicyConfig {
        extra_rounds: 2,
        ..config(12, 4, 2, 1)
    };
    let (mut n_constant, mut n_surplus, mut n_missing) = (0.0, 0.0, 0.0);
    let mut seeds = vec![];
    let algorithm = PolicyAlgorithm {
        reward: &chrpo_reward(),
        estimator: &GroupNormalized,
        objective: &chrpo(0.0),
    };
    run(&algorithm, &table(), &config, Seed(4), |step| {
        let mut used = 0.0;
        for group in groups(&step) {
            let is_constant = group[0].reward.as_ref().map(|r| (r.main, r.control))
                == group[1].reward.as_ref().map(|r| (r.main, r.control));
            assert_eq!(group[0].left_out, group[1].left_out);
            assert_eq!(group[0].left_out == Some(LeftOut::Constant), is_constant);
            used += f64::from(u8::from(group[0].left_out.is_none()));
        }
        let metric = |key: &str| step.metrics[key];
        let all = metric("group/left_constant") + metric("group/left_surplus") + used;
        assert_eq!(metric("group/used"), used);
        assert_eq!(all, groups(&step).len() as f64);
        assert_eq!(metric("group/missing"), 4.0 - used);
        // Fewer than asked for only when the rounds are used up.
        assert!(used == 4.0 || metric("group/rounds") == 3.0);
        n_constant += metric("group/left_constant");
        n_surplus += metric("group/left_surplus");
        n_missing += metric("group/missing");
        let mut of_step: Vec<u64> = step.rollouts.iter().map(|row| row.seed).collect();
        of_step.dedup();
        assert_eq!(of_step.len() as f64, metric("group/rounds"));
        seeds.extend(of_step);
    });
    assert!(
        n_constant > 0.0 && n_surplus > 0.0,
        "{n_constant} {n_surplus} {n_missing}"
    );
    // A later draw is new: its rollouts are not those of an earlier one.
    let n_draws = seeds.len();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), n_draws);
    assert!(n_draws > 12, "{n_draws}");
}

#[test]
fn a_step_without_anything_to_learn_changes_nothing() {
    // Only level 40 is ever chosen.
    let mut table = table();
    table[START][..5].copy_from_slice(&[-20.0, 20.0, -20.0, -20.0, -20.0]);
    let config = PolicyConfig {
        extra_rounds: 1,
        ..config(2, 3, 2, 2)
    };
    let algorithm = PolicyAlgorithm {
        reward: &chrpo_reward(),
        estimator: &GroupNormalized,
        objective: &chrpo(0.0),
    };
    let model = run(&algorithm, &table, &config, Seed(1), |step| {
        assert_eq!(step.metrics["group/missing"], 3.0);
        assert_eq!(step.metrics["group/rounds"], 2.0);
        assert_eq!(step.rollouts.len(), 12);
    });
    let found: Vec<f32> = model.table.val().into_data().iter::<f32>().collect();
    assert_eq!(found, table.concat());
}

#[test]
fn every_method_finds_what_its_reward_asks_for() {
    let clip = ClipRange::try_new(0.2, 0.2).unwrap();
    let config = config(30, 1, 16, 2);
    let dr_grpo = DrGrpo::try_new(clip, config.max_new_tokens).unwrap();
    let degrpo = DeGrpo {
        clip,
        alpha: 0.5,
        beta: 0.001,
    };
    let (chrpo_reward, thinkless) = (chrpo_reward(), AdditiveReward::thinkless(0.5).unwrap());
    // One think token and a reference of one: level 100 is on target, every other level short of it.
    let exact = AdditiveReward::lcpo_exact(1.0).unwrap();
    let max = LcpoMax::try_new(0.5, 0.5).unwrap();
    let dapo = PolicyAlgorithm {
        reward: &exact,
        estimator: &GroupNormalized,
        objective: &Grpo::DAPO,
    };
    let methods = [
        (
            "Dr. GRPO",
            0,
            PolicyAlgorithm {
                reward: &chrpo_reward,
                estimator: &GroupCentered,
                objective: &dr_grpo,
            },
        ),
        (
            "DeGRPO",
            0,
            PolicyAlgorithm {
                reward: &thinkless,
                estimator: &GroupCentered,
                objective: &degrpo,
            },
        ),
        (
            "LCPO-Max",
            4,
            PolicyAlgorithm {
                reward: &max,
                ..dapo
            },
        ),
        ("LCPO-Exact, DAPO", 4, dapo),
    ];
    for (name, level_idx, algorithm) in methods {
        let found = level_probabilities(&run(&algorithm, &table(), &config, Seed(1), |_| {}));
        assert!(found[level_idx] > 0.8, "{name}: {found:?}");
    }
}
