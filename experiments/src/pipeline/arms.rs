//! Stage 3: the arms of the ablation. An arm is a reward, a baseline and an objective: parts are
//! left out by composing other types, never by a flag in the loop.

use anyhow::Result;
use burn::module::Module;
use extracot_core::CoreError;
use extracot_core::advantage::{AdvantageEstimator, GroupNormalized};
use extracot_core::reward::{
    AccuracyReward, Calibration, ControlHeadReward, HierarchicalReward, Integrity, Mode, Reward,
};
use extracot_models::PolicyCheckpoint;
use extracot_train::checkpoints::RunControl;
use extracot_train::metrics::{MetricRow, MetricSink, StepLog};
use extracot_train::objective::{Chrpo, Grpo, PolicyObjective};
use extracot_train::policy_trainer::{
    PolicyAlgorithm, PolicyConfig, PolicyProblem, PolicyRun, PolicyTask, RolloutRow, RolloutSource,
};

use serde::{Deserialize, Serialize};

use super::{Pipeline, Prepared, dapo, dr_grpo, l1_exact, thinkless};
use crate::config::{AblationConfig, RewardConfig};
use crate::interrupt;
use crate::run::{StageFolder, steps_done};

/// Steps between two states of a stage: a killed run loses the step in flight.
const ARM_STATE_EVERY: usize = 1;

/// One arm.
pub struct Arm {
    /// Its name in the table.
    pub name: String,
    /// What is rewarded.
    pub reward: Box<dyn Reward>,
    /// The group baseline.
    pub estimator: Box<dyn AdvantageEstimator>,
    /// The loss.
    pub objective: Box<dyn PolicyObjective>,
    /// Draws of other problems in place of groups that teach nothing, where the method asks for them;
    /// none takes the settings' number.
    pub extra_rounds: Option<usize>,
}

impl std::fmt::Debug for Arm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arm")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn grpo(config: &AblationConfig) -> Grpo {
    Grpo {
        clip: config.chrpo.clip,
        beta: config.chrpo.beta,
    }
}

/// Correctness, calibration and integrity behind the gates.
fn gated(reward: &RewardConfig) -> Result<HierarchicalReward, CoreError> {
    HierarchicalReward::try_new(reward.w_acc)?
        .with_term(reward.w_cal, Calibration::try_new(reward.tau)?)?
        .with_term(reward.w_int, Integrity)
}

/// CHRPO as a whole.
///
/// # Errors
///
/// If a constant is not allowed.
pub fn full_chrpo(config: &AblationConfig) -> Result<Arm> {
    let reward = &config.reward;
    let mode = Mode::try_new(reward.mode)?;
    let control = ControlHeadReward::try_new(mode, reward.w_ctrl, reward.saving)?;
    Ok(Arm {
        name: "full CHRPO".to_owned(),
        reward: Box::new(
            gated(reward)?
                .with_term(reward.w_mode, mode)?
                .with_control(control),
        ),
        estimator: Box::new(GroupNormalized),
        objective: Box::new(Chrpo {
            main: grpo(config),
            alpha: config.chrpo.alpha,
        }),
        extra_rounds: None,
    })
}

/// Without the control-head reward: the mode term acts through the main reward alone.
///
/// # Errors
///
/// If a constant is not allowed.
pub fn without_control(config: &AblationConfig) -> Result<Arm> {
    let reward = &config.reward;
    let mode = Mode::try_new(reward.mode)?;
    Ok(Arm {
        name: "without R_ctrl".to_owned(),
        reward: Box::new(gated(reward)?.with_term(reward.w_mode, mode)?),
        estimator: Box::new(GroupNormalized),
        objective: Box::new(grpo(config)),
        extra_rounds: None,
    })
}

/// Without anything that speaks of the teacher budget.
///
/// # Errors
///
/// If a constant is not allowed.
pub fn without_mode_and_control(config: &AblationConfig) -> Result<Arm> {
    Ok(Arm {
        name: "without R_mode, R_ctrl".to_owned(),
        reward: Box::new(gated(&config.reward)?),
        estimator: Box::new(GroupNormalized),
        objective: Box::new(grpo(config)),
        extra_rounds: None,
    })
}

/// Plain GRPO on correctness.
pub fn accuracy_only(config: &AblationConfig) -> Arm {
    Arm {
        name: "accuracy only (GRPO)".to_owned(),
        reward: Box::new(AccuracyReward),
        estimator: Box::new(GroupNormalized),
        objective: Box::new(grpo(config)),
        extra_rounds: None,
    }
}

/// The arms of `chrpo_ablation`, `objective_ablation` and `main_table`.
fn known_arms(config: &AblationConfig) -> Result<[Arm; 8]> {
    Ok([
        full_chrpo(config)?,
        without_control(config)?,
        without_mode_and_control(config)?,
        accuracy_only(config),
        dr_grpo(config)?,
        dapo(config)?,
        thinkless(config)?,
        l1_exact(config)?,
    ])
}

/// The names that [`named_arm`] knows, but those of `kappa_ablation`.
///
/// # Errors
///
/// If a constant is not allowed.
pub fn arm_names(config: &AblationConfig) -> Result<Vec<String>> {
    Ok(known_arms(config)?
        .into_iter()
        .map(|arm| arm.name)
        .collect())
}

/// The arm of a name in the runs of `chrpo_ablation`, `objective_ablation`, `main_table` and `kappa_ablation`.
///
/// # Errors
///
/// If a constant is not allowed.
pub fn named_arm(config: &AblationConfig, name: &str) -> Result<Option<Arm>> {
    if let Some(arm) = known_arms(config)?.into_iter().find(|arm| arm.name == name) {
        return Ok(Some(arm));
    }
    let Some(kappa) = name
        .strip_prefix("kappa ")
        .and_then(|kappa| kappa.parse().ok())
    else {
        return Ok(None);
    };
    let mut config = config.clone();
    config.reward.mode.kappa = kappa;
    Ok(Some(Arm {
        name: name.to_owned(),
        ..full_chrpo(&config)?
    }))
}

/// An arm that was trained.
#[derive(Debug)]
pub struct TrainedArm {
    /// Its name in the table.
    pub name: String,
    /// Its model and logs.
    pub stage: StageFolder,
}

/// Trains one arm from the fine-tuned model.
///
/// `settings` must hold every constant that went into `arm`: it decides whether a finished stage is
/// reused.
///
/// # Errors
///
/// If training or writing fails.
pub fn train_arm(
    pipeline: &Pipeline,
    arm: &Arm,
    settings: &impl Serialize,
    prepared: &Prepared,
) -> Result<TrainedArm> {
    let Prepared { sft, reinforce, .. } = prepared;
    let settled = &pipeline.config.chrpo.policy;
    let config = &PolicyConfig {
        extra_rounds: arm.extra_rounds.unwrap_or(settled.extra_rounds),
        ..*settled
    };
    let name = format!("arm_{}", slug(&arm.name));
    let inputs = (&sft.key, &reinforce.key, settings, config, pipeline.seed);
    let stage = pipeline.run.stage(&name, &inputs, |stage| {
        let policy = pipeline.policy(sft)?;
        let problems: Vec<PolicyProblem> = reinforce.read("problems.jsonl")?;
        let algorithm = PolicyAlgorithm {
            reward: arm.reward.as_ref(),
            estimator: arm.estimator.as_ref(),
            objective: arm.objective.as_ref(),
        };
        let (device, model) = pipeline.trainable(&policy.checkpoint.model);
        let checkpoints = stage.checkpoints(ARM_STATE_EVERY);
        let n_done = steps_done(&checkpoints, &stage.name)?;
        let progress = pipeline.progress(&arm.name, config.n_steps - n_done, "steps");
        let mut events = StepLog::resume(&stage.path("events.jsonl"), n_done)?;
        let mut rollouts = StepLog::resume(&stage.path("rollouts.jsonl"), n_done)?;
        // The same streams for every arm: they differ by their algorithm only.
        let run = PolicyRun {
            task: PolicyTask {
                problems: &problems,
                context: &policy.context(),
            },
            algorithm: &algorithm,
            config,
            device: &device,
            seed: pipeline.seed.derive("arm", 0),
            source: RolloutSource::Sampled {
                keeps_tokens: false,
            },
            validation: None,
            control: Some(RunControl {
                checkpoints: &checkpoints,
                should_stop: &interrupt::is_asked,
            }),
        };
        let trained = run.train(model, |step| {
            let metric = |key: &str| step.metrics.get(key).copied().unwrap_or(0.0);
            let (accuracy, ratio) = (metric("rollout/accuracy"), metric("ratio/realized_mean"));
            progress.advance(1, &format!("accuracy {accuracy:.2}, ratio {ratio:.2}"));
            rollouts.append(step.rollouts.into_iter().map(|row| LoggedRollout {
                arm: arm.name.clone(),
                row,
            }))?;
            rollouts.sync()?;
            events.record(&MetricRow {
                stage: arm.name.clone(),
                step: step.step,
                metrics: step.metrics,
            })?;
            Ok(events.sync()?)
        })?;
        let checkpoint = PolicyCheckpoint {
            model: trained.model.valid(),
            ..policy.checkpoint.clone()
        };
        Ok(checkpoint.save(&stage.model)?)
    })?;
    Ok(TrainedArm {
        name: arm.name.clone(),
        stage,
    })
}

/// A row of `rollouts.jsonl` with the arm it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedRollout {
    /// The name of the arm.
    pub arm: String,
    /// The row.
    #[serde(flatten)]
    pub row: RolloutRow,
}

/// A name as part of a path.
pub(crate) fn slug(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("_")
}
