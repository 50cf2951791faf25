//! `extracot doctor`: what this build and machine can do, and what is wrong with a model folder.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::{DType, Device, Tensor, TensorData};
use clap::Args;
use extracot_core::{ChatMessage, ControlToken, Tokenizer};
use extracot_models::checkpoint::load_decoder;
use extracot_models::memory::gib;
use extracot_models::{DecoderConfig, HfChat, HfTokenizer};

use super::estimate::available_memory;
use super::model::end_ids;
use crate::device::adapter_name;

/// The backends of this build.
const BACKENDS: [(&str, bool); 4] = [
    ("flex", cfg!(feature = "flex")),
    ("vulkan", cfg!(feature = "vulkan")),
    ("wgpu", cfg!(feature = "wgpu")),
    ("cuda", cfg!(feature = "cuda")),
];

/// Says what this build and machine have and, with --model, what is wrong with a model folder.
///
/// Ends with an error if anything is wrong.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Model folder in Hugging Face layout
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// flex (CPU), vulkan, wgpu or cuda; :N for a GPU of that number, :cpu for a software device
    #[arg(long, default_value = "flex")]
    device: String,
    /// Threads, all cores by default
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// Checks in the order in which they were made.
#[derive(Default)]
struct Findings {
    n_wrong: usize,
}

impl Findings {
    #[allow(
        clippy::print_stdout,
        reason = "the findings are what the command is for"
    )]
    fn say(mark: &str, name: &str, text: &str) {
        println!("{mark:<5} {name:<16} {text}");
    }

    fn add(&mut self, name: &str, found: Result<String>) {
        match found {
            Ok(text) => Self::say("ok", name, &text),
            Err(error) => {
                self.n_wrong += 1;
                Self::say("WRONG", name, &format!("{error:#}"));
            }
        }
    }

    /// What is no mistake but has consequences.
    fn note(name: &str, text: &str) {
        Self::say("note", name, text);
    }
}

/// Runs the command.
///
/// # Errors
///
/// If anything was found to be wrong.
pub fn run(arguments: &Doctor) -> Result<()> {
    crate::device::set_threads(arguments.threads)?;
    let mut findings = Findings::default();
    let has = BACKENDS.iter().filter(|(_, is_built)| *is_built);
    let has: Vec<&str> = has.map(|(name, _)| *name).collect();
    let version = env!("CARGO_PKG_VERSION");
    let built = format!("extracot {version} with {}", has.join(", "));
    findings.add("build", Ok(built));
    findings.add("threads", Ok(rayon::current_num_threads().to_string()));
    match available_memory() {
        Some(bytes) => findings.add("memory", Ok(format!("{:.1} GiB available", gib(bytes)))),
        None => Findings::note("memory", "this system does not say how much is available"),
    }
    let device = crate::device::device(&arguments.device);
    let checked = device.and_then(|device| check_device(&device).map(|text| (device, text)));
    match checked {
        Ok((device, text)) => {
            findings.add("device", Ok(format!("{}: {text}", arguments.device)));
            if let Some(folder) = &arguments.model {
                check_model(&mut findings, folder, &device);
            }
        }
        Err(error) => findings.add("device", Err(error)),
    }
    match findings.n_wrong {
        0 => Ok(()),
        1 => bail!("1 check failed"),
        n => bail!("{n} checks failed"),
    }
}

/// A small product whose result is known.
fn check_device(device: &Device) -> Result<String> {
    let ones = |rows: usize, columns: usize| {
        let data = TensorData::new(vec![1.0_f32; rows * columns], [rows, columns]);
        Tensor::<2>::from_data(data, (device, DType::F32))
    };
    let sum: f32 = ones(8, 32).matmul(ones(32, 8)).sum().into_scalar();
    match sum == 2048.0 {
        true => Ok(match adapter_name(device) {
            Some(name) => format!("{name}, computes"),
            None => "computes".to_owned(),
        }),
        false => bail!("a product of ones sums to {sum} instead of 2048"),
    }
}

fn check_model(findings: &mut Findings, folder: &Path, device: &Device) {
    let config = DecoderConfig::load(folder);
    let config = match config {
        Err(error) => return findings.add("config.json", Err(error.into())),
        Ok(config) => config,
    };
    let text = format!(
        "{:?}, {} layers, d_model {}, vocabulary {}, {} positions",
        config.family,
        config.num_hidden_layers,
        config.hidden_size,
        config.vocab_size,
        config.max_position_embeddings
    );
    findings.add("config.json", Ok(text));
    let weights = load_decoder(&config, folder, DType::F32, device).map(|decoder| {
        let n_params = burn::module::Module::num_params(&decoder);
        format!("{n_params} parameters, all finite")
    });
    findings.add("weights", weights.map_err(Into::into));

    match end_ids(folder, &config) {
        Err(error) => findings.add("end of answers", Err(error)),
        Ok(ids) if ids.is_empty() => Findings::note(
            "end of answers",
            "no eos_token_id: only the chat template's end of turn stops a completion",
        ),
        Ok(ids) => findings.add("end of answers", Ok(format!("ids {ids:?}"))),
    }
    if !folder.join("tokenizer.json").is_file() {
        Findings::note(
            "tokenizer.json",
            "not there: rows need `input_ids` and get no text",
        );
        return;
    }
    let tokenizer = match HfTokenizer::load(folder) {
        Err(error) => return findings.add("tokenizer.json", Err(error.into())),
        Ok(tokenizer) => tokenizer,
    };
    let n_entries = tokenizer.vocab_size();
    findings.add(
        "tokenizer.json",
        match n_entries <= config.vocab_size {
            true => Ok(format!("{n_entries} entries")),
            false => Err(anyhow::anyhow!(
                "{n_entries} entries, but the embedding has {} rows",
                config.vocab_size
            )),
        },
    );
    let missing: Vec<String> = ControlToken::ALL
        .iter()
        .map(ToString::to_string)
        .filter(|token| tokenizer.token_id(token).is_none())
        .collect();
    match missing.len() {
        0 => findings.add("control tokens", Ok("all there".to_owned())),
        _ => Findings::note(
            "control tokens",
            &format!("{} are missing: fine-tuning adds them", missing.join(" ")),
        ),
    }
    match HfChat::load(folder, None) {
        Err(error) => findings.add("chat template", Err(error.into())),
        Ok(None) => Findings::note(
            "chat template",
            "none: ChatML is used if the tokenizer has it",
        ),
        Ok(Some(chat)) => findings.add("chat template", check_chat(&chat, &tokenizer)),
    }
}

/// A template that renders a question and closes turns with one token.
fn check_chat(chat: &HfChat, tokenizer: &HfTokenizer) -> Result<String> {
    use extracot_core::prompt::ChatRenderer;
    let message = ChatMessage {
        role: "user",
        content: "How many?",
    };
    let text = chat.render(&[message], true)?;
    if !text.contains(message.content) {
        bail!("what it renders lacks the question: {text:?}");
    }
    let close = chat.turn_close();
    tokenizer
        .token_id(close)
        .with_context(|| format!("the tokenizer has no `{close}`, at which an answer ends"))?;
    Ok(format!("renders; an answer ends at {close}"))
}
