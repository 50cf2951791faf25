//! From token ids to tensors: one layout for supervised and policy training.

mod policy;
mod tokens;

pub use policy::{PolicyBatch, PolicyRow, PolicyTensors};
pub use tokens::{Sequence, TokenBatch, completion_logprobs};
