//! Arguments of `extracot annotate`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use extracot_core::label::chat::AskRounds;
use extracot_models::attribution::{ANSWER_LEAD, KEEP_SHARE, MIN_DROP};

use crate::commands::endpoint::EndpointArguments;
use crate::openai::Address;

/// Labels which atoms of think texts to keep.
///
/// Reads {"id", "question", "think"}, for the annotator solution "solution" and "answer", for attribution
/// "answer". Writes
/// {"id", "annotator", "n_atoms", "ranges"} for every trace that got labels, in order; ranges are
/// 1-based and closed. What became of every trace is in FILE.report.json beside --out.
///
/// Answers are kept in FILE.unfinished as they come: the same command again goes on where it was
/// killed. Ends with an error if a trace got no labels; --resume then asks for the missing ones.
#[derive(Debug, Args)]
pub struct Annotate {
    /// JSON lines to read; - is standard input
    #[arg(long = "in", value_name = "FILE", default_value = "-")]
    pub(super) input: PathBuf,
    /// JSON lines to write
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
    /// heuristic, solution, ranges:FILE, attribution:DIR or openai:MODEL@http://host:port/v1
    #[arg(long, value_name = "NAME", value_parser = AnnotatorName::parse)]
    pub(super) annotator: AnnotatorName,
    /// Folder with the tokenizer.json that counts costs; without it a quarter of the bytes
    #[arg(long, value_name = "DIR")]
    pub(super) tokenizer: Option<PathBuf>,
    /// Keep the labels in --out and ask for the missing ones
    #[arg(long)]
    pub(super) resume: bool,
    /// flex (CPU), vulkan, wgpu or cuda; :N for a GPU of that number, :cpu for a software device
    #[arg(long, default_value = "flex")]
    pub(super) device: String,
    /// Threads of the device, all cores by default; no result depends on their number
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<NonZeroUsize>,
    /// Print no progress and no report
    #[arg(long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) attribution: AttributionArguments,
    #[command(flatten)]
    pub(super) chat: ChatArguments,
}

/// The value of `--annotator`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AnnotatorName {
    Heuristic,
    Solution,
    Ranges(PathBuf),
    Attribution(PathBuf),
    Chat(Address),
}

impl AnnotatorName {
    fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "heuristic" => Ok(Self::Heuristic),
            None if text == "solution" => Ok(Self::Solution),
            Some(("ranges", file)) if !file.is_empty() => Ok(Self::Ranges(file.into())),
            Some(("attribution", folder)) if !folder.is_empty() => {
                Ok(Self::Attribution(folder.into()))
            }
            Some(("openai", _)) => match text.parse() {
                Ok(address) => Ok(Self::Chat(address)),
                Err(error) => Err(format!("{error:#}")),
            },
            _ => Err(
                "known are heuristic, solution, ranges:FILE, attribution:DIR and \
                 openai:MODEL@http://host:port/v1"
                    .to_owned(),
            ),
        }
    }

    /// What stands in the rows of labels. The place of an endpoint is no part of it: the same model
    /// may answer elsewhere tomorrow.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Heuristic => "heuristic".to_owned(),
            Self::Solution => "solution".to_owned(),
            Self::Ranges(_) => "ranges".to_owned(),
            Self::Attribution(_) => "attribution".to_owned(),
            Self::Chat(address) => format!("openai:{}", address.model),
        }
    }

    /// Whether a trace without a gold answer cannot be labeled.
    pub(super) fn needs_answer(&self) -> bool {
        matches!(self, Self::Solution | Self::Attribution(_))
    }
}

/// Settings of `attribution:` annotators.
#[derive(Debug, Args)]
#[command(next_help_heading = "Attribution")]
pub(super) struct AttributionArguments {
    /// The most that is labeled keep, as a share of the tokens of a think text
    #[arg(long, value_name = "SHARE", default_value_t = KEEP_SHARE)]
    pub(super) keep_share: f64,
    /// The least fall of the answer's log-probability for an atom to be labeled keep, in nats
    #[arg(long, value_name = "NATS", default_value_t = MIN_DROP, value_parser = finite, allow_negative_numbers = true)]
    pub(super) min_drop: f32,
    /// The words in front of the boxed answer, best those the model was trained on
    #[arg(long, value_name = "TEXT", default_value = ANSWER_LEAD)]
    pub(super) answer_lead: String,
    /// Tokens computed together
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub(super) batch_tokens: usize,
}

fn finite(text: &str) -> Result<f32, String> {
    let value: Option<f32> = text.parse().ok();
    value
        .filter(|value| value.is_finite())
        .ok_or_else(|| "a finite number is needed".to_owned())
}

/// Settings of `openai:` annotators.
#[derive(Debug, Args)]
#[command(next_help_heading = "Chat endpoint")]
pub(super) struct ChatArguments {
    #[command(flatten)]
    pub(super) endpoint: EndpointArguments,
    /// Cost of a window in tokens; each window is one request
    #[arg(long, value_name = "N", default_value = "512")]
    pub(super) window_tokens: NonZeroUsize,
    /// How often a window is asked whose reply was empty or no use
    #[arg(long, value_name = "N", default_value = "3")]
    rounds: NonZeroUsize,
    /// Temperature of the first round
    #[arg(long, default_value_t = AskRounds::default().temperature)]
    temperature: f64,
    /// What each further round adds to the temperature
    #[arg(long, default_value_t = AskRounds::default().temperature_step)]
    temperature_step: f64,
    /// Share of the pieces that a window is told to keep after an empty reply
    #[arg(long, default_value_t = AskRounds::default().min_share)]
    min_share: f64,
    /// Drop all atoms of a window that stayed empty, instead of leaving its trace without labels
    #[arg(long)]
    pub(super) empty_drops: bool,
    /// New tokens after which a reply is cut
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub(super) max_tokens: usize,
    /// Price of a million prompt tokens
    #[arg(long, value_name = "PRICE")]
    pub(super) price_in: Option<f64>,
    /// Price of a million completion tokens
    #[arg(long, value_name = "PRICE")]
    pub(super) price_out: Option<f64>,
}

impl ChatArguments {
    /// How windows are asked.
    ///
    /// # Errors
    ///
    /// If a number is out of range.
    pub(super) fn ask_rounds(&self) -> Result<AskRounds> {
        let is_temperature = |t: f64| (0.0..=2.0).contains(&t);
        if !is_temperature(self.temperature) || !is_temperature(self.temperature_step) {
            bail!("--temperature and --temperature-step have to be from 0 to 2");
        }
        if !(self.min_share > 0.0 && self.min_share <= 1.0) {
            bail!("--min-share has to be above 0 and at most 1");
        }
        let prices = [self.price_in, self.price_out].into_iter().flatten();
        if prices
            .clone()
            .any(|price| !price.is_finite() || price < 0.0)
        {
            bail!("--price-in and --price-out have to be numbers of at least 0");
        }
        Ok(AskRounds {
            n_rounds: self.rounds.get(),
            temperature: self.temperature,
            temperature_step: self.temperature_step,
            min_share: self.min_share,
        })
    }
}
