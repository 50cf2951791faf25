//! The selection of LLMLingua-2, and so of TokenSkip: the baseline that knows no formulas.
//!
//! A token classifier gives every token a probability of being kept. Tokens become words, a word has
//! the mean of its tokens, and in each chunk the words above a percentile stay. Nothing here keeps a
//! formula whole, and the share that is kept is only near the ratio.

use std::ops::Range;

use super::CompressedCot;
use crate::{KeepRatio, Tokenizer};

/// Options of the selection.
///
/// # Source
///
/// LLMLingua-2, arXiv:2403.12968, and the behavior of its published code. TokenSkip uses the defaults
/// for Qwen, and for Llama all three.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LlmLingua2Config {
    /// Words that are always kept.
    pub force_words: Vec<String>,
    /// Whether tokens with a digit count as certain.
    pub reserve_digits: bool,
    /// Whether a forced word goes where no kept word parts it from the same one before.
    pub drop_consecutive: bool,
}

/// A token of the classifier with its probability of being kept.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenProbability {
    /// Its bytes in the text.
    pub span: Range<usize>,
    /// In `[0, 1]`.
    pub probability: f64,
}

/// A word: tokens up to the next that opens one.
#[derive(Debug, Clone, PartialEq)]
struct Word {
    /// Without white space around it.
    span: Range<usize>,
    /// White space stood before it.
    is_spaced: bool,
    probability: f64,
    is_forced: bool,
}

/// Compresses a text whose tokens, chunk by chunk, have probabilities.
///
/// ```text
/// word score = mean of its tokens, or 1 if it is forced
/// threshold  = percentile floor(100 (1 - ratio) + 1) of the scores of a chunk, each counted once per
///              token of the word in `tokenizer`; linear interpolation
/// kept       = score > threshold, or score = threshold if that is 1
/// ```
///
/// A word opens at white space and at a token that is punctuation; other tokens go on with the word
/// before them. Kept words keep the space before them as one space, or none if they had none: the text
/// is not always that of the kept spans with one space between them, and at ratio 1 line breaks become
/// spaces. All words of a chunk can fall to the percentile.
///
/// # Units
///
/// Costs are tokens of `tokenizer`, of each word with its space.
///
/// A token that is a piece of a character stands for all of it.
///
/// # Panics
///
/// If a span ends behind `text`.
pub fn compress_words(
    text: &str,
    chunks: &[Vec<TokenProbability>],
    target_ratio: KeepRatio,
    tokenizer: &dyn Tokenizer,
    config: &LlmLingua2Config,
) -> CompressedCot {
    let mut compressed = CompressedCot {
        text: String::new(),
        target_ratio: Some(target_ratio),
        kept_tokens: 0,
        total_tokens: 0,
        kept_spans: vec![],
    };
    for chunk in chunks {
        let words = words(text, chunk, config);
        let costs: Vec<usize> = words
            .iter()
            .map(|word| cost(text, word, tokenizer))
            .collect();
        compressed.total_tokens += costs.iter().sum::<usize>();
        let kept = select_words(text, &words, &costs, target_ratio, config);
        for ((word, cost), _) in words
            .iter()
            .zip(&costs)
            .zip(&kept)
            .filter(|(_, kept)| **kept)
        {
            compressed.kept_tokens += cost;
            if word.is_spaced && !compressed.text.is_empty() {
                compressed.text.push(' ');
            }
            compressed.text.push_str(&text[word.span.clone()]);
            push_span(text, &mut compressed.kept_spans, &word.span);
        }
    }
    compressed
}

/// Appends a span, joined with the last one if nothing but white space is between them.
fn push_span(text: &str, spans: &mut Vec<(usize, usize)>, span: &Range<usize>) {
    match spans.last_mut() {
        Some(last) if text[last.1..span.start].trim().is_empty() => last.1 = span.end,
        _ => spans.push((span.start, span.end)),
    }
}

fn cost(text: &str, word: &Word, tokenizer: &dyn Tokenizer) -> usize {
    let word_text = &text[word.span.clone()];
    match word.is_spaced {
        true => tokenizer.n_tokens(&format!(" {word_text}")),
        false => tokenizer.n_tokens(word_text),
    }
}

fn words(text: &str, tokens: &[TokenProbability], config: &LlmLingua2Config) -> Vec<Word> {
    let mut words: Vec<(Word, usize)> = Vec::new();
    for token in tokens {
        // A token can be a piece of a character: then it stands for all of it.
        let from = text.floor_char_boundary(token.span.start);
        let token_text = &text[from..text.ceil_char_boundary(token.span.end)];
        let core = token_text.trim();
        if core.is_empty() {
            continue;
        }
        let start = from + (token_text.len() - token_text.trim_start().len());
        let is_spaced = text[..start].ends_with(char::is_whitespace);
        let is_punctuation = core.chars().all(|c| c.is_ascii_punctuation()) && core.len() == 1;
        let opens = is_spaced || is_punctuation || config.force_words.iter().any(|w| w == core);
        // A token with a digit is certain; its word has the mean, as published.
        let probability = match config.reserve_digits && core.contains(char::is_numeric) {
            true => 1.0,
            false => token.probability,
        };
        match words.last_mut() {
            // Pieces of one character may each have its span: they open no word of their own.
            Some((word, n_tokens)) if !opens || start < word.span.end => {
                word.span.end = word.span.end.max(start + core.len());
                word.probability += probability;
                *n_tokens += 1;
            }
            _ => words.push((
                Word {
                    span: start..start + core.len(),
                    is_spaced,
                    probability,
                    is_forced: false,
                },
                1,
            )),
        }
    }
    let finish = |(mut word, n_tokens): (Word, usize)| {
        let word_text = &text[word.span.clone()];
        word.is_forced = config.force_words.iter().any(|forced| forced == word_text);
        word.probability = match word.is_forced {
            true => 1.0,
            false => word.probability / n_tokens as f64,
        };
        word
    };
    words.into_iter().map(finish).collect()
}

fn select_words(
    text: &str,
    words: &[Word],
    costs: &[usize],
    target_ratio: KeepRatio,
    config: &LlmLingua2Config,
) -> Vec<bool> {
    let scores: Vec<f64> = words.iter().map(|word| word.probability).collect();
    // 100 * 0.8 is 80.00000000000001 in binary and must not differ from 80.
    let percent = (100.0 * (1.0 - target_ratio.value()) + 1.0 + 1e-9).floor();
    let Some(threshold) = percentile(&scores, costs, percent) else {
        return vec![];
    };
    let is_above = |score: f64| score > threshold || (threshold == 1.0 && score == threshold);
    let mut kept: Vec<bool> = scores.iter().map(|score| is_above(*score)).collect();
    if target_ratio == KeepRatio::FULL {
        kept.fill(true);
    }
    if config.drop_consecutive {
        let mut last_kept: Option<&str> = None;
        for (word, is_kept) in words.iter().zip(&mut kept).filter(|(_, is_kept)| **is_kept) {
            let word_text = &text[word.span.clone()];
            if config.force_words.iter().any(|forced| forced == word_text)
                && last_kept == Some(word_text)
            {
                *is_kept = false;
                continue;
            }
            last_kept = Some(word_text);
        }
    }
    kept
}

/// The percentile of scores that count `n_times` each, between neighbors by linear interpolation.
fn percentile(scores: &[f64], n_times: &[usize], percent: f64) -> Option<f64> {
    let mut all: Vec<f64> = scores
        .iter()
        .zip(n_times)
        .flat_map(|(score, n)| std::iter::repeat_n(*score, *n))
        .collect();
    all.sort_by(f64::total_cmp);
    let last = all.len().checked_sub(1)?;
    let place = percent.clamp(0.0, 100.0) / 100.0 * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    Some(all[below] + (all[above] - all[below]) * (place - below as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ByteTokenizer;

    /// One token per run that the pattern of spaces and punctuation gives, with its probability.
    fn tokens(text: &str, probabilities: &[(&str, f64)]) -> Vec<TokenProbability> {
        let mut from = 0;
        let token = |(piece, probability): &(&str, f64)| {
            let start = from + text[from..].find(piece).unwrap();
            from = start + piece.len();
            TokenProbability {
                span: start..from,
                probability: *probability,
            }
        };
        probabilities.iter().map(token).collect()
    }

    #[test]
    fn words_are_means_of_tokens_and_punctuation_is_a_word() {
        let text = "unlike 3.5, ok";
        let tokens = tokens(
            text,
            &[
                ("un", 0.2),
                ("like", 0.4),
                (" 3", 0.9),
                (".", 0.5),
                ("5", 0.7),
                (",", 0.1),
                (" ok", 0.6),
            ],
        );
        let found: Vec<(&str, f64)> = words(text, &tokens, &LlmLingua2Config::default())
            .into_iter()
            .map(|word| (&text[word.span], word.probability))
            .collect();
        let expected = [
            ("unlike", 0.3),
            ("3", 0.9),
            (".5", 0.6),
            (",", 0.1),
            ("ok", 0.6),
        ];
        for ((text, p), (expected_text, expected_p)) in found.iter().zip(expected) {
            assert!(
                *text == expected_text && (p - expected_p).abs() < 1e-12,
                "{text} {p}"
            );
        }
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn the_percentile_interpolates_and_counts_words_by_their_tokens() {
        // 0, 0, 1, 3: the middle is between 0 and 1.
        assert_eq!(percentile(&[3.0, 0.0, 1.0], &[1, 2, 1], 50.0), Some(0.5));
        assert_eq!(percentile(&[3.0, 0.0, 1.0], &[1, 2, 1], 100.0), Some(3.0));
        assert_eq!(percentile(&[], &[], 50.0), None);
    }

    #[test]
    fn words_above_the_percentile_stay_and_formulas_are_cut() {
        let text = "we get $1+ 2=3$ so";
        let tokens = tokens(
            text,
            &[
                ("we", 0.1),
                (" get", 0.2),
                (" $", 0.3),
                ("1", 0.9),
                ("+", 0.8),
                (" 2", 0.95),
                ("=", 0.7),
                ("3", 0.6),
                ("$", 0.4),
                (" so", 0.05),
            ],
        );
        let half = KeepRatio::try_new(0.5).unwrap();
        let config = LlmLingua2Config::default();
        let found = compress_words(
            text,
            std::slice::from_ref(&tokens),
            half,
            &ByteTokenizer,
            &config,
        );
        // Words: we .1 (2 bytes), get .2 (4), $1 (.3+.9)/2 = .6 (3), + .8 (1), 2 .95 (2),
        // =3 .65 (2), $ .4 (1), so .05 (3). Sorted with their bytes: .05 x3 .1 x2 .2 x4 .4 .6 x3 ..;
        // 18 values, percent 51: place 8.67 is between two of .2 and .4: .2 + .67 * .2 = .334.
        assert_eq!(found.text, "$1+ 2=3$");
        assert_eq!((found.kept_tokens, found.total_tokens), (9, 18));
        assert_eq!(found.kept_spans, [(7, 15)]);
        let fifth = KeepRatio::try_new(0.2).unwrap();
        let found = compress_words(text, &[tokens], fifth, &ByteTokenizer, &config);
        // Percent 81: place 13.77 is between .65 and .65 (places 13, 14): above it .8 and .95.
        assert_eq!(found.text, "+ 2");
    }

    #[test]
    fn pieces_of_one_character_are_one_word() {
        // A byte-level tokenizer gives the sign two tokens of the same span.
        let text = "3 \u{d7} 4";
        let token = |span: Range<usize>| TokenProbability {
            span,
            probability: 0.5,
        };
        let chunk = vec![token(0..1), token(1..4), token(1..4), token(4..6)];
        let config = LlmLingua2Config::default();
        let found = compress_words(text, &[chunk], KeepRatio::FULL, &ByteTokenizer, &config);
        assert_eq!((found.text.as_str(), found.kept_tokens), (text, 6));
        assert_eq!(found.kept_spans, [(0, 6)]);
    }

    #[test]
    fn digits_and_forced_words_stay_and_repeats_go() {
        let text = "so so 1 x so";
        let tokens = tokens(
            text,
            &[
                ("so", 0.1),
                (" so", 0.1),
                (" 1", 0.1),
                (" x", 0.5),
                (" so", 0.1),
            ],
        );
        let config = LlmLingua2Config {
            force_words: vec!["so".to_owned()],
            reserve_digits: true,
            drop_consecutive: true,
        };
        let ratio = KeepRatio::try_new(0.3).unwrap();
        let found = compress_words(text, &[tokens], ratio, &ByteTokenizer, &config);
        assert_eq!(found.text, "so 1 so");
    }

    #[test]
    fn everything_stays_at_one_and_chunks_have_thresholds_of_their_own() {
        let text = "a b c d";
        let low = tokens(text, &[("a", 0.1), (" b", 0.2), (" c", 0.8), (" d", 0.9)]);
        let chunks = [low[..2].to_vec(), low[2..].to_vec()];
        let config = LlmLingua2Config::default();
        let at = |ratio: f64| {
            let ratio = KeepRatio::try_new(ratio).unwrap();
            compress_words(text, &chunks, ratio, &ByteTokenizer, &config)
        };
        // Percent 31 of .1 .2 .2 is .162, of .8 .8 .9 .9 it is .8.
        assert_eq!(at(0.7).text, "b d");
        assert_eq!(at(1.0).text, text);
        assert_eq!(at(1.0).kept_spans, [(0, 7)]);
    }
}
