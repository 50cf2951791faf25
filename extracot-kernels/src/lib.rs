//! Fused operations, differentiable but for the optimizer's step: each is one pass over memory where tensor
//! operations would take several.
//!
//! A function here takes and gives tensors of any device. On the Flex device, in f32, it runs code of its
//! own, forward and backward, through burn's backend extension; on every other device, and in other
//! dtypes, it is composed of tensor operations ([`plain`]). Results of the two agree up to rounding.
//!
//! Fused results are the same bytes for any number of threads.
//!
//! # Feature flags
//!
//! - `flex`: the fused code. Turn it on with the Flex backend of burn.
//!
//! # Source
//!
//! Our own choice: see `docs/decisions/0013-fused-cpu-operations.md`.
#![recursion_limit = "256"]

mod adamw;
mod aligned;
mod exp;
#[cfg(feature = "flex")]
mod flex;
mod large_pages;
mod ops;
pub mod plain;
mod sampling_weights;
mod vectorized;
mod visible;
mod workers;
mod write_to_cache;

pub use adamw::{AdamWStep, adamw};
pub use aligned::LineAligned;
pub use large_pages::prefer_large_pages;
pub use ops::{attention, linear, rms_norm, rotate_heads, silu_gate, target_logprobs};
pub use sampling_weights::{first_equal, greedy_total, largest_logit, sampling_weights};
pub use visible::{MASKED, VisibleKeys};
pub use workers::{map_rows, on_workers};
pub use write_to_cache::write_to_cache;
