//! Low-rank adapters on a decoder's projections: attach, save alone, load, merge.
//!
//! burn computes with them ([`Module::apply_lora`]); what is here is which weights get one, that the
//! factors come from our random streams, and the folder that PEFT reads.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Lora, Module, ModuleMapper, ModuleVisitor, Param, ParamGroup};
use burn::tensor::{DType, Tensor, TensorData};
use extracot_core::jsonl::write_atomic;
use extracot_core::{CoreError, Seed};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::checkpoint::save_json;
use crate::init::normal;
use crate::weights::weights_error;
use crate::{Decoder, ModelError};

/// File name of adapters, as PEFT has it.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// File name of the adapters' settings, as PEFT has it.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";

/// The linear layers that get an adapter.
const PROJECTIONS: [&str; 7] = [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
];
/// The tables that are trained whole where [`LoraConfig::trains_embeddings`] asks for it.
const TABLES: [&str; 2] = ["embed_tokens", "lm_head"];
/// What PEFT puts in front of every name.
const PREFIX: &str = "base_model.model.";

/// Settings of low-rank adapters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Inner width of the two factors.
    pub rank: usize,
    /// The product of the factors is scaled by `alpha / rank`.
    pub alpha: f64,
    /// Whether the embedding and an untied head are trained too, in full: new control tokens need it.
    pub trains_embeddings: bool,
}

impl LoraConfig {
    /// Refuses settings that give no adapter.
    ///
    /// # Errors
    ///
    /// [`ModelError::Config`] by key.
    pub fn check(&self) -> Result<(), ModelError> {
        let refuse = |key, found: String, allowed| {
            Err(ModelError::Config {
                key,
                found,
                allowed,
            })
        };
        if self.rank == 0 {
            return refuse("rank", "0".to_owned(), "at least 1");
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return refuse("alpha", self.alpha.to_string(), "above 0");
        }
        Ok(())
    }
}

/// Freezes a decoder and gives every projection of its blocks an adapter. The first factor is drawn
/// from a normal distribution of deviation `1 / rank`, the second is 0: at first nothing changes.
///
/// # Errors
///
/// [`ModelError::Config`] for settings outside their range.
pub fn attach_lora(model: Decoder, config: &LoraConfig, seed: Seed) -> Result<Decoder, ModelError> {
    config.check()?;
    let lora = Lora::new(config.rank, config.alpha).set_param_group(weights_of(&PROJECTIONS)?);
    let mut model = model.apply_lora(lora);
    if config.trains_embeddings {
        model = model.unfreeze_group(weights_of(&TABLES)?);
    }
    // burn draws them from a state that all of a process shares.
    Ok(model.map(&mut DrawFactors {
        path: vec![],
        deviation: 1.0 / config.rank as f64,
        seed: seed.derive("lora", 0),
    }))
}

/// The weights of the layers with one of `names`.
fn weights_of(names: &[&str]) -> Result<ParamGroup, ModelError> {
    let pattern = format!(r"(^|\.)({})\.weight$", names.join("|"));
    ParamGroup::from_any_regexes(vec![pattern]).map_err(|error| ModelError::Config {
        key: "lora",
        found: format!("{error:?}"),
        allowed: "a pattern",
    })
}

/// A decoder with its adapters added to its weights, without graph and adapters.
pub fn merge_lora(model: Decoder) -> Decoder {
    model.valid().materialize()
}

/// Writes the adapters alone, with what [`LoraConfig::trains_embeddings`] trained, in PEFT's layout.
///
/// It was not tried with PEFT itself. With trained embeddings of a tied model PEFT looks for an
/// `lm_head.weight` that is not there.
///
/// # Errors
///
/// [`ModelError::Weights`] if there are none, [`ModelError::Core`] if a file cannot be written.
pub fn save_lora(model: &Decoder, config: &LoraConfig, folder: &Path) -> Result<(), ModelError> {
    std::fs::create_dir_all(folder).map_err(CoreError::io("create", folder))?;
    let path = folder.join(ADAPTER_WEIGHTS);
    let mut found = Collect {
        path: vec![],
        tables: config.trains_embeddings,
        tensors: BTreeMap::new(),
    };
    model.visit(&mut found);
    if !found.tensors.keys().any(|name| name.contains(".lora_")) {
        return Err(weights_error(&path, "the model has no adapters"));
    }
    let views = found
        .tensors
        .iter()
        .map(|(name, (shape, bytes))| {
            TensorView::new(Dtype::F32, shape.to_vec(), bytes).map(|view| (name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>();
    let metadata = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = views
        .and_then(|views| serialize(views, Some(metadata)))
        .map_err(|error| weights_error(&path, error))?;
    write_atomic(&path, |out| out.write_all(&bytes))?;
    let tables = match config.trains_embeddings {
        true => json!(TABLES),
        false => json!(null),
    };
    let settings = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": PROJECTIONS,
        "modules_to_save": tables,
    });
    save_json(&settings, &folder.join(ADAPTER_CONFIG))
}

/// Attaches the adapters of a folder that [`save_lora`] wrote.
///
/// # Errors
///
/// [`ModelError::Json`], [`ModelError::Core`] and [`ModelError::Weights`] if a file cannot be read or
/// does not fit the model; every tensor must be there and none besides.
pub fn load_lora(model: Decoder, folder: &Path) -> Result<(Decoder, LoraConfig), ModelError> {
    let path = folder.join(ADAPTER_CONFIG);
    let text = std::fs::read_to_string(&path).map_err(CoreError::io("read", &path))?;
    let settings: SavedConfig =
        serde_json::from_str(&text).map_err(|source| ModelError::Json { path, source })?;
    let config = LoraConfig {
        rank: settings.r,
        alpha: settings.lora_alpha,
        trains_embeddings: settings.modules_to_save.is_some(),
    };
    let model = attach_lora(model, &config, Seed(0))?;

    let path = folder.join(ADAPTER_WEIGHTS);
    let bytes = std::fs::read(&path).map_err(CoreError::io("read", &path))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| weights_error(&path, error))?;
    let mut fill = Fill {
        path: vec![],
        tables: config.trains_embeddings,
        n_used: 0,
        problems: vec![],
        file: &file,
    };
    let model = model.map(&mut fill);
    let n_extra = file.len() - fill.n_used.min(file.len());
    let mut problems = fill.problems;
    if problems.is_empty() && n_extra > 0 {
        problems.push(format!("{n_extra} tensors that the model has no place for"));
    }
    match problems.is_empty() {
        true => Ok((model, config)),
        false => Err(weights_error(&path, problems.join(", "))),
    }
}

/// What [`load_lora`] reads of PEFT's settings.
#[derive(Deserialize)]
struct SavedConfig {
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
}

/// PEFT's name of a parameter at a burn path, if it belongs into an adapter file.
fn saved_name(path: &[String], tables: bool) -> Option<String> {
    let path = path.join(".");
    if let Some(layer) = path.strip_suffix(".weight.lora.a") {
        return Some(format!("{PREFIX}{layer}.lora_A.weight"));
    }
    if let Some(layer) = path.strip_suffix(".weight.lora.b") {
        return Some(format!("{PREFIX}{layer}.lora_B.weight"));
    }
    let layer = path.strip_suffix(".weight")?;
    let name = layer.rsplit('.').next()?;
    (tables && TABLES.contains(&name)).then(|| format!("{PREFIX}{path}"))
}

/// Whether burn holds the transpose of what is saved: everything but the embedding.
fn is_transposed(name: &str) -> bool {
    !name.ends_with("embed_tokens.weight")
}

/// Takes the tensors of an adapter file from a model.
struct Collect {
    path: Vec<String>,
    tables: bool,
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(name) = saved_name(&self.path, self.tables).filter(|_| D == 2) {
            let mut tensor: Tensor<2> = param.val().detach().cast(DType::F32).reshape([0, -1]);
            if is_transposed(&name) {
                tensor = tensor.transpose();
            }
            let shape = tensor.dims().to_vec();
            let values = tensor.into_data();
            let bytes = values.iter::<f32>().flat_map(f32::to_le_bytes).collect();
            self.tensors.insert(name, (shape, bytes));
        }
    }
}

/// Puts the tensors of an adapter file into a model.
struct Fill<'a> {
    path: Vec<String>,
    tables: bool,
    n_used: usize,
    problems: Vec<String>,
    file: &'a SafeTensors<'a>,
}

impl Fill<'_> {
    /// The values that belong to a parameter of shape `dims`.
    fn values(&self, name: &str, dims: &[usize]) -> Result<Vec<f32>, String> {
        let view = self
            .file
            .tensor(name)
            .map_err(|_| format!("missing `{name}`"))?;
        let mut expected = dims.to_vec();
        if is_transposed(name) {
            expected.reverse();
        }
        if view.dtype() != Dtype::F32 || view.shape() != expected {
            let (dtype, shape) = (view.dtype(), view.shape());
            return Err(format!(
                "`{name}` is {dtype:?} {shape:?}, the model has F32 {expected:?}"
            ));
        }
        let (words, _) = view.data().as_chunks::<4>();
        let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => Err(format!("`{name}` is not finite")),
        }
    }
}

impl ModuleMapper for Fill<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(name) = saved_name(&self.path, self.tables).filter(|_| D == 2) else {
            return param;
        };
        let dims: [usize; D] = param.val().dims();
        match self.values(&name, &dims) {
            Ok(values) => {
                self.n_used += 1;
                param.map(|old| {
                    let mut saved = dims;
                    if is_transposed(&name) {
                        saved.reverse();
                    }
                    let data = TensorData::new(values, saved);
                    let tensor = Tensor::<D>::from_data(data, (&old.device(), old.dtype()));
                    let tensor = match is_transposed(&name) {
                        true => tensor.transpose(),
                        false => tensor,
                    };
                    tensor.detach().set_require_grad(old.is_require_grad())
                })
            }
            Err(problem) => {
                self.problems.push(problem);
                param
            }
        }
    }
}

/// Draws the first factor of every adapter.
struct DrawFactors {
    path: Vec<String>,
    deviation: f64,
    seed: Seed,
}

impl ModuleMapper for DrawFactors {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        if !path.ends_with(".lora.a") {
            return param;
        }
        let mut rng = self.seed.derive(&path, 0).rng();
        param.map(|old| {
            let dims: [usize; D] = old.dims();
            let n_values = dims.iter().product();
            let values: Vec<f32> = (0..n_values)
                .map(|_| (normal(&mut rng) * self.deviation) as f32)
                .collect();
            let data = TensorData::new(values, dims);
            Tensor::from_data(data, (&old.device(), old.dtype()))
                .set_require_grad(old.is_require_grad())
        })
    }
}
