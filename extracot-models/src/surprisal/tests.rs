use extracot_core::{ByteTokenizer, Seed, segment};

use super::*;
use crate::init::randomize;
use crate::{BigramLm, Decoder, DecoderConfig, DecoderSize};

const VOCAB: usize = 266;

fn decoder(max_positions: usize, device: &Device) -> Decoder {
    let size = DecoderSize {
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 4,
        max_position_embeddings: max_positions,
        rope_theta: 10_000.0,
    };
    let config = DecoderConfig::qwen3(size, VOCAB);
    randomize(Decoder::new(&config, device), 0.5, 0.5, Seed(3))
}

fn scorer<'a, M>(model: &'a M, device: &'a Device) -> SurprisalScorer<'a, M> {
    SurprisalScorer {
        model,
        device,
        tokenizer: &ByteTokenizer,
        chat: None,
        batch_tokens: 400,
    }
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn an_atom_has_the_mean_surprisal_of_its_tokens() {
    let device = Device::flex();
    let mut table = vec![vec![0.0; VOCAB]; VOCAB];
    let mut set = |last: u8, next: u8, odds: f32| {
        table[usize::from(last)][usize::from(next)] = odds.ln();
    };
    // The other 265 tokens have odds 1: 11 in 276, 4 in 269, 1 in 531.
    set(b'\n', b'a', 11.0);
    set(b'a', b'b', 4.0);
    set(b' ', b'c', 0.5);
    let model = BigramLm::new(&table, &device);
    // The tokens are `a` behind the line break of the tag, `b`, and ` `, `c`, `d`.
    let scores = scorer(&model, &device)
        .score("How many?", &segment("ab cd"))
        .unwrap();
    let ln = f32::ln;
    assert_close(
        scores.as_slice(),
        &[
            (ln(276.0 / 11.0) + ln(269.0 / 4.0)) / 2.0,
            (ln(266.0) + ln(531.0) + ln(266.0)) / 3.0,
        ],
    );
}

#[test]
fn scores_depend_on_question_and_text_before_but_not_on_the_batch() {
    let device = Device::flex();
    let model = decoder(120, &device);
    let cots = [
        "a b. cc $1+1=2$ e.",
        "",
        "one",
        "a longer text of more than one window, see. And on it goes. Then it ends.",
    ];
    let cots = cots.map(segment);
    let questions = ["why?", "", "how many of them?", "so"];
    let items: Vec<(&str, &AtomizedCot)> = questions.into_iter().zip(&cots).collect();
    let mut scorer = scorer(&model, &device);
    let together = scorer.score_batch(&items).unwrap();
    scorer.batch_tokens = 0;
    let one_by_one = scorer.score_batch(&items).unwrap();
    for (item_idx, (question, cot)) in items.into_iter().enumerate() {
        let alone = scorer.score(question, cot).unwrap();
        assert_eq!(alone.len(), cot.n_atoms());
        assert_close(alone.as_slice(), together[item_idx].as_slice());
        assert_close(
            one_by_one[item_idx].as_slice(),
            together[item_idx].as_slice(),
        );
    }
    let moved = |question: &str, text: &str, atom_idx: usize| {
        let found = scorer.score(question, &segment(text)).unwrap();
        (found.as_slice()[atom_idx] - together[0].as_slice()[atom_idx]).abs()
    };
    assert!(moved("who?", "a b. cc $1+1=2$ e.", 3) > 1e-3);
    assert!(moved("why?", "z b. cc $1+1=2$ e.", 3) > 1e-3);
    assert!(moved("why?", "a b. cc $1+1=2$ q.", 3) < 1e-5);
}

#[test]
fn a_long_text_is_scored_window_by_window_and_nothing_is_lost() {
    let device = Device::flex();
    let prompt = before_think(None, "so").unwrap();
    // Room for ten tokens: two sentences, then one, then an atom of 12 in two pieces.
    let model = decoder(ByteTokenizer.n_tokens(&prompt) + 10, &device);
    let scorer = scorer(&model, &device);
    let found = scorer
        .score("so", &segment("ab c. d e. fg h i j. abcdefghijk k."))
        .unwrap();
    let parts = ["ab c. d e.", " fg h i j."].map(|text| {
        let scores = scorer.score("so", &segment(text)).unwrap();
        scores.as_slice().to_vec()
    });
    assert_eq!(found.len(), 4 + 4 + 2);
    assert_close(&found.as_slice()[..8], &parts.concat());

    // ` abcdefghi` and `jk`, each behind the prompt.
    let pieces = [" abcdefghi", "jk"].map(|text| {
        let scores = scorer.score("so", &segment(text)).unwrap();
        scores.as_slice()[0] * text.len() as f32
    });
    let mean = (pieces[0] + pieces[1]) / 12.0;
    assert_close(&found.as_slice()[8..9], &[mean]);
}

#[test]
fn a_prompt_without_room_and_a_foreign_tokenizer_are_refused() {
    let device = Device::flex();
    let model = decoder(80, &device);
    let question = "a question that alone is longer than the model";
    let message = scorer(&model, &device)
        .score(question, &segment("a"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("80 positions"), "{message}");

    let small = BigramLm::new(&vec![vec![0.0; 100]; 100], &device);
    let message = scorer(&small, &device)
        .score("q", &segment("a"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("vocabulary of 100"), "{message}");
}
