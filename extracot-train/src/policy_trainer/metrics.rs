//! The metrics of one step (`docs/metrics.md`).

use std::collections::BTreeMap;

use extracot_core::KeepLevel;
use extracot_core::reward::RewardBreakdown;

use super::rounds::StepRollouts;
use super::{PolicyConfig, RolloutRow, UpdateRatios};
use crate::batch::PolicyBatch;
use crate::update::StepStats;

/// The metrics of one step by key.
pub(super) fn step_metrics(
    sampled: &StepRollouts,
    shards: &[PolicyBatch],
    updates: &[(StepStats, UpdateRatios)],
    config: &PolicyConfig,
) -> BTreeMap<String, f64> {
    let rollouts = &sampled.rollouts;
    let mut metrics = BTreeMap::new();
    let n = rollouts.len().max(1) as f64;
    let mut set = |key: &str, value: f64| {
        metrics.insert(key.to_owned(), value);
    };
    let judged: Vec<&RewardBreakdown> = rollouts
        .iter()
        .filter_map(|row| row.reward.as_ref())
        .collect();
    let n_judged = judged.len().max(1) as f64;
    set(
        "reward/main_mean",
        judged.iter().map(|r| r.main).sum::<f64>() / n_judged,
    );
    set(
        "reward/control_mean",
        judged.iter().map(|r| r.control).sum::<f64>() / n_judged,
    );
    let mut terms: BTreeMap<&str, f64> = BTreeMap::new();
    for term in judged.iter().flat_map(|reward| &reward.terms) {
        *terms.entry(&term.name).or_default() += term.raw;
    }
    for (name, sum) in terms {
        set(&format!("reward/{name}_mean"), sum / n_judged);
    }
    for level in KeepLevel::ALL {
        let n_level = rollouts
            .iter()
            .filter(|row| row.chosen == Some(level))
            .count();
        set(&format!("level/{level}_share"), n_level as f64 / n);
    }
    let mean = |value: &dyn Fn(&RolloutRow) -> f64| rollouts.iter().map(value).sum::<f64>() / n;
    set(
        "rollout/accuracy",
        mean(&|row| f64::from(u8::from(row.verdict.is_correct()))),
    );
    set(
        "rollout/undecided_share",
        mean(&|row| f64::from(u8::from(row.reward.is_none()))),
    );
    set(
        "length/think_tokens_mean",
        mean(&|row| row.think_tokens as f64),
    );
    set("ratio/realized_mean", mean(&|row| row.realized_ratio));
    let old_logprobs = || shards.iter().flat_map(PolicyBatch::old_logprobs);
    let n_tokens = old_logprobs().count().max(1) as f64;
    let kl: f64 = shards
        .iter()
        .flat_map(|shard| shard.old_logprobs().iter().zip(shard.ref_logprobs()))
        .map(|(old, reference)| {
            let log_weight = f64::from(reference - old);
            log_weight.exp() - log_weight - 1.0
        })
        .sum();
    if shards.iter().any(|shard| !shard.ref_logprobs().is_empty()) {
        set("policy/kl_k3_nats", kl / n_tokens);
    }
    let entropy: f64 = old_logprobs().map(|l| -f64::from(*l)).sum();
    set("policy/entropy_nats", entropy / n_tokens);
    let n_updates = updates.len().max(1) as f64;
    let mean = |value: fn(&(StepStats, UpdateRatios)) -> f64| {
        updates.iter().map(value).sum::<f64>() / n_updates
    };
    set("optim/loss", mean(|(stats, _)| stats.loss));
    set(
        "optim/learning_rate",
        mean(|(stats, _)| stats.learning_rate),
    );
    set("optim/grad_norm", mean(|(stats, _)| stats.grad_norm));
    set(
        "policy/clip_low_share",
        mean(|(_, ratios)| ratios.clip_low_share),
    );
    set(
        "policy/clip_high_share",
        mean(|(_, ratios)| ratios.clip_high_share),
    );
    // Before the first update the weights are those that sampled.
    if let Some((_, first)) = updates.first() {
        set("policy/logprob_mismatch_max", first.largest_difference);
        set("policy/logprob_mismatch_mean", first.mean_difference);
    }
    let share = |n_groups: usize| n_groups as f64 / sampled.n_groups as f64;
    set("group/constant_share", share(sampled.n_main_constant));
    set(
        "group/control_constant_share",
        share(sampled.n_control_constant),
    );
    if config.extra_rounds > 0 {
        let n_missing = config.prompts_per_step.saturating_sub(sampled.n_used);
        set("group/rounds", sampled.n_rounds as f64);
        set("group/used", sampled.n_used as f64);
        set("group/left_constant", sampled.n_left_constant as f64);
        set("group/left_surplus", sampled.n_left_surplus as f64);
        set("group/missing", n_missing as f64);
    }
    metrics
}
