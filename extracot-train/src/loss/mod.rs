//! Losses: from model outputs to numbers to minimize, token by token.

mod clipped_policy;
mod keep_label;
mod kl;

pub use clipped_policy::{ClipRange, clipped_policy_loss};
pub use keep_label::{FocalWeights, focal_keep_losses};
pub use kl::kl_k3;
