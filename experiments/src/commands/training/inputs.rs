//! What a run depends on besides its settings.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use extracot_core::{CoreError, Seed};

/// Files beside the weights; the last three hold chat templates.
const OTHERS: [&str; 5] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// The files of a model folder that training depends on, each with its name in `config.toml`.
pub(in crate::commands) fn model_inputs(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let place = || format!("cannot read {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(place)? {
        let name = entry.with_context(place)?.file_name();
        let name = name.to_string_lossy().into_owned();
        let is_weights = Path::new(&name)
            .extension()
            .is_some_and(|e| e == "safetensors");
        if is_weights || OTHERS.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names
        .into_iter()
        .map(|name| (format!("model/{name}"), folder.join(name)))
        .collect())
}

/// Adds to the error of a row what rows have; a file that cannot be read has no rows.
pub(in crate::commands) fn explain_rows(error: CoreError, rows: &'static str) -> anyhow::Error {
    match error {
        CoreError::JsonLine { .. } => anyhow::Error::from(error).context(rows),
        error => error.into(),
    }
}

/// Whether the row of a key is in a share of all rows: depends on its key and the seed alone, so that what
/// else is in a file does not matter.
pub(in crate::commands) fn share_of(key: &str, share: f64, seed: Seed) -> bool {
    // 53 bits are a number in [0, 1) exactly.
    let draw = seed.derive("held-out", 0).derive(key, 0).0 >> 11;
    (draw as f64) < share * (1_u64 << 53) as f64
}
