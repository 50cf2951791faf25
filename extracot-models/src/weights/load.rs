//! Reading: every tensor must be there, of the right shape and finite, and none besides.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::store::{
    ApplyError, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, ModuleStore, PyTorchToBurnAdapter,
    SafetensorsStore,
};
use burn::tensor::{DType, Tensor};
use extracot_core::CoreError;

use super::{INDEX, ShardIndex, WEIGHTS, weights_error};
use crate::ModelError;

/// Reads the weights of `module`, as f32; every tensor must be there and none besides.
///
/// # Errors
///
/// [`ModelError::Weights`] names the tensors that are missing, extra, misshapen or not finite.
pub fn load_weights<M: Module>(module: M, path: &Path) -> Result<M, ModelError> {
    load(module, &[path.to_owned()], DType::F32, GROUP_BYTES, |_| {
        false
    })
}

/// Reads the weights of `module` from a model folder: from [`WEIGHTS`], else from the shards that
/// [`INDEX`] names. Parameters get the dtype `dtype`; tensors whose name `ignore` accepts may be in
/// the files without being in the module.
///
/// # Errors
///
/// [`ModelError::Weights`] names the file and the tensors that are missing, extra, misshapen or not
/// finite; [`ModelError::Json`] and [`ModelError::Core`] if the index cannot be read.
pub fn load_folder<M: Module>(
    module: M,
    folder: &Path,
    dtype: DType,
    ignore: impl Fn(&str) -> bool,
) -> Result<M, ModelError> {
    load(module, &weight_files(folder)?, dtype, GROUP_BYTES, ignore)
}

/// The files that hold the weights of a model folder.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let single = folder.join(WEIGHTS);
    let path = folder.join(INDEX);
    if single.is_file() {
        return Ok(vec![single]);
    }
    if !path.is_file() {
        let message = format!("no such file, and no {INDEX} beside it");
        return Err(weights_error(&single, message));
    }
    let text = std::fs::read_to_string(&path).map_err(CoreError::io("read", &path))?;
    let index: ShardIndex = serde_json::from_str(&text).map_err(|source| ModelError::Json {
        path: path.clone(),
        source,
    })?;
    let shards: BTreeSet<PathBuf> = index.weight_map.into_values().collect();
    if shards.is_empty() {
        return Err(weights_error(&path, "weight_map names no file"));
    }
    let mut files = Vec::new();
    for shard in shards {
        // An index is data: it must not make us read other files.
        let parts: Vec<Component<'_>> = shard.components().collect();
        if !matches!(parts[..], [Component::Normal(_)]) {
            let message = format!("shard `{}` is not a file of this folder", shard.display());
            return Err(weights_error(&path, message));
        }
        files.push(folder.join(shard));
    }
    Ok(files)
}

fn load<M: Module>(
    mut module: M,
    files: &[PathBuf],
    dtype: DType,
    group_bytes: usize,
    ignore: impl Fn(&str) -> bool,
) -> Result<M, ModelError> {
    // The file of every parameter that was read.
    let mut found: BTreeMap<String, &Path> = BTreeMap::new();
    let mut missing = BTreeSet::new();
    for path in files {
        if !path.is_file() {
            return Err(weights_error(path, "no such file"));
        }
        let mut problems = Vec::new();
        for group in groups(path, group_bytes)? {
            let mut store = store(path);
            let tensors = store
                .get_all_tensors()
                .map_err(|error| weights_error(path, error))?;
            let tensors = tensors
                .iter()
                .filter(|(name, _)| group.contains(*name))
                .map(|(_, tensor)| tensor.clone())
                .collect();
            let adapter = PyTorchToBurnAdapter.chain(FloatCastAdapter::to(dtype));
            let applied = module.apply(tensors, None, Some(Box::new(adapter)), false);
            problems.extend(applied.errors.iter().map(explained));
            let unexpected = applied.unused.iter().filter(|name| !ignore(name));
            problems.extend(unexpected.map(|name| format!("unexpected `{name}`")));
            let twice = applied
                .applied
                .iter()
                .filter(|name| found.contains_key(*name));
            problems.extend(twice.map(|name| format!("`{name}` is in an earlier shard too")));
            found.extend(
                applied
                    .applied
                    .into_iter()
                    .map(|name| (name, path.as_path())),
            );
            missing.extend(applied.missing.into_iter().map(|(name, _)| name));
        }
        if !problems.is_empty() {
            return Err(weights_error(path, problems.join(", ")));
        }
    }
    let missing: Vec<String> = missing
        .into_iter()
        .filter(|name| !found.contains_key(name))
        .map(|name| format!("missing `{name}`"))
        .collect();
    if !missing.is_empty() {
        let place = match files {
            [file] => file.clone(),
            // No shard has them: the index is at fault.
            _ => files[0].with_file_name(INDEX),
        };
        return Err(weights_error(&place, missing.join(", ")));
    }
    let mut check = FiniteCheck::default();
    module.visit(&mut check);
    match check.first_bad {
        Some(name) => {
            let file = found.get(&name).copied().unwrap_or(&files[0]);
            Err(weights_error(
                file,
                format!("`{name}` is not finite as {}", dtype.name()),
            ))
        }
        None => Ok(module),
    }
}

/// Bytes of the tensors that are read before the file is opened anew. The pages of a mapped file count
/// as memory of the process until it is closed: mapped once, a file would take its size twice.
const GROUP_BYTES: usize = 64 << 20;

fn store(path: &Path) -> SafetensorsStore {
    SafetensorsStore::from_file(path)
}

/// The names of the tensors in `path`, in groups of at most `group_bytes` or of one tensor; at least one
/// group.
fn groups(path: &Path, group_bytes: usize) -> Result<Vec<BTreeSet<String>>, ModelError> {
    let mut store = store(path);
    let tensors = store
        .get_all_tensors()
        .map_err(|error| weights_error(path, error))?;
    let mut groups: Vec<(usize, BTreeSet<String>)> = vec![(0, BTreeSet::new())];
    for (name, tensor) in tensors {
        let n_bytes = tensor.byte_len();
        match groups.last_mut() {
            Some((n_used, names)) if *n_used + n_bytes <= group_bytes => {
                *n_used += n_bytes;
                names.insert(name.clone());
            }
            _ => groups.push((n_bytes, BTreeSet::from([name.clone()]))),
        }
    }
    Ok(groups.into_iter().map(|(_, names)| names).collect())
}

fn explained(error: &ApplyError) -> String {
    match error {
        ApplyError::ShapeMismatch {
            path,
            expected,
            found,
        } => format!("`{path}` has shape {found:?}, the config asks for {expected:?}"),
        ApplyError::DTypeMismatch {
            path,
            expected,
            found,
        } => format!("`{path}` has dtype {found:?} instead of {expected:?}"),
        ApplyError::AdapterError { path, message } | ApplyError::LoadError { path, message } => {
            format!("`{path}`: {message}")
        }
    }
}

/// Looks for a parameter that is NaN or infinite.
#[derive(Default)]
struct FiniteCheck {
    path: Vec<String>,
    first_bad: Option<String>,
}

impl ModuleVisitor for FiniteCheck {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.first_bad.is_none() {
            // A sum is finite only if all its terms are, but for sums that overflow.
            let sum: f32 = param.val().cast(DType::F32).sum().into_scalar();
            if !sum.is_finite() {
                let values = param.val().into_data();
                if values.iter::<f32>().any(|value| !value.is_finite()) {
                    self.first_bad = Some(self.path.join("."));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use extracot_core::Seed;

    use super::*;
    use crate::init::randomize;
    use crate::weights::{SaveWeights, save_folder};
    use crate::{Decoder, DecoderConfig, DecoderSize};

    fn decoder(num_hidden_layers: usize) -> Decoder {
        let size = DecoderSize {
            hidden_size: 16,
            intermediate_size: 24,
            num_hidden_layers,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            head_dim: 8,
            max_position_embeddings: 32,
            rope_theta: 1e4,
        };
        Decoder::new(&DecoderConfig::qwen3(size, 30), &Device::flex())
    }

    /// Every value of the parameters, in order.
    struct Values(Vec<f32>);

    impl ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f32>());
        }
    }

    fn values(model: &Decoder) -> Vec<f32> {
        let mut values = Values(vec![]);
        model.visit(&mut values);
        values.0
    }

    #[test]
    fn tensor_by_tensor_it_reads_and_refuses_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let saved = randomize(decoder(2), 1.0, 1.0, Seed(4));
        save_folder(&saved, folder.path(), &SaveWeights::default()).unwrap();
        let files = weight_files(folder.path()).unwrap();
        let read = |n_layers, group_bytes| {
            load(decoder(n_layers), &files, DType::F32, group_bytes, |_| {
                false
            })
        };
        assert!(groups(&files[0], 1).unwrap().len() > 20);
        assert_eq!(groups(&files[0], GROUP_BYTES).unwrap().len(), 1);
        for group_bytes in [1, 3000, GROUP_BYTES] {
            assert_eq!(values(&read(2, group_bytes).unwrap()), values(&saved));
            // All that is wrong is told, whatever the group it is in.
            let more = read(3, group_bytes).unwrap_err().to_string();
            assert_eq!(
                more.matches("missing `model.layers.2.").count(),
                11,
                "{more}"
            );
            assert_eq!(more.matches("missing").count(), 11, "{more}");
            let fewer = read(1, group_bytes).unwrap_err().to_string();
            let n_extra = fewer.matches("unexpected `model.layers.1.").count();
            assert_eq!(n_extra, 11, "{fewer}");
        }
    }
}
