//! The state of a run after a step, so that a killed run goes on to the same bytes.
//!
//! One folder per state, which gets its name when it is complete, and in it a list of checksums that
//! `sha256sum -c` reads too: a state that a disk damaged is told from a whole one, and the one before it
//! is taken.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use extracot_core::CoreError;
use extracot_core::digest::{file_sha256, sha256};
use extracot_core::jsonl::write_atomic;
use extracot_models::checkpoint::{load_json, save_json};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::TrainError;

const STATE: &str = "state.json";
const SUMS: &str = "SHA256SUMS";
const PREFIX: &str = "step-";
const PARTIAL: &str = "partial";

/// Where a run keeps its states.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    /// The folder; it is created with the first state.
    pub folder: PathBuf,
    /// Steps between two states, at least 1.
    pub every: usize,
    /// States that are kept, at least 1. With one alone nothing is left where it is damaged.
    pub keep_last: usize,
}

/// What makes a run one that can be stopped and gone on with.
#[derive(Clone, Copy)]
pub struct RunControl<'a> {
    /// Where its states are kept. A state in the folder is gone on from: it has to be of the same run.
    pub checkpoints: &'a Checkpoints,
    /// Looked at after every step; then the state is written and the run ends with
    /// [`TrainError::Stopped`].
    pub should_stop: &'a dyn Fn() -> bool,
}

impl std::fmt::Debug for RunControl<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunControl")
            .field("checkpoints", self.checkpoints)
            .finish_non_exhaustive()
    }
}

impl RunControl<'_> {
    /// Saves behind a step if it is time to, or if the run has to stop.
    ///
    /// # Errors
    ///
    /// What `save` fails with, and [`TrainError::Stopped`].
    pub fn after_step(
        &self,
        n_steps: usize,
        save: impl FnOnce(&Checkpoints) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let stops = (self.should_stop)();
        if stops || self.checkpoints.is_due(n_steps) {
            save(self.checkpoints)?;
        }
        match stops {
            true => Err(TrainError::Stopped { n_steps }),
            false => Ok(()),
        }
    }
}

/// A state that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedState {
    /// Steps taken before it.
    pub n_steps: usize,
    folder: PathBuf,
}

/// A state that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedState {
    /// Its folder.
    pub folder: PathBuf,
    /// What is wrong with it.
    pub message: String,
}

/// What a folder of states holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundStates {
    /// The newest state that is whole.
    pub newest: Option<SavedState>,
    /// States newer than that one, newest first.
    pub damaged: Vec<DamagedState>,
}

impl Checkpoints {
    /// Refuses settings without sense.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] by key.
    pub fn check(&self) -> Result<(), TrainError> {
        for (key, value) in [
            ("checkpoint_every", self.every),
            ("keep_last", self.keep_last),
        ] {
            if value == 0 {
                return Err(CoreError::Setting {
                    key,
                    found: "0".to_owned(),
                    allowed: "at least 1",
                }
                .into());
            }
        }
        Ok(())
    }

    /// Whether a state is written after so many steps.
    pub fn is_due(&self, n_steps: usize) -> bool {
        n_steps.is_multiple_of(self.every)
    }

    /// The newest state whose files are what was written, and the damaged ones before it was found.
    ///
    /// # Errors
    ///
    /// [`CoreError::Io`] if the folder cannot be read, and [`TrainError::Checkpoint`] if there are states
    /// and all of them are damaged: a run that silently began anew would lose what was done.
    pub fn find(&self) -> Result<FoundStates, TrainError> {
        let mut found = FoundStates::default();
        for (n_steps, folder) in self.folders()?.into_iter().rev() {
            match damage(&folder) {
                None => {
                    found.newest = Some(SavedState { n_steps, folder });
                    return Ok(found);
                }
                Some(message) => found.damaged.push(DamagedState { folder, message }),
            }
        }
        match found.damaged.first() {
            None => Ok(found),
            Some(damaged) => Err(checkpoint_error(
                &damaged.folder,
                format!(
                    "{}, and no other state is whole; remove {} to begin anew",
                    damaged.message,
                    self.folder.display()
                ),
            )),
        }
    }

    /// Removes damaged states: they would count among those that are kept.
    ///
    /// # Errors
    ///
    /// If a folder cannot be removed.
    pub fn remove_damaged(&self, found: &FoundStates) -> Result<(), TrainError> {
        let mut damaged = found.damaged.iter();
        damaged.try_for_each(|damaged| remove_folder(&damaged.folder))
    }

    /// Writes a state: `state` as JSON, and `parts` by file name. Then removes the states that are more
    /// than [`Self::keep_last`].
    ///
    /// # Errors
    ///
    /// [`CoreError::Io`] if a file cannot be written; the earlier states are then untouched.
    pub fn save(
        &self,
        n_steps: usize,
        state: &impl Serialize,
        parts: &[(&str, &[u8])],
    ) -> Result<(), TrainError> {
        let partial = self.folder.join(PARTIAL);
        remove_folder(&partial)?;
        fs::create_dir_all(&partial).map_err(CoreError::io("create", &partial))?;
        let mut sums = String::new();
        for (name, bytes) in parts {
            write_atomic(&partial.join(name), |out| out.write_all(bytes))?;
            sums += &format!("{}  {name}\n", sha256(bytes));
        }
        save_json(state, &partial.join(STATE))?;
        sums += &format!("{}  {STATE}\n", file_sha256(&partial.join(STATE))?);
        write_atomic(&partial.join(SUMS), |out| out.write_all(sums.as_bytes()))?;
        let complete = self.folder.join(format!("{PREFIX}{n_steps:08}"));
        // One that is there is damaged, or of a run that went on from an earlier state.
        remove_folder(&complete)?;
        fs::rename(&partial, &complete).map_err(CoreError::io("write", &complete))?;
        sync_folder(&self.folder)?;
        let earlier: Vec<_> = self
            .folders()?
            .into_iter()
            .filter(|(n, _)| *n < n_steps)
            .collect();
        let n_surplus = (earlier.len() + 1).saturating_sub(self.keep_last.max(1));
        for (_, folder) in earlier.iter().take(n_surplus) {
            remove_folder(folder)?;
        }
        Ok(())
    }

    /// Removes all states: the run is over.
    ///
    /// # Errors
    ///
    /// If the folder cannot be removed.
    pub fn remove(&self) -> Result<(), TrainError> {
        // Under another name first: killed in between, it must not look like damaged states.
        let mut name = self.folder.file_name().unwrap_or_default().to_owned();
        name.push(".removed");
        let aside = self.folder.with_file_name(name);
        remove_folder(&aside)?;
        if self.folder.is_dir() {
            fs::rename(&self.folder, &aside).map_err(CoreError::io("remove", &self.folder))?;
        }
        remove_folder(&aside)
    }

    /// States that were complete once, by their steps, newest last.
    fn folders(&self) -> Result<Vec<(usize, PathBuf)>, TrainError> {
        if !self.folder.is_dir() {
            return Ok(vec![]);
        }
        let entries: Result<Vec<_>, _> = fs::read_dir(&self.folder).and_then(Iterator::collect);
        let mut folders: Vec<(usize, PathBuf)> = entries
            .map_err(CoreError::io("read", &self.folder))?
            .into_iter()
            .filter_map(|entry: fs::DirEntry| {
                let name = entry.file_name().into_string().ok()?;
                let n_steps = name.strip_prefix(PREFIX)?.parse().ok()?;
                Some((n_steps, entry.path()))
            })
            .collect();
        folders.sort();
        Ok(folders)
    }
}

impl SavedState {
    /// What was given as `state`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is no `T`.
    pub fn state<T: DeserializeOwned>(&self) -> Result<T, TrainError> {
        Ok(load_json(&self.folder.join(STATE))?)
    }

    /// A part as bytes.
    ///
    /// # Errors
    ///
    /// If there is none of that name.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, TrainError> {
        let path = self.folder.join(name);
        Ok(fs::read(&path).map_err(CoreError::io("read", &path))?)
    }

    /// A part that [`module_bytes`] made, read into `model`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Checkpoint`] if the weights do not fit the model.
    pub fn module<M: Module>(&self, name: &str, model: M) -> Result<M, TrainError> {
        let path = self.folder.join(name);
        ModuleRecord::from_bytes(Bytes::from_bytes_vec(self.bytes(name)?))
            .and_then(|record| model.try_load_record(record))
            .map_err(|error| checkpoint_error(&path, error.to_string()))
    }
}

/// A model in burn's format, which keeps the parameter ids that an optimizer's state goes by.
///
/// # Errors
///
/// [`TrainError::Optimizer`] if it cannot be serialized.
pub fn module_bytes<M: Module>(model: &M) -> Result<Bytes, TrainError> {
    let bytes = model.clone().into_record().into_bytes();
    bytes.map_err(|error| TrainError::Optimizer {
        message: error.to_string(),
    })
}

/// What is wrong with a state, by its checksums.
fn damage(folder: &Path) -> Option<String> {
    let text = match fs::read_to_string(folder.join(SUMS)) {
        Ok(text) => text,
        Err(error) => return Some(format!("{SUMS} cannot be read: {error}")),
    };
    let sums: Option<BTreeMap<&str, &str>> = text
        .lines()
        .map(|line| line.split_once("  ").map(|(sum, name)| (name, sum)))
        .collect();
    let Some(sums) = sums.filter(|sums| text.ends_with('\n') && sums.contains_key(STATE)) else {
        return Some(format!("{SUMS} is cut"));
    };
    sums.into_iter()
        .find_map(|(name, sum)| match file_sha256(&folder.join(name)) {
            Err(error) => Some(error.to_string()),
            Ok(found) if found != sum => Some(format!("{name} is not what was written")),
            Ok(_) => None,
        })
}

/// Without it a power cut may take back the name that a folder got. Other systems than Unix do not open
/// folders.
fn sync_folder(folder: &Path) -> Result<(), TrainError> {
    if cfg!(unix) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(CoreError::io("sync", folder))?;
    }
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CoreError::io("remove", folder)(error).into())
        }
        _ => Ok(()),
    }
}

fn checkpoint_error(path: &Path, message: String) -> TrainError {
    TrainError::Checkpoint {
        path: path.to_owned(),
        message,
    }
}
