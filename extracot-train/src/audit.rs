//! Verdicts, rewards and advantages computed anew from what a run wrote of its rollouts.

use extracot_core::advantage::AdvantageEstimator;
use extracot_core::reward::{Reward, RewardBreakdown, RewardContext};
use extracot_core::{AnswerVerifier, ControlToken};

use crate::policy_trainer::RolloutRow;

/// The rows of one group with all that follows from their completions computed anew: the level chosen,
/// the verdict, think tokens, the realized ratio, the reward with its parts, the advantages.
///
/// What it goes by is in the rows: [`RolloutRow::response`], [`RolloutRow::answer`],
/// [`RolloutRow::reference_tokens`], [`RolloutRow::budget`]. With the reward, the estimator and the
/// verifier of the run, rows that nobody touched come back the same, bit for bit.
pub fn recompute_group(
    rows: &[RolloutRow],
    reward: &dyn Reward,
    estimator: &dyn AdvantageEstimator,
    verifier: &dyn AnswerVerifier,
) -> Vec<RolloutRow> {
    let mut found: Vec<RolloutRow> = rows.to_vec();
    for row in &mut found {
        row.verdict = verifier.verify(&row.response.visible, &row.answer);
        let context = RewardContext {
            response: &row.response,
            verdict: &row.verdict,
            reference_tokens: row.reference_tokens,
            budget: row.budget,
        };
        row.realized_ratio = context.realized_ratio();
        row.reward = reward.evaluate(&context);
        row.chosen = row.response.control.and_then(ControlToken::level);
        row.think_tokens = row.response.think_tokens;
    }
    let rewards: Vec<Option<&RewardBreakdown>> =
        found.iter().map(|row| row.reward.as_ref()).collect();
    let advantages = estimator.advantages(&rewards).rollouts;
    for (row, advantages) in found.iter_mut().zip(advantages) {
        row.advantages = advantages;
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use extracot_core::advantage::GroupNormalized;
    use extracot_core::reward::AccuracyReward;
    use extracot_core::{KeepLevel, MathVerifier, Response, ThinkState, Verdict};

    use super::*;

    fn row(sample_idx: usize, visible: &str) -> RolloutRow {
        let response = Response {
            control: Some(ControlToken::Level(KeepLevel::ALL[1])),
            think_state: ThinkState::Closed,
            think_tokens: 30,
            total_tokens: 40,
            think: "so".into(),
            visible: visible.into(),
        };
        // All that is computed is wrong at first.
        RolloutRow {
            step: 0,
            prompt_id: "p".into(),
            sample_idx,
            seed: 1,
            chosen: None,
            budget: None,
            verdict: Verdict::NoAnswer,
            think_tokens: 0,
            realized_ratio: 0.0,
            text: String::new(),
            answer: "4".into(),
            reference_tokens: 120,
            response,
            reward: None,
            advantages: None,
            left_out: None,
            sampled: None,
        }
    }

    #[test]
    fn a_group_is_computed_from_its_responses() {
        let rows = [
            row(0, "\\boxed{4}"),
            row(1, "\\boxed{5}"),
            row(2, "\\boxed{4}"),
            row(3, "?"),
        ];
        let found = recompute_group(&rows, &AccuracyReward, &GroupNormalized, &MathVerifier);
        let verdicts = [
            Verdict::Correct,
            Verdict::Incorrect,
            Verdict::Correct,
            Verdict::NoAnswer,
        ];
        // Rewards 1, 0, 1, 0: mean 0.5, deviation 0.5.
        for ((row, verdict), main) in found.iter().zip(verdicts).zip([1.0, -1.0, 1.0, -1.0]) {
            assert_eq!(row.verdict, verdict);
            assert_eq!(
                (row.chosen, row.think_tokens),
                (Some(KeepLevel::ALL[1]), 30)
            );
            assert_eq!(row.realized_ratio, 0.25);
            assert_eq!(row.advantages.unwrap().main, main);
        }
        let again = recompute_group(&found, &AccuracyReward, &GroupNormalized, &MathVerifier);
        assert_eq!(again, found);
    }
}
