//! What samples depend on: the resolved settings of `config.toml`, and where they come from.

use anyhow::Result;
use serde::Serialize;

use super::arguments::{Eval, ModelName};
use super::problems::{ProblemFile, file_hash};
use crate::commands::generate::files_of;
use crate::commands::model::WeightDtype;
use crate::config::content_hash;
use crate::sweep::Decoding;

/// Everything that a sample depends on. What only decides how fast samples come, or what is computed
/// from them, may change when a run goes on.
#[derive(Debug, Serialize)]
pub(super) struct Settings {
    command: &'static str,
    version: &'static str,
    /// The folder, or `openai:NAME`: the same model may be served elsewhere.
    pub(super) model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_files: Option<String>,
    problems: String,
    dataset: String,
    problems_sha256: String,
    n_problems: usize,
    levels: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dtype: Option<WeightDtype>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenizer_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_body: Option<String>,
    pub(super) decoding: Decoding,
}

impl Settings {
    /// Resolves the settings.
    ///
    /// # Errors
    ///
    /// If the model folder or the tokenizer cannot be read.
    pub(super) fn new(arguments: &Eval, file: &ProblemFile) -> Result<Self> {
        let (model, model_files) = match &arguments.model {
            ModelName::Folder(folder) => {
                let files = content_hash(&files_of(folder)?)?;
                (folder.display().to_string(), Some(files))
            }
            ModelName::Chat(address) => (format!("openai:{}", address.model), None),
        };
        let is_local = model_files.is_some();
        let tokenizer = arguments.tokenizer.as_ref();
        let tokenizer = tokenizer.map(|folder| file_hash(&folder.join("tokenizer.json")));
        let extra_body = arguments.endpoint.extra_body.as_ref();
        Ok(Self {
            command: "eval",
            version: env!("CARGO_PKG_VERSION"),
            model,
            model_files,
            problems: arguments.problems.display().to_string(),
            dataset: file.about.kind.clone(),
            problems_sha256: file.about.sha256.clone(),
            n_problems: file.problems.len(),
            levels: arguments.levels.iter().map(ToString::to_string).collect(),
            device: is_local.then(|| arguments.local.device.clone()),
            dtype: is_local.then_some(arguments.local.dtype),
            tokenizer_sha256: tokenizer.transpose()?,
            extra_body: extra_body.map(serde_json::to_string).transpose()?,
            decoding: Decoding {
                n_samples: arguments.n_samples.get(),
                temperature: arguments.temperature,
                top_p: arguments.top_p,
                top_k: arguments.top_k.map(std::num::NonZeroUsize::get),
                max_new_tokens: arguments.max_new_tokens.get(),
                system: arguments.system.clone(),
                seed: arguments.seed,
            },
        })
    }

    /// What one think token is.
    pub(super) fn token_unit(&self) -> String {
        match &self.tokenizer_sha256 {
            None => "the model's tokenizer".to_owned(),
            Some(hash) => format!("tokenizer.json {}", &hash[..16]),
        }
    }

    /// The settings as TOML.
    ///
    /// # Errors
    ///
    /// If they have no such form.
    pub(super) fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }
}

/// Where the numbers of a run come from: in `manifest.json` and in the report.
#[derive(Debug, Serialize)]
pub(super) struct Provenance {
    /// The endpoint, for a model behind one.
    endpoint: Option<String>,
    device: Option<String>,
    threads: usize,
    batch_rows: Option<usize>,
    concurrency: Option<usize>,
    /// Revision of the source folder that the program was built in, as git tells it now.
    source_revision: Option<String>,
    /// SHA-256 of the Cargo.lock that the program was built with.
    cargo_lock_sha256: String,
    system: String,
}

impl Provenance {
    /// Of this process.
    pub(super) fn new(arguments: &Eval) -> Self {
        let endpoint = match &arguments.model {
            ModelName::Chat(address) => Some(address.base_url.clone()),
            ModelName::Folder(_) => None,
        };
        let is_local = endpoint.is_none();
        Self {
            device: is_local.then(|| arguments.local.device.clone()),
            threads: rayon::current_num_threads(),
            batch_rows: is_local.then(|| arguments.local.batch_rows.get()),
            concurrency: (!is_local).then(|| arguments.endpoint.concurrency.get()),
            endpoint,
            source_revision: source_revision(),
            cargo_lock_sha256: cargo_lock_hash(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}

impl Provenance {
    /// What is known, by name.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let number = |n: &usize| n.to_string();
        let facts = [
            ("endpoint", self.endpoint.clone()),
            ("device", self.device.clone()),
            ("threads", Some(number(&self.threads))),
            ("rows of a batch", self.batch_rows.as_ref().map(number)),
            (
                "requests at one time",
                self.concurrency.as_ref().map(number),
            ),
            ("source revision", self.source_revision.clone()),
            (
                "SHA-256 of Cargo.lock",
                Some(self.cargo_lock_sha256.clone()),
            ),
            ("system", Some(self.system.clone())),
        ];
        let known = facts.into_iter();
        known
            .filter_map(|(name, fact)| Some((name, fact?)))
            .collect()
    }
}

fn cargo_lock_hash() -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(include_bytes!("../../../../Cargo.lock"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `git describe` where the program was built; none without git or away from its source.
fn source_revision() -> Option<String> {
    let output = std::process::Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR")])
        .args([
            "describe",
            "--always",
            "--dirty",
            "--abbrev=40",
            "--exclude=*",
        ])
        .stderr(std::process::Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let is_known = output.status.success() && !text.trim().is_empty();
    is_known.then(|| text.trim().to_owned())
}
