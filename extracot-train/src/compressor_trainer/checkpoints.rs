//! The state of a run after a step, so that a killed run goes on to the same bytes.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use extracot_core::CoreError;
use extracot_core::jsonl::write_atomic;
use extracot_models::checkpoint::{load_json, save_json};
use serde::{Deserialize, Serialize};

use super::held_out::HeldOutQuality;
use crate::TrainError;

const STATE: &str = "state.json";
const MODEL: &str = "model.bpk";
const BEST: &str = "best.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const PREFIX: &str = "step-";

/// Where a run keeps its state: one folder per step, of which the last is kept. A folder gets its name
/// when it is complete.
///
/// Weights are in burn's format, which keeps the parameter ids that the optimizer's state goes by.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// The folder; it is created with the first state.
    pub folder: PathBuf,
    /// Steps between two states.
    pub every: usize,
}

/// Where a run stands, beside weights and optimizer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunState {
    /// Steps taken.
    pub(super) n_steps: usize,
    /// The best look at held-out texts so far.
    pub(super) best: Option<BestLook>,
    /// Looks since then.
    pub(super) n_since_best: usize,
}

/// A look at held-out texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BestLook {
    /// Steps taken before it.
    pub(super) n_steps: usize,
    /// What it showed.
    pub(super) quality: HeldOutQuality,
}

/// All that a run goes on from.
pub(super) struct Resumed<C> {
    pub(super) state: RunState,
    pub(super) model: C,
    /// Without autodiff; there if a best look is.
    pub(super) best_model: Option<C>,
    pub(super) optimizer: Vec<u8>,
}

impl Checkpoints {
    /// Steps that the last state was written after; 0 without one.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn n_steps(&self) -> Result<usize, TrainError> {
        Ok(self.states()?.last().map_or(0, |(n_steps, _)| *n_steps))
    }

    /// Removes all states: the run is over.
    ///
    /// # Errors
    ///
    /// If the folder cannot be removed.
    pub fn remove(&self) -> Result<(), TrainError> {
        remove_folder(&self.folder)
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        match self.every {
            0 => Err(CoreError::Setting {
                key: "checkpoint_every",
                found: "0".to_owned(),
                allowed: "at least 1",
            }
            .into()),
            _ => Ok(()),
        }
    }

    pub(super) fn is_due(&self, n_steps: usize) -> bool {
        n_steps.is_multiple_of(self.every)
    }

    /// Complete states by their steps, last one last.
    fn states(&self) -> Result<Vec<(usize, PathBuf)>, TrainError> {
        if !self.folder.is_dir() {
            return Ok(vec![]);
        }
        let read = CoreError::io("read", &self.folder);
        let entries: Result<Vec<_>, _> = fs::read_dir(&self.folder).and_then(Iterator::collect);
        let mut states: Vec<(usize, PathBuf)> = entries
            .map_err(read)?
            .into_iter()
            .filter_map(|entry: fs::DirEntry| {
                let name = entry.file_name().into_string().ok()?;
                let n_steps = name.strip_prefix(PREFIX)?.parse().ok()?;
                Some((n_steps, entry.path()))
            })
            .collect();
        states.sort();
        Ok(states)
    }

    pub(super) fn save<C: Module>(
        &self,
        state: &RunState,
        (model, best_model): (&C, Option<&C>),
        optimizer: &[u8],
    ) -> Result<(), TrainError> {
        let earlier = self.states()?;
        let partial = self.folder.join("partial");
        remove_folder(&partial)?;
        fs::create_dir_all(&partial).map_err(CoreError::io("create", &partial))?;
        save_record(model, &partial.join(MODEL))?;
        if let Some(best_model) = best_model {
            save_record(best_model, &partial.join(BEST))?;
        }
        write_atomic(&partial.join(OPTIMIZER), |out| out.write_all(optimizer))?;
        save_json(state, &partial.join(STATE))?;
        let complete = self.folder.join(format!("{PREFIX}{:08}", state.n_steps));
        fs::rename(&partial, &complete).map_err(CoreError::io("write", &complete))?;
        for (_, folder) in earlier {
            remove_folder(&folder)?;
        }
        Ok(())
    }

    /// What the last state holds, with `model` as the form of the weights; `None` without one.
    pub(super) fn load<C: Module>(&self, model: &C) -> Result<Option<Resumed<C>>, TrainError> {
        let Some((_, folder)) = self.states()?.pop() else {
            return Ok(None);
        };
        let state: RunState = load_json(&folder.join(STATE))?;
        let best_model = match state.best {
            Some(_) => Some(load_record(model.valid(), &folder.join(BEST))?),
            None => None,
        };
        let optimizer = folder.join(OPTIMIZER);
        Ok(Some(Resumed {
            state,
            model: load_record(model.clone(), &folder.join(MODEL))?,
            best_model,
            optimizer: fs::read(&optimizer).map_err(CoreError::io("read", &optimizer))?,
        }))
    }
}

fn save_record<C: Module>(model: &C, path: &Path) -> Result<(), TrainError> {
    let bytes = model.clone().into_record().into_bytes();
    let bytes = bytes.map_err(|error| checkpoint_error(path, error))?;
    Ok(write_atomic(path, |out| out.write_all(&bytes))?)
}

fn load_record<C: Module>(model: C, path: &Path) -> Result<C, TrainError> {
    let bytes = fs::read(path).map_err(CoreError::io("read", path))?;
    ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes))
        .and_then(|record| model.try_load_record(record))
        .map_err(|error| checkpoint_error(path, error))
}

fn remove_folder(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CoreError::io("remove", folder)(error).into())
        }
        _ => Ok(()),
    }
}

fn checkpoint_error(path: &Path, error: impl ToString) -> TrainError {
    TrainError::Checkpoint {
        path: path.to_owned(),
        message: error.to_string(),
    }
}
