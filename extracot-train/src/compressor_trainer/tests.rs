use burn::module::Module;
use extracot_core::compress::RandomScorer;
use extracot_core::label::KeepLabels;
use extracot_core::{ByteTokenizer, KeepScorer, segment};
use extracot_models::init::randomize;
use extracot_models::weights::save_weights;
use extracot_models::{
    ClassifierConfig, ClassifierScorer, InputLayout, LinearClassifier, Longformer,
    LongformerConfig, LongformerSize, Pooling,
};
use rand::RngExt;

use super::*;
use crate::checkpoints::{Checkpoints, RunControl};
use crate::metrics::{MemorySink, MetricRow, MetricSink};

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
        pooling: Pooling::Mean,
    };
    confusion(&scorer, texts, 0.0)
}

fn config(n_steps: usize, n_shards: usize, learning_rate: f64) -> CompressorConfig {
    CompressorConfig {
        n_steps,
        batch_size: 16,
        n_shards,
        gamma: 1.0,
        class_weights: ClassWeights::Balanced,
        update: UpdateConfig {
            learning_rate,
            warmup_steps: 10,
            final_rate_share: 0.1,
            weight_decay: 0.0,
            decay_embeddings: true,
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
fn a_classifier_of_another_family_is_trained_the_same_way() {
    let json = serde_json::json!({
        "architectures": ["RobertaForTokenClassification"],
        "model_type": "roberta",
        "vocab_size": 266,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": MAX_POSITIONS + 2,
        "type_vocab_size": 1,
        "pad_token_id": 1,
        "layer_norm_eps": 1e-5,
        "hidden_act": "gelu",
    });
    let roberta = ClassifierConfig::Roberta(serde_json::from_value(json).unwrap());
    let model = roberta.init(&Device::flex().autodiff());
    let model = randomize(model, 1.0, 0.5, Seed(11));
    let test = fixed_letters(32, Seed(2));
    let before = trained_confusion(&model, &test).macro_f1();
    let settings = config(80, 2, 1e-2);
    let learned = train(model, &fixed_letters(64, Seed(1)), &settings);
    let learned = trained_confusion(&learned, &test);
    assert!(
        before < 0.8 && learned.macro_f1() > 0.95,
        "{before} {learned:?}"
    );
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

/// Keeps rows and is killed behind those of some steps.
struct KilledSink {
    rows: Vec<MetricRow>,
    n_steps: usize,
}

impl MetricSink for KilledSink {
    fn record(&mut self, row: &MetricRow) -> Result<(), CoreError> {
        if self.rows.len() == self.n_steps {
            let message = "killed".to_owned();
            return Err(CoreError::Scorer {
                what: "sink",
                message,
            });
        }
        self.rows.push(row.clone());
        Ok(())
    }
}

fn held_out_texts(texts: &[Text]) -> Vec<HeldOutText> {
    texts
        .iter()
        .map(|text| HeldOutText {
            question: text.question.clone(),
            cot: segment(&text.think),
            labels: KeepLabels::new(text.keep.clone()),
        })
        .collect()
}

fn held_out<'a>(texts: &'a [HeldOutText], device: &'a Device, patience: usize) -> HeldOut<'a> {
    HeldOut {
        texts,
        tokenizer: &ByteTokenizer,
        separator_id: SEPARATOR,
        device,
        config: HeldOutConfig {
            every: 3,
            patience,
            batch_size: 8,
        },
    }
}

fn weights(model: &Longformer) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    save_weights(model, &path).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let (device, plain) = (Device::flex().autodiff(), Device::flex());
    let examples = examples(&asked_letters(40, Seed(1)));
    let texts = held_out_texts(&asked_letters(10, Seed(2)));
    // Three steps are no whole round of 40 examples, and the warm-up ends in between.
    let config = config(17, 2, 5e-3);
    let never = || false;
    let run = |checkpoints: Option<&Checkpoints>, n_rows: usize| {
        let run = CompressorRun {
            examples: &examples,
            config: &config,
            device: &device,
            seed: Seed(3),
            held_out: Some(held_out(&texts, &plain, 0)),
            control: checkpoints.map(|checkpoints| RunControl {
                checkpoints,
                should_stop: &never,
            }),
        };
        let mut sink = KilledSink {
            rows: vec![],
            n_steps: n_rows,
        };
        let trained = run.train(longformer(&device), &mut sink);
        (trained, sink.rows)
    };
    let (whole, rows) = run(None, usize::MAX);
    let whole = whole.unwrap();
    assert_eq!(rows.len(), 17);
    // Looks after steps 3, 6, .., 15 and the last.
    let looks: Vec<usize> = rows
        .iter()
        .filter(|row| row.metrics.contains_key("held_out/macro_f1"))
        .map(|row| row.step + 1)
        .collect();
    assert_eq!(looks, [3, 6, 9, 12, 15, 17]);
    // Without held-out texts the steps are the same.
    let mut model = longformer(&device);
    let mut losses = vec![];
    model = train_compressor(model, &examples, &config, &device, Seed(3), |_, stats| {
        losses.push(stats.loss);
        Ok(())
    })
    .unwrap();
    let of_run: Vec<f64> = rows.iter().map(|row| row.metrics["optim/loss"]).collect();
    assert_eq!(losses, of_run);
    if whole.n_best_steps == 17 {
        assert!(weights(&model.valid()) == weights(&whole.model));
    }

    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints {
        folder: folder.path().join("checkpoints"),
        every: 5,
        keep_last: 1,
    };
    let n_kept_steps = || {
        let newest = checkpoints.find().unwrap().newest;
        newest.map_or(0, |state| state.n_steps)
    };
    // Killed before the first state, behind the second, and at once.
    for (n_rows, n_steps, n_saved) in [(4, 0, 0), (12, 0, 10), (0, 10, 10), (100, 10, 15)] {
        assert_eq!(n_kept_steps(), n_steps);
        let (trained, again) = run(Some(&checkpoints), n_rows);
        assert_eq!(again[..], rows[n_steps..][..again.len()]);
        assert_eq!(n_kept_steps(), n_saved);
        if let Ok(trained) = trained {
            assert_eq!(again.len(), 7);
            assert!(weights(&trained.model) == weights(&whole.model));
            assert_eq!(trained.n_best_steps, whole.n_best_steps);
            assert_eq!(trained.quality, whole.quality);
        } else {
            assert!(n_rows < 100);
        }
    }
    // One state is kept, and goes with the run.
    let n_states = std::fs::read_dir(&checkpoints.folder).unwrap().count();
    assert_eq!(n_states, 1);
    checkpoints.remove().unwrap();
    assert_eq!(n_kept_steps(), 0);
}

#[test]
fn a_run_stops_when_held_out_texts_get_no_better_and_gives_the_best_weights() {
    let (device, plain) = (Device::flex().autodiff(), Device::flex());
    let train = fixed_letters(40, Seed(1));
    let examples = examples(&train);
    let mut others = fixed_letters(10, Seed(2));
    let run = |texts: &[Text], patience: usize| {
        let texts = held_out_texts(texts);
        let run = CompressorRun {
            examples: &examples,
            config: &config(60, 2, 5e-2),
            device: &device,
            seed: Seed(3),
            held_out: Some(held_out(&texts, &plain, patience)),
            control: None,
        };
        let model = LinearClassifier::new(266, MAX_POSITIONS, &device);
        run.train(model, &mut MemorySink::default()).unwrap()
    };
    let learned = run(&others, 4);
    let quality = learned.quality.unwrap();
    assert!(quality.free.macro_f1() > 0.99, "{quality:?}");
    // Three letters of ten are to be kept: two fifths of the tokens hold them.
    assert!(quality.at_40.of_keep().recall > 0.85, "{quality:?}");
    // Once nothing can get better it stops, four looks of three steps later.
    assert_eq!(learned.n_steps, learned.n_best_steps + 12);
    let free = trained_confusion(&learned.model, &others);
    assert_eq!(free, quality.free, "the weights are those of the best look");

    // What is learned is wrong for these: no look is better than the first.
    for text in &mut others {
        text.keep.iter_mut().for_each(|keep| *keep = !*keep);
    }
    let misled = run(&others, 2);
    assert_eq!((misled.n_best_steps, misled.n_steps), (3, 9));
    assert_eq!(run(&others, 0).n_steps, 60);
}

#[test]
fn the_loss_without_focus_and_weights_is_cross_entropy() {
    let device = Device::flex().autodiff();
    let examples = examples(&fixed_letters(16, Seed(1)));
    let first_loss = |gamma: f64, class_weights: ClassWeights| {
        let settings = CompressorConfig {
            gamma,
            class_weights,
            ..config(1, 2, 1e-3)
        };
        let model = LinearClassifier::new(266, MAX_POSITIONS, &device);
        let mut loss = 0.0;
        let report = |_: usize, stats: &StepStats| {
            loss = stats.loss;
            Ok(())
        };
        train_compressor(model, &examples, &settings, &device, Seed(3), report).unwrap();
        loss
    };
    // Undecided logits: ln 2, times (1/2)^gamma. All 16 examples are one batch: the mean weight is 1.
    let ln_2 = std::f64::consts::LN_2;
    for class_weights in [ClassWeights::None, ClassWeights::Balanced] {
        assert!((first_loss(0.0, class_weights) - ln_2).abs() < 1e-5);
        assert!((first_loss(2.0, class_weights) - ln_2 / 4.0).abs() < 1e-5);
    }
}

#[test]
fn settings_without_sense_are_refused_by_key() {
    let (device, plain) = (Device::flex().autodiff(), Device::flex());
    let texts = fixed_letters(4, Seed(1));
    let examples = examples(&texts);
    let texts = held_out_texts(&texts);
    let good = config(2, 1, 1e-3);
    let error = |config: &CompressorConfig, held_out: HeldOut<'_>, every: usize| {
        let checkpoints = Checkpoints {
            folder: "absent".into(),
            every,
            keep_last: 1,
        };
        let run = CompressorRun {
            examples: &examples,
            config,
            device: &device,
            seed: Seed(3),
            held_out: Some(held_out),
            control: Some(RunControl {
                checkpoints: &checkpoints,
                should_stop: &|| false,
            }),
        };
        let model = LinearClassifier::new(266, MAX_POSITIONS, &device);
        let trained = run.train(model, &mut MemorySink::default());
        trained.map(|_| ()).unwrap_err().to_string()
    };
    for gamma in [-1.0, f64::NAN] {
        let bad = CompressorConfig { gamma, ..good };
        let found = error(&bad, held_out(&texts, &plain, 0), 1);
        assert!(found.starts_with("gamma = "), "{found}");
    }
    let mut never = held_out(&texts, &plain, 0);
    never.config.every = 0;
    let found = error(&good, never, 1);
    assert!(found.starts_with("held_out.every = 0"), "{found}");
    let found = error(&good, held_out(&[], &plain, 0), 1);
    assert!(found.contains("held-out texts"), "{found}");
    let found = error(&good, held_out(&texts, &plain, 0), 0);
    assert!(found.starts_with("checkpoint_every = 0"), "{found}");
}
