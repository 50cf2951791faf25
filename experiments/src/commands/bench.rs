//! `extracot bench`: speed of the compressor's parts and of a decoder, as JSON lines.

mod decoder;

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

/// Measures the atomizer in MB per second on one thread, the compressor's time by length, and training
/// steps, prefill and decoding of a decoder: JSON lines on standard output. The text is the embedded
/// task's; the classifier has the sizes of the default preset; all weights are random.
#[derive(Debug, Args)]
pub struct Bench {
    /// What is measured
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "PART",
        default_value = "compressor,decoder"
    )]
    parts: Vec<Part>,
    /// Text to cut into atoms, instead of the embedded task's
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// So many measurements of each kind: the best counts, the median is told too
    #[arg(long, default_value = "5")]
    repeats: NonZeroUsize,
    /// Threads, all cores by default
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Draw time by length into an SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// flex (CPU), vulkan, wgpu or cuda; :N for a GPU of that number, :cpu for a software device
    #[arg(long, default_value = "flex")]
    device: String,
    #[command(flatten)]
    decoder: decoder::DecoderWork,
}

/// Parts that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The atomizer and the compressor
    Compressor,
    /// Training steps, prefill and decoding of a decoder
    Decoder,
}

/// One measurement.
#[derive(Debug, Serialize)]
struct Measurement<'a> {
    bench: &'a str,
    /// Bytes or tokens of the text.
    size: usize,
    /// Of the fastest measurement; `rate` is its rate.
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    median_seconds: Option<f64>,
    rate: f64,
    unit: &'a str,
    repeats: usize,
    threads: usize,
    device: &'a str,
    arch: &'a str,
    os: &'a str,
    version: &'a str,
}

impl<'a> Measurement<'a> {
    fn new(arguments: &'a Bench, bench: &'a str, size: usize, seconds: f64) -> Self {
        Self {
            bench,
            size,
            seconds,
            median_seconds: None,
            rate: size as f64 / seconds,
            unit: "tokens/s",
            repeats: arguments.repeats.get(),
            threads: rayon::current_num_threads(),
            device: &arguments.device,
            arch: std::env::consts::ARCH,
            os: std::env::consts::OS,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    #[allow(
        clippy::print_stdout,
        reason = "the measurements are for other programs"
    )]
    fn print(&self) -> Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}

/// Runs the command.
///
/// # Errors
///
/// If the device or a file cannot be used.
pub fn run(arguments: &Bench) -> Result<()> {
    crate::device::set_threads(arguments.threads)?;
    let device = crate::device::device(&arguments.device)?;
    if arguments.parts.contains(&Part::Compressor) {
        measure_compressor(arguments, &device)?;
    }
    if arguments.parts.contains(&Part::Decoder) {
        let repeats = arguments.repeats.get();
        for rounds in decoder::measure(&arguments.decoder, repeats, &device)? {
            let mut seconds = rounds.seconds;
            seconds.sort_by(f64::total_cmp);
            let measurement =
                Measurement::new(arguments, &rounds.bench, rounds.n_tokens, seconds[0]);
            Measurement {
                median_seconds: Some(seconds[repeats / 2]),
                ..measurement
            }
            .print()?;
        }
    }
    Ok(())
}

fn measure_compressor(arguments: &Bench, device: &Device) -> Result<()> {
    let repeats = arguments.repeats.get();
    let thoughts = thoughts()?;
    let text = match &arguments.text {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?,
        None => thoughts.repeat(ATOMIZER_BYTES.div_ceil(thoughts.len())),
    };
    let seconds = best(repeats, || Ok(segment(&text).n_atoms()))?;
    Measurement {
        rate: text.len() as f64 / 1e6 / seconds,
        unit: "MB/s",
        threads: 1,
        ..Measurement::new(arguments, "atomizer", text.len(), seconds)
    }
    .print()?;

    let tokenizer = shipped_tokenizer()?;
    let classifier = classifier(&tokenizer, device)?;
    let mut points = Vec::new();
    for n_tokens in LENGTHS {
        let think = first_tokens(&thoughts, n_tokens, &tokenizer);
        let n_tokens = tokenizer.n_tokens(&think);
        let scorer = ClassifierScorer {
            classifier: &classifier,
            device,
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
        Measurement::new(arguments, "compress", n_tokens, seconds).print()?;
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
