//! Every way training can stop.

use std::path::PathBuf;

use extracot_core::CoreError;
use extracot_models::ModelError;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Bad data or settings below.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A model or device below.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A loss that is NaN or infinite, found before the optimizer step.
    #[error("loss is {loss} at step {step}; first tensor that is not finite: {first}")]
    NonFiniteLoss {
        /// The step, from 0.
        step: usize,
        /// The loss.
        loss: f64,
        /// The first tensor that is not finite, weights before gradients.
        first: String,
    },
    /// A gradient that is NaN or infinite, found before the optimizer step.
    #[error("gradient of `{parameter}` is not finite at step {step}")]
    NonFiniteGradient {
        /// The step, from 0.
        step: usize,
        /// Path of the first such parameter.
        parameter: String,
    },
    /// An optimizer setting that burn refuses.
    #[error("optimizer: {message}")]
    Optimizer {
        /// What burn said.
        message: String,
    },
    /// A checkpoint of a run that cannot be written or read.
    #[error("checkpoint {}: {message}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A look at held-out data whose score is NaN or infinite.
    #[error("{what} is not finite after step {n_steps}; look at the learning rate")]
    NonFiniteLook {
        /// The score.
        what: &'static str,
        /// Steps taken.
        n_steps: usize,
    },
    /// A run that was asked to stop. Its state is kept.
    #[error("stopped after step {n_steps}; the state is kept")]
    Stopped {
        /// Steps taken.
        n_steps: usize,
    },
    /// Nothing to train on.
    #[error("no training data for {what}")]
    NoData {
        /// The queue or set that is empty.
        what: &'static str,
    },
}
