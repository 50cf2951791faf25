//! Arguments of `extracot eval`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use extracot_core::SamplingParams;
use extracot_core::dataset::DatasetKind;

use crate::commands::asked::Asked;
use crate::commands::endpoint::EndpointArguments;
use crate::commands::model::WeightDtype;
use crate::openai::Address;

/// Samples answers at every level, judges them, and writes tables, statistics and a report.
///
/// Reads problems {"id", "question", "answer"} and optionally "difficulty", a whole number, or a file
/// of a known data set. Writes
/// OUT/LEVEL/prediction.json (one JSON line per sample), OUT/LEVEL/metrics.json,
/// OUT/LEVEL/timing.json, OUT/summary.json, OUT/summary.md, OUT/report.html, and OUT/manifest.json
/// last: it is there if all work was done.
///
/// Samples are kept as they come; --resume goes on where a run was killed or a request failed. A
/// request that fails leaves its sample open: it is counted, never taken for a wrong answer, and the
/// command ends with an error. What an endpoint refuses for good can be ended with --accept-open.
#[derive(Debug, Args)]
pub struct Eval {
    /// Model folder in Hugging Face layout, or openai:MODEL@http://host:port/v1
    #[arg(long, value_name = "DIR|openai:MODEL@URL", value_parser = ModelName::parse)]
    pub(super) model: ModelName,
    /// JSON lines with the problems
    #[arg(long, value_name = "FILE")]
    pub(super) problems: PathBuf,
    /// What the file is: gsm8k, math, amc23, metamath, mmlu, svamp, champ or plain; by default its first
    /// row tells
    #[arg(long, value_name = "KIND")]
    pub(super) dataset: Option<DatasetKind>,
    /// What prompts ask for: none, 100, 80, 60, 40, 20, policy; several with commas
    #[arg(
        long,
        value_name = "LEVELS",
        value_delimiter = ',',
        default_value = "none"
    )]
    pub(super) levels: Vec<Asked>,
    /// Run folder
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Samples of every problem
    #[arg(long, value_name = "K", default_value = "1")]
    pub(super) n_samples: NonZeroUsize,
    /// 0 takes the most likely token each time
    #[arg(long, default_value_t = 0.0)]
    pub(super) temperature: f64,
    /// Draw from the most likely tokens that have this probability together only
    #[arg(long, default_value_t = 1.0)]
    pub(super) top_p: f64,
    /// Draw from so many most likely tokens only; not sent to an endpoint
    #[arg(long, value_name = "N")]
    pub(super) top_k: Option<NonZeroUsize>,
    /// Tokens after which a completion is cut
    #[arg(long, value_name = "N", default_value = "512")]
    pub(super) max_new_tokens: NonZeroUsize,
    /// Root of all random streams; an endpoint gets a number drawn from it with every request
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Take the first N problems only
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<NonZeroUsize>,
    /// System turn
    #[arg(long, value_name = "TEXT")]
    pub(super) system: Option<String>,
    /// What ActRatio and tests compare with: one of the levels, or another run (its folder, or the
    /// folder of one of its levels); by default none if it is swept, else the largest level
    #[arg(long, value_name = "LEVEL|RUN")]
    pub(super) baseline: Option<String>,
    /// Training problems: those with the same question as one evaluated on are counted
    #[arg(long, value_name = "FILE")]
    pub(super) train: Option<PathBuf>,
    /// Prompts per level that are timed one by one, apart from the samples; 0 for none
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(super) latency: usize,
    /// Go on with the run in the folder
    #[arg(long)]
    pub(super) resume: bool,
    /// Print the resolved settings and stop
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print no progress and no table
    #[arg(long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) local: LocalArguments,
    /// End the run although requests failed: their samples are asked for once more, and what is then
    /// still open counts as failed in every table. Without it such a run stays open
    #[arg(long, help_heading = "Chat endpoint")]
    pub(super) accept_open: bool,
    /// Folder whose tokenizer.json counts think tokens of an endpoint's completions: its model's, or
    /// one that serves as the unit
    #[arg(long, value_name = "DIR", help_heading = "Chat endpoint")]
    pub(super) tokenizer: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Chat endpoint")]
    pub(super) endpoint: EndpointArguments,
}

/// Settings of a model folder.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model folder")]
pub(super) struct LocalArguments {
    /// flex (CPU), vulkan, wgpu or cuda; :N for a GPU of that number, :cpu for a software device
    #[arg(long, default_value = "flex")]
    pub(super) device: String,
    /// Threads, all cores by default; no result depends on their number
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<NonZeroUsize>,
    /// Most rows decoded together; batches stay smaller where they take over 40 s, so that a kill
    /// loses little. No result depends on it
    #[arg(long, value_name = "N", default_value = "16")]
    pub(super) batch_rows: NonZeroUsize,
    /// Dtype of weights and computation
    #[arg(long, value_enum, default_value_t)]
    pub(super) dtype: WeightDtype,
    /// Run even if the memory may not suffice
    #[arg(long)]
    pub(super) force: bool,
}

/// The value of `--model`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ModelName {
    /// A folder.
    Folder(PathBuf),
    /// A model behind an endpoint.
    Chat(Address),
}

impl ModelName {
    fn parse(text: &str) -> Result<Self, String> {
        match text.starts_with("openai:") {
            true => text
                .parse()
                .map(Self::Chat)
                .map_err(|error| format!("{error:#}")),
            false => Ok(Self::Folder(text.into())),
        }
    }
}

impl Eval {
    /// Refuses what cannot be meant.
    ///
    /// # Errors
    ///
    /// Naming the argument.
    pub(super) fn check(&self) -> Result<()> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            bail!("--temperature has to be a number of at least 0");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            bail!("--top-p has to be above 0 and at most 1");
        }
        if self.n_samples.get() > 1 && self.temperature == 0.0 {
            bail!(
                "--n-samples {} at --temperature 0 gives the same sample each time; raise \
                 --temperature",
                self.n_samples
            );
        }
        for (idx, level) in self.levels.iter().enumerate() {
            if self.levels[..idx].contains(level) {
                bail!("--levels names {level} twice");
            }
        }
        match &self.model {
            ModelName::Chat(_) if self.tokenizer.is_none() => bail!(
                "an endpoint does not count think tokens; add --tokenizer DIR with the \
                 tokenizer.json of its model, or with any other that serves as the unit"
            ),
            ModelName::Chat(_) if self.top_k.is_some() => bail!(
                "--top-k is no field of the protocol; where the server knows it, add \
                 --extra-body '{{\"top_k\": N}}'"
            ),
            ModelName::Folder(_) if self.tokenizer.is_some() => {
                bail!("--tokenizer is for endpoints; a model folder has its own")
            }
            _ => Ok(()),
        }
    }

    /// How samples are drawn.
    pub(super) fn params(&self) -> SamplingParams {
        SamplingParams {
            top_k: self.top_k.map(NonZeroUsize::get),
            top_p: self.top_p,
            ..SamplingParams::at(
                self.temperature,
                self.n_samples.get(),
                self.max_new_tokens.get(),
            )
        }
    }
}
