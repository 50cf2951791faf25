//! A blocking client of OpenAI-compatible chat endpoints: hosted ones, vLLM, llama.cpp, mistral.rs.
//!
//! [`Address`] says where and which model, [`ApiKey`] comes from an environment variable and is never
//! shown, and [`ChatClient`] sends one [`ChatRequest`] at a time; threads may share it.

mod address;
mod api_key;
mod client;
mod wire;

pub use address::Address;
pub use api_key::ApiKey;
pub use client::{ChatClient, ChatFailure, Exchange, RetryPolicy};
pub use wire::{ChatReply, ChatRequest, Usage};
