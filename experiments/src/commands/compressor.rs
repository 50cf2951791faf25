//! Think texts to texts at targets, by any `--scorer`.

use std::num::NonZeroUsize;

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::Args;
use extracot_core::compress::{CompressedCot, Protection, ScoredCot};
use extracot_core::{Compressor, KeepRatio, Seed};
use extracot_models::{HfTokenizer, Pooling};
use serde_json::Value;

use super::scorer::{ScorerName, ScorerSettings, WordSelector, with_scorer};

/// How a scorer's atoms are chosen.
#[derive(Debug, Args)]
pub(super) struct SelectionArguments {
    /// How a classifier's scores of an atom's tokens become one: mean (the default), max or first
    #[arg(long, value_parser = parse_pooling)]
    pub(super) pooling: Option<Pooling>,
    /// Rank what a classifier would drop by its own scores, not by the distance of its sentence from what
    /// it keeps
    #[arg(long)]
    pub(super) no_sentence_context: bool,
    /// Keep the final answer first: the last box, else the last formula or number
    #[arg(long)]
    pub(super) protect_answer: bool,
    /// Keep atoms with digits first
    #[arg(long)]
    pub(super) protect_digits: bool,
    /// Keep atoms that a match of this regular expression touches first (repeatable)
    #[arg(long, value_name = "REGEX")]
    pub(super) protect: Vec<String>,
    /// Rows read and scored together
    #[arg(long, default_value = "32")]
    pub(super) batch_rows: NonZeroUsize,
    /// Root of the scorer random
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
}

fn parse_pooling(text: &str) -> Result<Pooling, String> {
    serde_json::from_value(Value::String(text.to_owned()))
        .map_err(|_| "known are mean, max and first".to_owned())
}

/// What texts are made for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Targets<'a> {
    /// One text for each ratio.
    Ratios(&'a [KeepRatio]),
    /// One text of every atom above a score.
    Threshold(f32),
}

/// What texts are made with.
pub(super) struct CompressorSettings<'a> {
    pub(super) scorer: &'a ScorerName,
    pub(super) selection: &'a SelectionArguments,
    pub(super) targets: Targets<'a>,
    /// The policy's, which counts the cost.
    pub(super) tokenizer: &'a HfTokenizer,
    pub(super) device: &'a Device,
}

/// A text at every target with the number of protected atoms that had no room.
pub(super) type Texts = Vec<(CompressedCot, usize)>;

/// Makes the texts of `(question, think)` pairs, in order.
pub(super) type Compress<'a> = dyn Fn(&[(&str, &str)]) -> Result<Vec<Texts>> + 'a;

/// Loads what compresses and hands it to `work`.
///
/// # Errors
///
/// If an option has no use for the scorer or the scorer cannot be loaded, and what `work` fails with.
pub(super) fn with_compressor<T>(
    settings: &CompressorSettings<'_>,
    work: impl FnOnce(&Compress<'_>) -> Result<T>,
) -> Result<T> {
    check(settings)?;
    let CompressorSettings {
        scorer,
        selection,
        targets,
        tokenizer,
        device,
    } = *settings;
    let protection = Protection::try_new(
        selection.protect_answer,
        selection.protect_digits,
        &selection.protect,
    )?;
    let batch_size = selection.batch_rows.get();
    if let (ScorerName::LlmLingua2(folder), Targets::Ratios(ratios)) = (scorer, targets) {
        let loaded = WordSelector::load(folder, selection.protect_digits, device)?;
        let baseline = loaded.baseline(batch_size);
        return work(&|items: &[(&str, &str)]| {
            let of_item = |(_, think): &(&str, &str)| {
                let chunks = baseline.probabilities(think)?;
                let at = |ratio: &KeepRatio| baseline.compress(think, &chunks, *ratio, tokenizer);
                Ok(ratios.iter().map(|ratio| (at(ratio), 0)).collect())
            };
            items.iter().map(of_item).collect()
        });
    }
    let loading = ScorerSettings {
        pooling: selection.pooling.unwrap_or_default(),
        batch_size,
        seed: Seed(selection.seed),
        has_sentence_context: !selection.no_sentence_context,
        tokenizer,
        device,
    };
    with_scorer(scorer, &loading, |scorer| {
        let compressor = Compressor::new(scorer, tokenizer).with_protection(protection);
        work(&|items: &[(&str, &str)]| {
            let scored = compressor.score_batch(items)?;
            Ok(scored.iter().map(|scored| texts(targets, scored)).collect())
        })
    })
}

/// Refuses options that the scorer has no use for.
fn check(settings: &CompressorSettings<'_>) -> Result<()> {
    let CompressorSettings {
        scorer,
        selection,
        targets,
        ..
    } = settings;
    if selection.pooling.is_some() && !matches!(scorer, ScorerName::Classifier(_)) {
        bail!("--pooling is for token classifiers, not for {scorer}");
    }
    let is_threshold = match targets {
        Targets::Threshold(threshold) if !threshold.is_finite() => {
            bail!("--threshold has to be a finite number")
        }
        Targets::Threshold(_) => true,
        Targets::Ratios(_) => false,
    };
    let is_atomwise = selection.protect_answer || !selection.protect.is_empty();
    if matches!(scorer, ScorerName::LlmLingua2(_)) && (is_atomwise || is_threshold) {
        bail!("llmlingua2 has neither --threshold nor --protect-answer nor --protect");
    }
    Ok(())
}

fn texts(targets: Targets<'_>, scored: &ScoredCot) -> Texts {
    match targets {
        Targets::Threshold(threshold) => vec![(scored.above(threshold), 0)],
        Targets::Ratios(ratios) => {
            let at = |ratio: &KeepRatio| {
                let lost = scored.n_protected_lost(&scored.mask(*ratio));
                (scored.at(*ratio), lost)
            };
            ratios.iter().map(at).collect()
        }
    }
}
