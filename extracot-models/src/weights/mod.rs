//! Weights in safetensors files: one file, or shards with an index.

mod load;
mod save;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ModelError;

pub use load::{load_folder, load_weights};
pub use save::{SaveWeights, save_folder, save_weights};

/// File name of weights in one file.
pub const WEIGHTS: &str = "model.safetensors";
/// File name of the index of shards.
pub const INDEX: &str = "model.safetensors.index.json";

/// The index of a checkpoint in several files.
#[derive(Serialize, Deserialize)]
struct ShardIndex {
    #[serde(default)]
    metadata: IndexMetadata,
    /// Shard by tensor.
    weight_map: BTreeMap<String, PathBuf>,
}

#[derive(Default, Serialize, Deserialize)]
struct IndexMetadata {
    /// Bytes of all tensors.
    #[serde(default)]
    total_size: u64,
}

pub(crate) fn weights_error(path: &Path, message: impl ToString) -> ModelError {
    ModelError::Weights {
        path: path.to_owned(),
        message: message.to_string(),
    }
}
