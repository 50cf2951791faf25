//! `extracot audit`: whether what a run says of its rollouts follows from them and its settings.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::audit::audit_rollouts;
use crate::config::{AblationConfig, ChrpoConfig, RewardConfig, parse};
use crate::pipeline::named_arm;

/// Computes rewards and advantages of a run anew and compares them to the bit.
///
/// Reads RUN/config.toml and RUN/rollouts.jsonl; of a run that has not finished, the rollouts of its
/// stages. For every group of rollouts, the verdict is computed from the visible answer, the reward and
/// all its terms from the response, the reference tokens and the teacher budget, and the advantages from
/// the rewards of the group. The first difference is an error with file, line and field.
///
/// Known are the arms of chrpo_ablation, objective_ablation, main_table and kappa_ablation.
#[derive(Debug, Args)]
pub struct Audit {
    /// Run folder
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// Runs the command.
///
/// # Errors
///
/// The first difference, by file and line, and what cannot be read or is missing.
pub fn run(arguments: &Audit) -> Result<()> {
    let folder = &arguments.run;
    let path = folder.join("config.toml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let settings: Settings = parse(&text, &[]).with_context(|| format!("{}", path.display()))?;
    let config = AblationConfig {
        reward: settings.reward,
        chrpo: settings.chrpo,
        ..AblationConfig::preset("default", &[])?
    };
    for path in rollout_files(folder)? {
        let group_size = config.chrpo.policy.group_size;
        let audited = audit_rollouts(&path, group_size, |name| named_arm(&config, name))?;
        if !arguments.quiet {
            eprintln!(
                "[audit] {}: {} rollouts in {} groups agree to the bit, {} of them undecided and \
                 without a reward",
                path.display(),
                audited.n_rows,
                audited.n_groups,
                audited.n_undecided
            );
        }
    }
    Ok(())
}

/// The settings that rewards and advantages depend on; what else there is may be of another version.
#[derive(Debug, Deserialize)]
struct Settings {
    reward: RewardConfig,
    chrpo: ChrpoConfig,
}

/// The file at the root, else those of the stages.
fn rollout_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let joined = folder.join("rollouts.jsonl");
    if joined.is_file() {
        return Ok(vec![joined]);
    }
    let stages = folder.join("stages");
    let place = || format!("cannot read {}", stages.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&stages).with_context(place)? {
        let path = entry.with_context(place)?.path();
        // A stage that runs or was killed may end within a group.
        let is_finished = path.join("stage.json").is_file();
        let rollouts = path.join("rollouts.jsonl");
        if is_finished && rollouts.is_file() {
            files.push(rollouts);
        }
    }
    files.sort();
    match files.is_empty() {
        true => bail!(
            "{} has neither rollouts.jsonl nor a finished stage with one",
            folder.display()
        ),
        false => Ok(files),
    }
}
