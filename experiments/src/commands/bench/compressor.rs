//! The atomizer, and the compressor by length.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::Device;
use extracot_core::{Compressor, KeepRatio, Seed, Tokenizer, segment};
use extracot_models::init::randomize;
use extracot_models::scorer::separator_id;
use extracot_models::{
    ClassifierScorer, HfTokenizer, Longformer, LongformerConfig, LongformerSize, Pooling,
};

use super::measurement::{Measurement, repeat};
use super::worked_problems;
use crate::config::CompressorStageConfig;
use crate::pipeline::shipped_tokenizer;
use crate::report::render_lengths_plot;

/// Tokens of the think texts that are compressed.
const LENGTHS: [usize; 6] = [512, 1024, 2048, 4096, 8192, 16384];
/// Positions of the classifier: the longest text and its question in one window.
const POSITIONS: usize = 20_000;
/// Bytes of the text that is cut into atoms.
const ATOMIZER_BYTES: usize = 4_000_000;

/// Cuts one text into atoms: that of a file, or chains of thought of the embedded task.
pub(super) fn measure_atomizer(text: Option<&Path>, repeats: NonZeroUsize) -> Result<Measurement> {
    let text = match text {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?,
        None => {
            let thoughts = thoughts()?;
            thoughts.repeat(ATOMIZER_BYTES.div_ceil(thoughts.len()))
        }
    };
    let timings = repeat(repeats, || {
        black_box(segment(&text).n_atoms());
        Ok(())
    })?;
    let measurement = Measurement::new("atomizer", (text.len(), 1e6, "MB/s"), &timings)?;
    Ok(measurement.on_one_thread())
}

/// Segments, scores, selects and renders one think text of every length, with a Longformer.
pub(super) fn measure(
    config: &CompressorStageConfig,
    repeats: NonZeroUsize,
    (device, plot): (&Device, Option<&Path>),
    report: &mut dyn FnMut(Measurement) -> Result<()>,
) -> Result<()> {
    let thoughts = thoughts()?;
    let tokenizer = shipped_tokenizer()?;
    let classifier = classifier(config, &tokenizer, device);
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
    let mut points = Vec::new();
    for n_tokens in LENGTHS {
        let think = first_tokens(&thoughts, n_tokens, &tokenizer);
        let n_tokens = tokenizer.n_tokens(&think);
        let timings = repeat(repeats, || {
            let scored = compressor.score("How many in all?", &think)?;
            black_box(scored.at(ratio).kept_tokens);
            Ok(())
        })?;
        report(Measurement::of_tokens("compress", n_tokens, &timings)?)?;
        let best = timings
            .seconds
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min);
        points.push((n_tokens as f64, 1000.0 * best));
    }
    match plot {
        Some(path) => crate::run::write_text(path, &render_lengths_plot(&points)),
        None => Ok(()),
    }
}

/// Chains of thought of the embedded task, one behind the other.
fn thoughts() -> Result<String> {
    let problems = worked_problems()?;
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

fn classifier(
    config: &CompressorStageConfig,
    tokenizer: &HfTokenizer,
    device: &Device,
) -> Longformer {
    let size = LongformerSize {
        hidden_size: config.hidden_size,
        intermediate_size: config.intermediate_size,
        num_hidden_layers: config.n_layers,
        num_attention_heads: config.n_heads,
        attention_window: config.window,
        max_positions: POSITIONS,
    };
    let config = LongformerConfig::longformer(size, tokenizer.vocab_size());
    randomize(Longformer::new(&config, device), 1.0, 0.05, Seed(1))
}
