//! Training of extracot.
#![recursion_limit = "256"]

pub mod audit;
pub mod batch;
mod best_look;
pub mod checkpoints;
pub mod compressor_trainer;
pub mod error;
pub mod evaluate;
pub mod loss;
pub mod metrics;
pub mod objective;
pub mod policy_trainer;
pub mod sft_trainer;
pub mod update;
pub mod weight_average;

pub use checkpoints::Checkpoints;
pub use compressor_trainer::{
    ClassQuality, ClassWeights, CompressorConfig, CompressorRun, KeepConfusion, KeepExample,
    train_compressor,
};
pub use error::TrainError;
pub use sft_trainer::{SftConfig, SftRun, train_sft};
pub use update::{ShardGradients, StepStats, UpdateConfig, Updater};
pub use weight_average::WeightAverage;
