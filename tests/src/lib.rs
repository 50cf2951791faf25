//! Cross-crate, parity, learning and layering tests; see the files in `tests/`.

use std::path::PathBuf;

/// What an environment variable names that only some machines have.
///
/// # Panics
///
/// If it is not set. Tests that call this are ignored unless asked for; see `CONTRIBUTING.md`.
pub fn named_by(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!("{variable} is not set; see \"Optional tests\" in CONTRIBUTING.md"),
    }
}
