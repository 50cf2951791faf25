//! One optimizer step: sharded gradients, global-norm clipping, schedule, AdamW. All loops use it.

mod adamw;
#[cfg(test)]
mod tests;
mod walk;

use std::thread;

use burn::module::{Module, ParamGroup};
use burn::optim::lr_scheduler::LrSchedulerConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::lr_scheduler::sequential::SequentialLrSchedulerConfig;
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Device, ExecutionError, Tensor};
use extracot_models::ModelError;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use adamw::AdamW;

/// Settings of the optimizer and its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateConfig {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: usize,
    /// The rate falls along a cosine to this share of the peak.
    pub final_rate_share: f64,
    /// Decoupled decay of matrices; norms and biases have none.
    pub weight_decay: f32,
    /// Whether embeddings decay too. Rows of rare tokens have a gradient at few steps and decay at all.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub decay_embeddings: bool,
    /// First AdamW decay rate.
    pub beta_1: f32,
    /// Second AdamW decay rate.
    pub beta_2: f32,
    /// Gradients are scaled down to this global norm.
    pub clip_norm: f64,
}

fn yes() -> bool {
    true
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_yes(value: &bool) -> bool {
    *value
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepStats {
    /// The loss, summed over shards.
    pub loss: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
}

/// The loss of a shard and its gradients.
#[derive(Debug, Default)]
pub struct ShardGradients {
    /// The shard's part of the loss.
    pub loss: f64,
    /// Gradients of the parameters that it depends on; none for a shard without a loss.
    pub grads: GradientsParams,
}

impl ShardGradients {
    /// By going backward through the graph of `loss`.
    pub fn of<M: Module>(loss: &Tensor<1>, model: &M) -> Self {
        let value = f64::from(loss.clone().into_scalar::<f32>());
        Self {
            loss: value,
            grads: GradientsParams::from_grads(loss.backward(), model),
        }
    }
}

/// Starts what this thread has queued on the device, for other threads to compute with: burn 0.22 with fusion on
/// wgpu gives them wrong values of what is still queued, silently.
pub(crate) fn hand_over(device: &Device) -> Result<(), TrainError> {
    let error = |error: ExecutionError| ModelError::Device {
        message: error.to_string(),
    };
    Ok(device.flush().map_err(error)?)
}

/// Owns the optimizer's state and the schedule.
pub struct Updater {
    optimizer: ModuleOptimizer,
    schedule: ModuleLrScheduler,
    clip_norm: f64,
    step: usize,
}

impl std::fmt::Debug for Updater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Updater")
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl Updater {
    /// An optimizer for a run of `n_steps`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Optimizer`] if a setting is outside what burn allows.
    pub fn try_new(config: &UpdateConfig, n_steps: usize) -> Result<Self, TrainError> {
        let optimizer_error = |message: String| TrainError::Optimizer { message };
        let is_positive = |value: f64| value.is_finite() && value > 0.0;
        if !is_positive(config.clip_norm) || !is_positive(config.learning_rate) {
            let UpdateConfig {
                clip_norm,
                learning_rate,
                ..
            } = config;
            return Err(optimizer_error(format!(
                "clip_norm = {clip_norm}, learning_rate = {learning_rate}: both have to be above 0"
            )));
        }
        let mut without_decay = vec!["(?i)norm", "bias$"];
        if !config.decay_embeddings {
            without_decay.push("(?i)embed");
        }
        let without_decay = ParamGroup::from_any_regexes(without_decay)
            .map_err(|error| optimizer_error(format!("{error:?}")))?;
        let optimizer = ModuleOptimizer::from(AdamW::new(config, config.weight_decay)).with_group(
            without_decay,
            AdamW::new(config, 0.0),
            None,
        );

        let peak = config.learning_rate;
        let warmup = config.warmup_steps.min(n_steps.saturating_sub(1));
        let cosine = LrSchedulerConfig::Cosine(
            CosineAnnealingLrSchedulerConfig::new(peak, (n_steps - warmup).max(1))
                .with_min_lr(peak * config.final_rate_share),
        );
        let (stages, milestones) = if warmup == 0 {
            (vec![cosine], vec![])
        } else {
            let first = peak / warmup as f64;
            let rise = LinearLrSchedulerConfig::new(first, peak, warmup.saturating_sub(1).max(1));
            (vec![LrSchedulerConfig::Linear(rise), cosine], vec![warmup])
        };
        let schedule = SequentialLrSchedulerConfig::new(stages, milestones)
            .init()
            .map_err(optimizer_error)?;
        Ok(Self {
            optimizer,
            schedule,
            clip_norm: config.clip_norm,
            step: 0,
        })
    }

    /// Steps taken so far.
    pub fn n_steps(&self) -> usize {
        self.step
    }

    /// The optimizer's state, for [`Updater::after`]. The schedule follows from the number of steps.
    ///
    /// # Errors
    ///
    /// [`TrainError::Optimizer`] if the state cannot be serialized.
    pub fn state(&self) -> Result<Vec<u8>, TrainError> {
        let bytes = self.optimizer.into_bytes();
        let bytes = bytes.map_err(|error| TrainError::Optimizer {
            message: error.to_string(),
        })?;
        Ok(bytes.to_vec())
    }

    /// Goes on behind `n_steps` steps with the [`Updater::state`] after them. The model has to have the
    /// parameter ids that it had then: burn's own records keep them.
    ///
    /// # Errors
    ///
    /// [`TrainError::Optimizer`] if the state cannot be read.
    pub fn after(mut self, n_steps: usize, state: Vec<u8>) -> Result<Self, TrainError> {
        self.optimizer = self
            .optimizer
            .from_bytes(Bytes::from_bytes_vec(state))
            .map_err(|error| TrainError::Optimizer {
                message: error.to_string(),
            })?;
        for _ in 0..n_steps {
            self.schedule.step();
        }
        self.step = n_steps;
        Ok(self)
    }

    /// Computes the loss of every shard, several shards each on a thread of its own, adds the gradients in shard
    /// order, and steps. The number of shards is part of the result (the order of additions), the number of
    /// threads is not. Without a shard only the schedule steps.
    ///
    /// The total loss is the sum of the shards' losses: each must already be divided by what the
    /// whole batch is divided by.
    ///
    /// # Panics
    ///
    /// If `loss` panics.
    ///
    /// # Errors
    ///
    /// [`TrainError::NonFiniteLoss`] or [`TrainError::NonFiniteGradient`], before anything changed; a device
    /// that fails.
    pub fn step<M, S, F>(
        &mut self,
        model: M,
        shards: &[S],
        device: &Device,
        loss: F,
    ) -> Result<(M, StepStats), TrainError>
    where
        M: Module + Sync,
        S: Sync,
        F: Fn(&M, &S) -> Tensor<1> + Sync,
    {
        self.step_with(model, shards, device, |model, shard| {
            ShardGradients::of(&loss(model, shard), model)
        })
    }

    /// [`Self::step`] for a loss that computes its gradients itself.
    ///
    /// # Panics
    ///
    /// If `gradients` panics.
    ///
    /// # Errors
    ///
    /// As [`Self::step`].
    pub fn step_with<M, S, F>(
        &mut self,
        model: M,
        shards: &[S],
        device: &Device,
        gradients: F,
    ) -> Result<(M, StepStats), TrainError>
    where
        M: Module + Sync,
        S: Sync,
        F: Fn(&M, &S) -> ShardGradients + Sync,
    {
        hand_over(device)?;
        let compute = |model: M, shard: &S| {
            let found = gradients(&model, shard);
            hand_over(device)?;
            Ok(found)
        };
        // A fork has leaves of its own, so the graphs of the shards stay apart.
        let fork = || model.clone().fork(device);
        let results: Vec<Result<ShardGradients, TrainError>> = match shards {
            // Here, so that what it allocates is used again by the optimizer: threads have heaps of their own.
            [shard] => vec![compute(fork(), shard)],
            _ => thread::scope(|scope| {
                let workers: Vec<_> = shards
                    .iter()
                    .map(|shard| {
                        let (model, compute) = (fork(), &compute);
                        scope.spawn(move || compute(model, shard))
                    })
                    .collect();
                let results = workers.into_iter().map(|worker| {
                    worker
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                });
                results.collect()
            }),
        };
        let results = results.into_iter().collect::<Result<Vec<_>, _>>()?;
        let loss: f64 = results.iter().map(|shard| shard.loss).sum();
        let mut accumulator = GradientsAccumulator::new();
        for shard in results {
            accumulator.accumulate(&model, shard.grads);
        }
        let (grads, grad_norm) = self.clip(&model, accumulator.grads(), loss)?;
        let rate = self.schedule.step();
        let learning_rate = rate.base();
        let model = self.optimizer.step(rate, model, grads);
        hand_over(device)?;
        self.step += 1;
        Ok((
            model,
            StepStats {
                loss,
                grad_norm,
                learning_rate,
            },
        ))
    }

    /// Scales the gradients down to the norm that is allowed.
    fn clip<M: Module>(
        &self,
        model: &M,
        mut grads: GradientsParams,
        loss: f64,
    ) -> Result<(GradientsParams, f64), TrainError> {
        let step = self.step;
        let norm = walk::global_norm(model, &grads);
        if !loss.is_finite() {
            let first = match (walk::first_bad_weight(model), norm) {
                (Some(parameter), _) => format!("the weight `{parameter}`"),
                (None, Err(parameter)) => format!("the gradient of `{parameter}`"),
                (None, Ok(_)) => "neither weight nor gradient: look at the batch".to_owned(),
            };
            return Err(TrainError::NonFiniteLoss { step, loss, first });
        }
        let grad_norm =
            norm.map_err(|parameter| TrainError::NonFiniteGradient { step, parameter })?;
        if grad_norm > self.clip_norm {
            walk::scale(model, &mut grads, self.clip_norm / grad_norm);
        }
        Ok((grads, grad_norm))
    }
}
