//! CHRPO on a table: the policy learns to choose the cheapest level that works, and learns nothing
//! from rewards that belong to other rollouts of the group.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::policy_table::{
    chrpo, chrpo_reward, config, level_probabilities, run, table, uneven_table,
};
use extracot_core::Seed;
use extracot_core::advantage::{AdvantageEstimator, GroupAdvantages, GroupNormalized};
use extracot_core::reward::RewardBreakdown;
use extracot_train::policy_trainer::PolicyAlgorithm;
use rand::seq::SliceRandom;

/// The real rewards, each given to another rollout of its group.
struct Shuffled(std::sync::atomic::AtomicU64);

impl AdvantageEstimator for Shuffled {
    fn advantages(&self, rewards: &[Option<&RewardBreakdown>]) -> GroupAdvantages {
        let idx = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut shuffled = rewards.to_vec();
        shuffled.shuffle(&mut Seed(5).derive("shuffle", idx).rng());
        GroupNormalized.advantages(&shuffled)
    }
}

fn train(estimator: &dyn AdvantageEstimator, seed: Seed) -> Vec<f64> {
    let algorithm = PolicyAlgorithm {
        reward: &chrpo_reward(),
        estimator,
        objective: &chrpo(0.0),
    };
    let config = config(30, 1, 16, 2);
    level_probabilities(&run(&algorithm, &table(), &config, seed, |_| {}))
}

#[test]
fn the_reference_meets_what_was_recorded_and_is_left_by_the_first_update() {
    let mut divergences = vec![];
    let mut lengths = std::collections::BTreeSet::new();
    let config = config(2, 5, 4, 3);
    let algorithm = PolicyAlgorithm {
        reward: &chrpo_reward(),
        estimator: &GroupNormalized,
        objective: &chrpo(0.1),
    };
    run(&algorithm, &uneven_table(), &config, Seed(1), |step| {
        divergences.push(step.metrics["policy/kl_k3_nats"]);
        lengths.extend(step.rollouts.iter().map(|row| row.text.len()));
    });
    assert!(lengths.len() > 3, "rollouts of one length");
    assert!(divergences[0].abs() < 1e-9, "{divergences:?}");
    assert!(divergences[1] > 1e-5, "{divergences:?}");
}

#[test]
fn the_policy_finds_the_cheapest_level_that_works() {
    for seed in 1..=3 {
        let found = train(&GroupNormalized, Seed(seed));
        assert!(found[0] > 0.8, "seed {seed}: {found:?}");
    }
}

#[test]
fn shuffled_rewards_teach_nothing() {
    let mut mean = [0.0; 5];
    for seed in 1..=4 {
        let shuffled = Shuffled(std::sync::atomic::AtomicU64::new(seed * 1000));
        for (mean, found) in mean.iter_mut().zip(train(&shuffled, Seed(seed))) {
            *mean += found / 4.0;
        }
    }
    assert!(mean[0] < 0.5, "{mean:?}");
}
