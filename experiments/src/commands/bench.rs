//! `extracot bench`: speed of the compressor's parts, as JSON lines.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::Device;
use clap::Args;
use extracot_core::{Compressor, KeepRatio, Seed, Tokenizer, segment};
use extracot_models::init::randomize;
use extracot_models::scorer::separator_id;
use extracot_models::{
    ClassifierScorer, HfTokenizer, Longformer, LongformerConfig, LongformerSize, Pooling,
};
use serde::Serialize;

use crate::config::AblationConfig;
use crate::pipeline::shipped_tokenizer;
use crate::report::render_lengths_plot;
use crate::word_problems::{Split, problem_set};

/// Tokens of the think texts that are compressed.
const LENGTHS: [usize; 6] = [512, 1024, 2048, 4096, 8192, 16384];
/// Positions of the classifier: the longest text and its question in one window.
const POSITIONS: usize = 20_000;
/// Bytes of the text that is cut into atoms.
const ATOMIZER_BYTES: usize = 4_000_000;

/// Measures the atomizer in MB per second on one thread, and the compressor's time by length: JSON
/// lines on standard output. The text is the embedded task's; the classifier has the sizes of the
/// default preset and random weights.
#[derive(Debug, Args)]
pub struct Bench {
    /// Text to cut into atoms, instead of the embedded task's
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// The best of so many measurements counts
    #[arg(long, default_value = "5")]
    repeats: NonZeroUsize,
    /// Threads, all cores by default
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Draw time by length into an SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// flex (CPU), vulkan, wgpu or cuda, with :N for a device number
    #[arg(long, default_value = "flex")]
    device: String,
}

/// One measurement.
#[derive(Debug, Serialize)]
struct Measurement<'a> {
    bench: &'a str,
    /// Bytes or tokens of the text.
    size: usize,
    seconds: f64,
    rate: f64,
    unit: &'a str,
    repeats: usize,
    threads: usize,
    device: &'a str,
    arch: &'a str,
    os: &'a str,
    version: &'a str,
}

/// Runs the command.
///
/// # Errors
///
/// If the device or a file cannot be used.
#[allow(
    clippy::print_stdout,
    reason = "the measurements are for other programs"
)]
pub fn run(arguments: &Bench) -> Result<()> {
    crate::device::set_threads(arguments.threads)?;
    let device = crate::device::device(&arguments.device)?;
    let repeats = arguments.repeats.get();
    let print = |bench, size: usize, seconds: f64, scale: f64, unit, threads| -> Result<()> {
        let measurement = Measurement {
            bench,
            size,
            seconds,
            rate: size as f64 / scale / seconds,
            unit,
            repeats,
            threads,
            device: &arguments.device,
            arch: std::env::consts::ARCH,
            os: std::env::consts::OS,
            version: env!("CARGO_PKG_VERSION"),
        };
        println!("{}", serde_json::to_string(&measurement)?);
        Ok(())
    };
    let thoughts = thoughts()?;
    let text = match &arguments.text {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?,
        None => thoughts.repeat(ATOMIZER_BYTES.div_ceil(thoughts.len())),
    };
    let seconds = best(repeats, || Ok(segment(&text).n_atoms()))?;
    print("atomizer", text.len(), seconds, 1e6, "MB/s", 1)?;

    let tokenizer = shipped_tokenizer()?;
    let classifier = classifier(&tokenizer, &device)?;
    let mut points = Vec::new();
    for n_tokens in LENGTHS {
        let think = first_tokens(&thoughts, n_tokens, &tokenizer);
        let n_tokens = tokenizer.n_tokens(&think);
        let scorer = ClassifierScorer {
            classifier: &classifier,
            device: &device,
            tokenizer: &tokenizer,
            separator_id: separator_id(&tokenizer)?,
            batch_size: 1,
            pooling: Pooling::Mean,
        };
        let compressor = Compressor::new(scorer, &tokenizer);
        let ratio = KeepRatio::try_new(0.2)?;
        let seconds = best(repeats, || {
            let scored = compressor.score("How many in all?", &think)?;
            Ok(scored.at(ratio).kept_tokens)
        })?;
        let threads = rayon::current_num_threads();
        print("compress", n_tokens, seconds, 1.0, "tokens/s", threads)?;
        points.push((n_tokens as f64, 1000.0 * seconds));
    }
    match &arguments.plot {
        Some(path) => crate::run::write_text(path, &render_lengths_plot(&points)),
        None => Ok(()),
    }
}

/// Seconds of the fastest of some runs, after one that does not count.
fn best(repeats: usize, work: impl Fn() -> Result<usize>) -> Result<f64> {
    std::hint::black_box(work()?);
    let mut best = f64::INFINITY;
    for _ in 0..repeats {
        let started = Instant::now();
        std::hint::black_box(work()?);
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// Chains of thought of the embedded task, one behind the other.
fn thoughts() -> Result<String> {
    let problems = problem_set(Split::Train, 300, Seed(1))?;
    let solutions = problems.iter().map(|problem| problem.think.as_str());
    Ok(solutions.collect::<Vec<_>>().join("\n\n"))
}

/// A beginning of `text`, repeated where it is too short, of about so many tokens.
fn first_tokens(text: &str, n_tokens: usize, tokenizer: &dyn Tokenizer) -> String {
    let all = tokenizer.n_tokens(text);
    let text = text.repeat(n_tokens.div_ceil(all));
    let spans = tokenizer.encode_spans(&text);
    text[..spans[n_tokens - 1].1.end].to_owned()
}

fn classifier(tokenizer: &HfTokenizer, device: &Device) -> Result<Longformer> {
    let config = AblationConfig::preset("default", &[])?.compressor;
    let size = LongformerSize {
        hidden_size: config.hidden_size,
        intermediate_size: config.intermediate_size,
        num_hidden_layers: config.n_layers,
        num_attention_heads: config.n_heads,
        attention_window: config.window,
        max_positions: POSITIONS,
    };
    let config = LongformerConfig::longformer(size, tokenizer.vocab_size());
    Ok(randomize(
        Longformer::new(&config, device),
        1.0,
        0.05,
        Seed(1),
    ))
}
