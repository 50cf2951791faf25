//! Random texts through atomizer, selection and rendering: a thousand rounds, or as many as
//! `EXTRACOT_FUZZ_ROUNDS=1000000 cargo test --workspace --test fuzz_atomizer` says, from round
//! `EXTRACOT_FUZZ_FROM` on. A text that breaks a promise is printed with its round, which repeats it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use extracot_core::atom::math::{formula_spans, n_unmatched_delimiters};
use extracot_core::compress::llmlingua2::{LlmLingua2Config, TokenProbability, compress_words};
use extracot_core::compress::{Fidelity, RandomScorer};
use extracot_core::{
    AtomizedCot, ByteTokenizer, Compressor, KeepRatio, Seed, Tokenizer, segment_words,
};
use rand::RngExt;
use rand::seq::IndexedRandom;

/// What decides where atoms begin and end, and ordinary text.
const PIECES: [&str; 56] = [
    "$",
    "$$",
    "\\(",
    "\\)",
    "\\[",
    "\\]",
    "\\begin{align}",
    "\\end{align}",
    "\\begin{cases}",
    "\\end{cases}",
    "```math\n",
    "```python\n",
    "```",
    "\\text{so $x$}",
    "\\$",
    "\\\\",
    "\\",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "|",
    "<<3*4=12>>",
    "\n",
    "\n\n",
    " ",
    "  ",
    "\t",
    "x",
    "y_1",
    "sin",
    "the",
    "answer",
    "is",
    "12",
    "1,000",
    "3.5",
    "%",
    " km",
    "=",
    "+",
    "-",
    "*",
    "/",
    "^2",
    "<",
    ".",
    ",",
    "!",
    "\u{e9}",
    "\u{4e2d}\u{6587}\u{3002}",
    "\u{1f600}",
    "\u{2009}",
    "1. ",
];

fn text(seed: Seed) -> String {
    let mut rng = seed.rng();
    let n_pieces = rng.random_range(0..60);
    let mut text = String::new();
    for _ in 0..n_pieces {
        match rng.random_range(0..12) {
            0 => text.push(char::from_u32(rng.random_range(0..0x11_0000)).unwrap_or('\u{fffd}')),
            1 => text.push_str(
                &PIECES
                    .choose(&mut rng)
                    .unwrap()
                    .repeat(rng.random_range(1..9)),
            ),
            _ => text.push_str(PIECES.choose(&mut rng).unwrap()),
        }
    }
    text
}

fn check(text: &str, seed: Seed) {
    let compressor = Compressor::new(RandomScorer::new(seed), &ByteTokenizer);
    let scored = compressor.score("", text).unwrap();
    let cot = scored.cot();
    assert!(AtomizedCot::try_new(text.to_owned(), cot.atoms().to_vec()).is_ok());
    let words = segment_words(text);
    assert!(AtomizedCot::try_new(text.to_owned(), words.atoms().to_vec()).is_ok());
    for span in formula_spans(text) {
        let holds = |idx: &usize| {
            let core = cot.core_span(*idx);
            core.start <= span.start && span.end <= core.end
        };
        assert_eq!(
            (0..cot.n_atoms()).filter(holds).count(),
            1,
            "formula {span:?}"
        );
    }
    n_unmatched_delimiters(text);
    assert_eq!(scored.at(KeepRatio::FULL).text, text);
    let total: usize = scored.costs().iter().sum();
    let cheapest = scored.costs().iter().min().copied().unwrap_or(0);
    let mut smaller: Option<Vec<bool>> = None;
    for ratio in [0.2, 0.4, 0.6, 0.8] {
        let target = KeepRatio::try_new(ratio).unwrap();
        let (mask, compressed) = (scored.mask(target), scored.at(target));
        let budget = (ratio * total as f64 * (1.0 + 1e-9)).floor() as usize;
        assert!(
            compressed.kept_tokens <= budget.max(cheapest),
            "over the budget"
        );
        let left_out = scored
            .costs()
            .iter()
            .zip(mask.as_slice())
            .filter(|(_, keep)| !**keep);
        if let Some(dearest) = left_out.map(|(cost, _)| *cost).max() {
            assert!(
                budget < compressed.kept_tokens + dearest,
                "more than an atom below"
            );
        }
        if let Some(smaller) = smaller {
            let mut pairs = smaller.iter().zip(mask.as_slice());
            assert!(pairs.all(|(small, large)| !small || *large), "no subset");
        }
        smaller = Some(mask.as_slice().to_vec());
        assert_eq!(
            Fidelity::of(text, &compressed, "12").formulas_cut,
            0,
            "a formula is cut"
        );
    }
}

/// Whether LLMLingua-2's selection takes any tokens: it promises no more than that and ratio 1.
fn check_words(text: &str, seed: Seed) {
    let mut rng = seed.derive("words", 0).rng();
    let tokens = ByteTokenizer.encode_spans(text).into_iter();
    let chunk = tokens.map(|(_, span)| TokenProbability {
        span,
        probability: rng.random(),
    });
    let chunk: Vec<TokenProbability> = chunk.collect();
    for ratio in [0.2, 1.0] {
        let ratio = KeepRatio::try_new(ratio).unwrap();
        let config = LlmLingua2Config::default();
        let chunks = std::slice::from_ref(&chunk);
        let found = compress_words(text, chunks, ratio, &ByteTokenizer, &config);
        assert!(found.kept_tokens <= found.total_tokens);
        if ratio == KeepRatio::FULL {
            let words = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(words(&found.text), words(text));
        }
    }
}

#[test]
fn any_text_keeps_the_promises_of_compression() {
    let setting = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |value| value.parse().unwrap())
    };
    let from = setting("EXTRACOT_FUZZ_FROM", 0);
    for round in from..from + setting("EXTRACOT_FUZZ_ROUNDS", 1000) {
        let seed = Seed(1).derive("fuzz-atomizer", round);
        let text = text(seed);
        let checked = std::panic::catch_unwind(|| {
            check(&text, seed);
            check_words(&text, seed);
        });
        assert!(checked.is_ok(), "round {round}: {text:?}");
    }
}
