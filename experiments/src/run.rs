//! A run folder: config snapshot, finished stages by content hash, manifest written last.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use extracot_core::jsonl::{read_jsonl, write_atomic, write_jsonl};
use extracot_models::checkpoint::save_json;
use extracot_train::Checkpoints;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::content_hash;
use crate::interrupt;

const CONFIG: &str = "config.toml";
const MANIFEST: &str = "manifest.json";
const STATES: &str = "states";

/// A run folder.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    started: Instant,
    quiet: bool,
    stages: RefCell<HashSet<String>>,
}

/// What a stage that was begun, and one that is finished, says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct StageRecord {
    key: String,
}

/// What a complete run says of itself.
#[derive(Debug, Serialize)]
struct Manifest<'a> {
    experiment: &'a str,
    version: &'a str,
    config_hash: String,
    /// Of this invocation; stages reused from an earlier one are not in it.
    wall_s: f64,
    files: Vec<String>,
    /// Where the numbers come from, beyond the settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<serde_json::Value>,
}

impl Run {
    /// Opens a run folder for the resolved settings in `config`.
    ///
    /// # Errors
    ///
    /// If the folder belongs to other settings, holds a run and `resume` is off, holds files that
    /// are no run, or cannot be written.
    pub fn open(folder: &Path, config: &str, resume: bool, quiet: bool) -> Result<Self> {
        claim(folder, config, resume)?;
        create_dir(&folder.join("stages"))?;
        create_dir(&folder.join("checkpoints"))?;
        Ok(Self {
            folder: folder.to_owned(),
            started: Instant::now(),
            quiet,
            stages: RefCell::default(),
        })
    }

    /// The run folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a stage, or reuses its result if it finished under the same key: a hash of `inputs`,
    /// which must hold everything the result depends on.
    ///
    /// # Errors
    ///
    /// What the stage fails with; its record is then absent and the next run repeats it.
    pub fn stage(
        &self,
        name: &str,
        inputs: &impl Serialize,
        work: impl FnOnce(&StageFolder) -> Result<()>,
    ) -> Result<StageFolder> {
        if !self.stages.borrow_mut().insert(name.to_owned()) {
            bail!("two stages of this run are called `{name}`; give arms different names");
        }
        let key = content_hash(&(name, env!("CARGO_PKG_VERSION"), inputs))?;
        let stage = StageFolder {
            name: name.to_owned(),
            key: key.clone(),
            files: self.folder.join("stages").join(name),
            model: self.folder.join("checkpoints").join(name),
        };
        let record = stage.files.join("stage.json");
        if has_key(&record, &key) {
            self.say(&format!("[{name}] reused"));
            return Ok(stage);
        }
        if interrupt::is_asked() {
            bail!("stopped before stage `{name}`; go on with the same command and --resume");
        }
        // A stage that was begun under the same key may have states to go on from.
        let begun = stage.files.join("begun.json");
        if !has_key(&begun, &key) {
            remove_dir(&stage.files)?;
            create_dir(&stage.files)?;
            save_json(&StageRecord { key: key.clone() }, &begun)?;
        }
        remove_dir(&stage.model)?;
        let started = Instant::now();
        work(&stage).with_context(|| format!("stage `{name}`"))?;
        save_json(&StageRecord { key }, &record)?;
        remove_dir(&stage.files.join(STATES))?;
        fs::remove_file(&begun).with_context(|| format!("cannot remove {}", begun.display()))?;
        self.say(&format!(
            "[{name}] done in {:.0} s",
            started.elapsed().as_secs_f64()
        ));
        Ok(stage)
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// Joins the stages' files of one name into one at the root of the run folder.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or written.
    pub fn gather(&self, stages: &[&StageFolder], name: &str) -> Result<()> {
        write_atomic(&self.folder.join(name), |out| {
            for stage in stages {
                let path = stage.files.join(name);
                if path.is_file() {
                    std::io::copy(&mut fs::File::open(&path)?, &mut &mut *out)?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Writes the manifest: the run is complete.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn finish(&self, experiment: &str, config_hash: String) -> Result<()> {
        write_manifest(&self.folder, experiment, config_hash, self.started)
    }
}

/// Takes a folder for a run with the resolved settings in `config`, which are written to it.
///
/// # Errors
///
/// As [`Run::open`].
pub fn claim(folder: &Path, config: &str, resume: bool) -> Result<()> {
    let config_path = folder.join(CONFIG);
    match fs::read_to_string(&config_path) {
        Ok(found) if found != config => {
            let line = found
                .lines()
                .zip(config.lines())
                .find(|(old, new)| old != new);
            let (old, new) = line.unwrap_or(("(fewer lines)", "(more lines)"));
            bail!(
                "{} belongs to a run with other settings (`{old}`, not `{new}`); \
                 choose another --out",
                folder.display()
            );
        }
        Ok(_) if !resume => bail!(
            "{} already holds this run; add --resume to go on where it stopped, \
             or choose another --out",
            folder.display()
        ),
        Ok(_) => {
            // From here on the run is not complete until it has finished again.
            let manifest = folder.join(MANIFEST);
            if manifest.exists() {
                fs::remove_file(&manifest)
                    .with_context(|| format!("cannot remove {}", manifest.display()))?;
            }
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot read {}", config_path.display()));
        }
        Err(_) => {
            let is_empty = fs::read_dir(folder).map_or(true, |mut dir| dir.next().is_none());
            if !is_empty {
                bail!(
                    "{} is not empty and holds no run; choose another --out",
                    folder.display()
                );
            }
            create_dir(folder)?;
            write_text(&config_path, config)?;
        }
    }
    Ok(())
}

/// Writes the manifest: what is in the folder is complete.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_manifest(
    folder: &Path,
    experiment: &str,
    config_hash: String,
    started: Instant,
) -> Result<()> {
    write_manifest_with(folder, experiment, config_hash, started, &None::<()>)
}

/// As [`write_manifest`], with where the numbers come from beyond the settings.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_manifest_with(
    folder: &Path,
    experiment: &str,
    config_hash: String,
    started: Instant,
    provenance: &impl Serialize,
) -> Result<()> {
    let mut files: Vec<String> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name != MANIFEST)
        .collect();
    files.sort();
    let manifest = Manifest {
        experiment,
        version: env!("CARGO_PKG_VERSION"),
        config_hash,
        wall_s: started.elapsed().as_secs_f64(),
        files,
        provenance: Some(serde_json::to_value(provenance)?).filter(|found| !found.is_null()),
    };
    Ok(save_json(&manifest, &folder.join(MANIFEST))?)
}

/// Whether a folder holds a complete run with the resolved settings in `config`.
pub fn is_complete(folder: &Path, config: &str) -> bool {
    let is_same = fs::read_to_string(folder.join(CONFIG)).is_ok_and(|found| found == config);
    is_same && folder.join(MANIFEST).is_file()
}

/// Where a stage keeps its results.
#[derive(Debug, Clone)]
pub struct StageFolder {
    /// The stage's name.
    pub name: String,
    /// The hash of everything its results depend on: an input of later stages.
    pub key: String,
    files: PathBuf,
    /// The model folder of a stage that trains one.
    pub model: PathBuf,
}

impl StageFolder {
    /// Path of a file of the stage.
    pub fn path(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }

    /// Where a stage that trains keeps its states while it runs.
    pub fn checkpoints(&self, every: usize) -> Checkpoints {
        Checkpoints {
            folder: self.path(STATES),
            every,
            keep_last: 2,
        }
    }

    /// Writes JSON lines.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write<T: Serialize>(&self, name: &str, rows: &[T]) -> Result<()> {
        Ok(write_jsonl(&self.path(name), rows)?)
    }

    /// Reads JSON lines.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or a line does not parse.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>> {
        Ok(read_jsonl(&self.path(name))?)
    }
}

/// Steps of the newest state that is whole. Damaged ones are named and removed.
///
/// # Errors
///
/// If no state is whole, or a folder cannot be read.
pub fn steps_done(checkpoints: &Checkpoints, name: &str) -> Result<usize> {
    let found = checkpoints.find()?;
    for damaged in &found.damaged {
        let (folder, message) = (damaged.folder.display(), &damaged.message);
        eprintln!("[{name}] warning: {folder} is not used: {message}");
    }
    checkpoints.remove_damaged(&found)?;
    Ok(found.newest.map_or(0, |state| state.n_steps))
}

/// Whether a record of a stage is of this key.
fn has_key(record: &Path, key: &str) -> bool {
    fs::read_to_string(record)
        .ok()
        .and_then(|text| serde_json::from_str::<StageRecord>(&text).ok())
        .is_some_and(|found| found.key == key)
}

fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Writes a text file, whole or not at all.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    Ok(write_atomic(path, |out| out.write_all(text.as_bytes()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_stage_is_reused_until_its_inputs_change() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let run = Run::open(
            &out, "a = 1
", false, true,
        )
        .unwrap();
        drop(run);
        let mut n_runs = 0;
        for (inputs, want) in [(1, 1), (1, 1), (2, 2)] {
            let run = Run::open(&out, "a = 1\n", true, true).unwrap();
            let stage = run
                .stage("traces", &inputs, |stage| {
                    n_runs += 1;
                    stage.write("rows.jsonl", &[inputs])
                })
                .unwrap();
            assert_eq!(n_runs, want);
            assert_eq!(stage.read::<i32>("rows.jsonl").unwrap(), [inputs]);
        }
    }

    #[test]
    fn a_failed_stage_is_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let run = Run::open(&folder.path().join("run"), "", false, true).unwrap();
        let failed = run.stage("sft", &0, |_| bail!("disk full"));
        assert!(format!("{:#}", failed.unwrap_err()).contains("stage `sft`: disk full"));
        let mut repeated = false;
        let run = Run::open(&folder.path().join("run"), "", true, true).unwrap();
        run.stage("sft", &0, |_| {
            repeated = true;
            Ok(())
        })
        .unwrap();
        assert!(repeated);
    }

    #[test]
    fn a_folder_of_another_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        Run::open(&out, "seed = 1\n", false, true).unwrap();
        let message = |config, resume| {
            Run::open(&out, config, resume, true)
                .unwrap_err()
                .to_string()
        };
        assert!(message("seed = 2\n", true).contains("`seed = 1`, not `seed = 2`"));
        assert!(message("seed = 1\n", false).contains("--resume"));
        assert!(Run::open(&out, "seed = 1\n", true, true).is_ok());
        fs::write(folder.path().join("notes.txt"), "").unwrap();
        let foreign = Run::open(folder.path(), "", false, true)
            .unwrap_err()
            .to_string();
        assert!(foreign.contains("holds no run"), "{foreign}");
    }
}
