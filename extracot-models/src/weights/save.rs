//! Writing, so that transformers reads it: Hugging Face names, metadata `format = pt`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::store::{
    BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, SafetensorsStore,
};
use burn::tensor::DType;
use extracot_core::CoreError;
use extracot_core::jsonl::write_atomic;

use super::{INDEX, IndexMetadata, ShardIndex, WEIGHTS, weights_error};
use crate::ModelError;

/// How weights are stored in a model folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaveWeights {
    /// Dtype of the stored parameters.
    pub dtype: DType,
    /// A shard holds tensors of at most so many bytes together; a tensor that is larger is alone.
    pub max_shard_bytes: u64,
}

impl Default for SaveWeights {
    /// As computed with, in shards of 5 GB as transformers wrote them for long.
    fn default() -> Self {
        Self {
            dtype: DType::F32,
            max_shard_bytes: 5_000_000_000,
        }
    }
}

/// Writes the weights of `module` under their Hugging Face names to one file, in f32.
///
/// # Errors
///
/// [`ModelError::Weights`] if they cannot be read from the device, [`ModelError::Core`] if the file
/// cannot be written; an earlier file is then untouched.
pub fn save_weights<M: Module>(module: &M, path: &Path) -> Result<(), ModelError> {
    write_shard(module, path, DType::F32, None)
}

/// Writes the weights of `module` to a model folder: to [`WEIGHTS`] if they fit one shard, else to
/// shards with their [`INDEX`]. Weight files of an earlier model in the folder are removed.
///
/// # Errors
///
/// As [`save_weights`].
pub fn save_folder<M: Module>(
    module: &M,
    folder: &Path,
    how: &SaveWeights,
) -> Result<(), ModelError> {
    let adapter = BurnToPyTorchAdapter.chain(FloatCastAdapter::to(how.dtype));
    let tensors: Vec<(String, u64)> = module
        .collect(None, Some(Box::new(adapter)), false)
        .iter()
        .map(|tensor| (tensor.name.clone(), tensor.byte_len() as u64))
        .collect();
    if tensors.iter().any(|(name, _)| name.contains(".lora.")) {
        let message = "the model has adapters; merge them first (merge_lora)";
        return Err(weights_error(folder, message));
    }
    let shards = shards(&tensors, how.max_shard_bytes);
    let names: Vec<String> = match shards.len() {
        1 => vec![WEIGHTS.to_owned()],
        n => (1..=n)
            .map(|i| format!("model-{i:05}-of-{n:05}.safetensors"))
            .collect(),
    };
    let mut weight_map = BTreeMap::new();
    if names.len() > 1 {
        // Without an index a folder that is written by half does not load: shards of two models
        // under the same names would.
        for old in [WEIGHTS, INDEX].map(|name| folder.join(name)) {
            if old.is_file() {
                fs::remove_file(&old).map_err(CoreError::io("remove", &old))?;
            }
        }
    }
    for (name, shard) in names.iter().zip(&shards) {
        write_shard(module, &folder.join(name), how.dtype, Some(shard))?;
        let file = PathBuf::from(name);
        weight_map.extend(shard.iter().map(|tensor| (tensor.clone(), file.clone())));
    }
    if names.len() > 1 {
        let index = ShardIndex {
            metadata: IndexMetadata {
                total_size: tensors.iter().map(|(_, n_bytes)| n_bytes).sum(),
            },
            weight_map,
        };
        crate::checkpoint::save_json(&index, &folder.join(INDEX))?;
    }
    remove_others(folder, &names)
}

/// Names in order, cut where the next tensor would not fit.
fn shards(tensors: &[(String, u64)], max_bytes: u64) -> Vec<Vec<String>> {
    let mut shards: Vec<Vec<String>> = vec![vec![]];
    let mut n_bytes = 0;
    for (name, size) in tensors {
        if n_bytes > 0 && n_bytes + size > max_bytes {
            shards.push(vec![]);
            n_bytes = 0;
        }
        n_bytes += size;
        if let Some(shard) = shards.last_mut() {
            shard.push(name.clone());
        }
    }
    shards
}

/// A folder with the shards of one model and the single file of another would load the latter.
fn remove_others(folder: &Path, names: &[String]) -> Result<(), ModelError> {
    let entries = fs::read_dir(folder).map_err(CoreError::io("read", folder))?;
    for entry in entries {
        let entry = entry.map_err(CoreError::io("read", folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_weights = name == WEIGHTS || is_shard(&name);
        let is_index = name == INDEX && names.len() == 1;
        if is_index || (is_weights && !names.contains(&name)) {
            fs::remove_file(entry.path()).map_err(CoreError::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Whether a name has the form `model-00001-of-00002.safetensors`.
fn is_shard(name: &str) -> bool {
    let numbers = name
        .strip_prefix("model-")
        .and_then(|rest| rest.strip_suffix(".safetensors"))
        .and_then(|rest| rest.split_once("-of-"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    numbers.is_some_and(|(i, n)| is_number(i) && is_number(n))
}

/// Writes the tensors named in `names`, or all of them.
fn write_shard<M: Module>(
    module: &M,
    path: &Path,
    dtype: DType,
    names: Option<&[String]>,
) -> Result<(), ModelError> {
    let mut store = SafetensorsStore::from_bytes(None)
        .with_to_adapter(BurnToPyTorchAdapter.chain(FloatCastAdapter::to(dtype)))
        .clear_metadata()
        .metadata("format", "pt"); // transformers 4 refuses files without it
    if let Some(names) = names {
        store = store.with_full_paths(names.iter().cloned());
    }
    module
        .save_into(&mut store)
        .map_err(|error| weights_error(path, error))?;
    let bytes = store
        .get_bytes()
        .map_err(|error| weights_error(path, error))?;
    write_atomic(path, |out| out.write_all(&bytes))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_filled_in_order_and_large_tensors_stand_alone() {
        let tensors = [("a", 4), ("b", 5), ("c", 30), ("d", 1), ("e", 9)];
        let tensors = tensors.map(|(name, size)| (name.to_owned(), size));
        let expected = [vec!["a", "b"], vec!["c"], vec!["d", "e"]];
        assert_eq!(shards(&tensors, 10), expected);
        assert_eq!(shards(&tensors, 100).len(), 1);
        assert!(is_shard("model-00001-of-00002.safetensors"));
        assert!(!is_shard("model_best.safetensors") && !is_shard("model-best.safetensors"));
    }
}
