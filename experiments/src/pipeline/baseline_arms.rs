//! Published algorithms as arms on the same core: same start, same problems, same number of steps.

use extracot_core::CoreError;
use extracot_core::advantage::{GroupCentered, GroupNormalized};
use extracot_core::reward::{AccuracyReward, AdditiveReward, L1_ALPHA};
use extracot_train::objective::{DeGrpo, DrGrpo, Grpo};

use super::Arm;
use crate::config::AblationConfig;

/// Weight of the control token in DeGRPO.
///
/// # Source
///
/// Thinkless (arXiv 2505.13379), section 3.2.
const DEGRPO_ALPHA: f64 = 0.001;
/// What a right answer at the longest level loses in Thinkless.
///
/// # Source
///
/// The released code of Thinkless.
const THINKLESS_GAMMA: f64 = 0.5;
/// Think texts of L1's runs are about so many times as long as those of the embedded task: its cost per
/// token off the target grows by it.
///
/// # Source
///
/// Our own choice: targets of 100 to 4000 tokens there, base texts of 215 tokens in the mean here.
const L1_SCALE: f64 = 10.0;
/// DAPO charges a rollout for length over the last so-manieth part of the limit.
///
/// # Source
///
/// DAPO (arXiv 2503.14476), section 4.1: 4096 of 20480 tokens.
const OVERLONG_PART: usize = 5;
/// Draws of other problems that DAPO may take per step. The paper draws until the batch is full.
///
/// # Source
///
/// Our own choice: a bound, so that a settled policy ends.
const DAPO_ROUNDS: usize = 3;

/// Dr. GRPO on correctness.
///
/// # Errors
///
/// If a constant is not allowed.
pub fn dr_grpo(config: &AblationConfig) -> Result<Arm, CoreError> {
    let limit = config.chrpo.policy.max_new_tokens;
    Ok(Arm {
        name: "Dr. GRPO".to_owned(),
        reward: Box::new(AccuracyReward),
        estimator: Box::new(GroupCentered),
        objective: Box::new(DrGrpo::try_new(config.chrpo.clip, limit)?),
        extra_rounds: None,
    })
}

/// DAPO: clip-higher, token mean, dynamic sampling, a charge for overlong rollouts.
///
/// # Errors
///
/// If a constant is not allowed.
pub fn dapo(config: &AblationConfig) -> Result<Arm, CoreError> {
    let limit = config.chrpo.policy.max_new_tokens;
    Ok(Arm {
        name: "DAPO".to_owned(),
        reward: Box::new(AdditiveReward::dapo(limit, (limit / OVERLONG_PART).max(1))?),
        estimator: Box::new(GroupNormalized),
        objective: Box::new(Grpo::DAPO),
        extra_rounds: Some(DAPO_ROUNDS),
    })
}

/// Thinkless: DeGRPO with a reward that makes the long levels worth less.
///
/// # Errors
///
/// If a constant is not allowed.
pub fn thinkless(config: &AblationConfig) -> Result<Arm, CoreError> {
    Ok(Arm {
        name: "Thinkless (DeGRPO)".to_owned(),
        reward: Box::new(AdditiveReward::thinkless(THINKLESS_GAMMA)?),
        estimator: Box::new(GroupCentered),
        objective: Box::new(DeGrpo {
            clip: config.chrpo.clip,
            alpha: DEGRPO_ALPHA,
            beta: config.chrpo.beta,
        }),
        extra_rounds: None,
    })
}

/// L1: correctness less a cost per token off the length that the stated level stands for.
///
/// # Errors
///
/// If a constant is not allowed.
pub fn l1_exact(config: &AblationConfig) -> Result<Arm, CoreError> {
    Ok(Arm {
        name: "L1-Exact".to_owned(),
        reward: Box::new(AdditiveReward::lcpo_exact(L1_ALPHA * L1_SCALE)?),
        estimator: Box::new(GroupNormalized),
        objective: Box::new(Grpo {
            clip: config.chrpo.clip,
            beta: config.chrpo.beta,
        }),
        extra_rounds: None,
    })
}
