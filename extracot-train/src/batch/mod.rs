//! From token ids to tensors: one layout for supervised and policy training.

mod chunked_head;
mod completion_loss;
mod policy;
mod shards;
mod shared_prompts;
#[cfg(test)]
mod testing;
mod tokens;

pub use completion_loss::{completion_loss, completion_nll};
pub use policy::{PolicyBatch, PolicyRow, PolicyTensors};
pub use shards::length_shards;
pub use shared_prompts::SharedPromptBatch;
pub use tokens::{Sequence, TokenBatch, completion_logprobs};

use extracot_core::CoreError;

use crate::TrainError;

/// # Errors
///
/// If a step would see nothing.
pub(crate) fn check_batch_size(batch_size: usize) -> Result<(), TrainError> {
    if batch_size == 0 {
        let (key, found) = ("batch_size", "0".to_owned());
        let allowed = "at least 1";
        return Err(CoreError::Setting {
            key,
            found,
            allowed,
        }
        .into());
    }
    Ok(())
}
