//! The embedded task, the pipeline over it, and what the binaries share: settings, run folders,
//! progress, reports. Binaries print; the libraries below do not.
#![recursion_limit = "256"]
#![allow(clippy::print_stderr, reason = "binaries report progress on stderr")]

pub mod audit;
pub mod cli;
pub mod commands;
pub mod compressor_summary;
pub mod config;
pub mod device;
pub mod interrupt;
pub mod openai;
pub mod pipeline;
pub mod problem_source;
pub mod progress;
pub mod report;
pub mod run;
pub mod summary;
pub mod sweep;
pub mod word_problems;

/// Of every binary that uses this library: tensors are read faster where their memory starts at a line of the cache.
#[global_allocator]
static ALLOCATOR: extracot_kernels::LineAligned = extracot_kernels::LineAligned;
