use extracot_core::compress::RandomScorer;
use extracot_core::{ByteTokenizer, KeepScorer, segment};
use extracot_models::init::randomize;
use extracot_models::{
    ClassifierScorer, InputLayout, LinearClassifier, Longformer, LongformerConfig, LongformerSize,
};
use rand::RngExt;

use super::*;

const SEPARATOR: u32 = b'\n' as u32;
const MAX_POSITIONS: usize = 64;

/// A question, a think text and the labels of its atoms.
struct Text {
    question: String,
    think: String,
    keep: Vec<bool>,
}

/// Think texts of 16 letters; those the question names are to be kept. No letter tells by itself.
fn asked_letters(n_texts: usize, seed: Seed) -> Vec<Text> {
    let one = |text_idx: usize| {
        let mut rng = seed.derive("asked-letters", text_idx as u64).rng();
        let mut letters: Vec<char> = ('a'..='j').collect();
        letters.shuffle(&mut rng);
        let asked = &letters[..4];
        let words: Vec<char> = (0..16).map(|_| letters[rng.random_range(0..10)]).collect();
        let think: Vec<String> = words.iter().map(char::to_string).collect();
        Text {
            question: asked.iter().collect(),
            think: think.join(" "),
            keep: words.iter().map(|word| asked.contains(word)).collect(),
        }
    };
    (0..n_texts).map(one).collect()
}

/// The same think texts; the first three letters of the alphabet are always to be kept.
fn fixed_letters(n_texts: usize, seed: Seed) -> Vec<Text> {
    let mut texts = asked_letters(n_texts, seed);
    for text in &mut texts {
        text.keep = text
            .think
            .split(' ')
            .map(|word| ["a", "b", "c"].contains(&word))
            .collect();
    }
    texts
}

fn examples(texts: &[Text]) -> Vec<KeepExample> {
    let layout = InputLayout {
        tokenizer: &ByteTokenizer,
        separator_id: SEPARATOR,
        max_positions: MAX_POSITIONS,
    };
    texts
        .iter()
        .flat_map(|text| {
            let cot = segment(&text.think);
            assert_eq!(cot.n_atoms(), text.keep.len());
            let inputs = ClassifierInput::windows(&text.question, &cot, &layout).unwrap();
            inputs.into_iter().map(|input| KeepExample {
                input,
                keep: text.keep.clone(),
            })
        })
        .collect()
}

fn confusion(scorer: &impl KeepScorer, texts: &[Text], threshold: f32) -> KeepConfusion {
    let mut confusion = KeepConfusion::default();
    for text in texts {
        let scores = scorer.score(&text.question, &segment(&text.think)).unwrap();
        let scores: Vec<f32> = scores
            .as_slice()
            .iter()
            .map(|score| score - threshold)
            .collect();
        confusion.add(&scores, &text.keep);
    }
    confusion
}

fn trained_confusion<C: TokenClassifier>(model: &C, texts: &[Text]) -> KeepConfusion {
    let device = Device::flex();
    let scorer = ClassifierScorer {
        classifier: &model.valid(),
        device: &device,
        tokenizer: &ByteTokenizer,
        separator_id: SEPARATOR,
        batch_size: 16,
    };
    confusion(&scorer, texts, 0.0)
}

fn config(n_steps: usize, n_shards: usize, learning_rate: f64) -> CompressorConfig {
    CompressorConfig {
        n_steps,
        batch_size: 16,
        n_shards,
        gamma: 1.0,
        update: UpdateConfig {
            learning_rate,
            warmup_steps: 10,
            final_rate_share: 0.1,
            weight_decay: 0.0,
            beta_1: 0.9,
            beta_2: 0.98,
            clip_norm: 1.0,
        },
    }
}

fn longformer(device: &Device) -> Longformer {
    let size = LongformerSize {
        hidden_size: 32,
        intermediate_size: 64,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        attention_window: 4,
        max_positions: MAX_POSITIONS,
    };
    let config = LongformerConfig::longformer(size, 266);
    randomize(Longformer::new(&config, device), 1.0, 0.5, Seed(11))
}

fn train<C: TokenClassifier + Sync>(model: C, texts: &[Text], settings: &CompressorConfig) -> C {
    let device = Device::flex().autodiff();
    train_compressor(
        model,
        &examples(texts),
        settings,
        &device,
        Seed(3),
        |_, _| Ok(()),
    )
    .unwrap()
}

#[test]
fn a_longformer_learns_what_the_question_asks_for_and_a_blind_classifier_cannot() {
    let device = Device::flex().autodiff();
    let (texts, test) = (asked_letters(512, Seed(1)), asked_letters(64, Seed(2)));
    let learned = train(longformer(&device), &texts, &config(400, 2, 5e-3));
    let learned = trained_confusion(&learned, &test);
    assert!(
        learned.of_keep().f1 > 0.95 && learned.of_drop().f1 > 0.95,
        "{learned:?}"
    );

    let blind = LinearClassifier::new(266, MAX_POSITIONS, &device);
    let blind = trained_confusion(&train(blind, &texts, &config(200, 1, 5e-2)), &test);
    assert!(blind.of_keep().f1 < 0.65, "{blind:?}");
    // Four letters of ten are asked for: keeping half at random has precision 0.4 and recall 0.5.
    let random = confusion(&RandomScorer::new(Seed(4)), &test, 0.5);
    assert!((random.of_keep().f1 - 0.444).abs() < 0.06, "{random:?}");
}

#[test]
fn a_blind_classifier_learns_what_the_letter_tells() {
    let device = Device::flex().autodiff();
    let model = LinearClassifier::new(266, MAX_POSITIONS, &device);
    let model = train(model, &fixed_letters(64, Seed(1)), &config(60, 2, 5e-2));
    let learned = trained_confusion(&model, &fixed_letters(32, Seed(2)));
    assert!(learned.of_keep().f1 > 0.99, "{learned:?}");
}

#[test]
fn the_same_seed_gives_the_same_losses_and_shards_change_only_rounding() {
    let device = Device::flex().autodiff();
    let train = examples(&asked_letters(40, Seed(1)));
    let losses = |n_shards: usize| {
        let mut losses = Vec::new();
        let settings = config(6, n_shards, 5e-3);
        let report = |_: usize, stats: &StepStats| {
            losses.push(stats.loss);
            Ok(())
        };
        train_compressor(
            longformer(&device),
            &train,
            &settings,
            &device,
            Seed(3),
            report,
        )
        .unwrap();
        losses
    };
    let two = losses(2);
    assert_eq!(two, losses(2));
    for (one, two) in losses(1).iter().zip(&two) {
        assert!((one - two).abs() < 1e-4, "{one} {two}");
    }
}

#[test]
fn data_without_both_classes_is_refused() {
    let device = Device::flex().autodiff();
    let mut train = examples(&asked_letters(2, Seed(1)));
    for example in &mut train {
        example.keep.fill(true);
    }
    for (examples, what) in [(&train[..], "tokens labeled drop"), (&[], "the compressor")] {
        let model = LinearClassifier::new(266, MAX_POSITIONS, &device);
        let settings = config(1, 1, 1e-3);
        let error = train_compressor(model, examples, &settings, &device, Seed(3), |_, _| Ok(()));
        assert_eq!(
            error.unwrap_err().to_string(),
            format!("no training data for {what}")
        );
    }
}

#[test]
fn quality_is_that_of_the_counts() {
    let mut confusion = KeepConfusion::default();
    confusion.add(
        &[1.0, 2.0, -1.0, 0.5, -2.0],
        &[true, true, true, false, false],
    );
    // Keep: 2 right, 1 wrong, 1 missed. Drop: 1 right, 1 wrong, 1 missed.
    let keep = confusion.of_keep();
    assert_eq!(
        [keep.precision, keep.recall, keep.f1],
        [2.0 / 3.0, 2.0 / 3.0, 4.0 / 6.0]
    );
    assert_eq!(confusion.of_drop().f1, 0.5);
    assert_eq!(KeepConfusion::default().of_keep().f1, 0.0);
}
