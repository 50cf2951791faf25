//! A small trained token classifier keeps the equations that carry the answer; a random scorer does
//! not (negative control).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::module::Module;
use burn::tensor::Device;
use experiments::word_problems::{Split, WordProblem, problem_set};
use extracot_core::atom::anchor::equations;
use extracot_core::compress::RandomScorer;
use extracot_core::label::{Annotator, SolutionAnnotator};
use extracot_core::{Compressor, KeepRatio, KeepScorer, Seed, Tokenizer, segment};
use extracot_models::HfTokenizer;
use extracot_models::init::randomize;
use extracot_models::longformer::{Longformer, LongformerConfig, LongformerSize};
use extracot_models::scorer::{ClassifierInput, ClassifierScorer, InputLayout, Pooling};
use extracot_train::compressor_trainer::{KeepExample, train_compressor};
use extracot_train::{ClassWeights, CompressorConfig, UpdateConfig};

const MAX_POSITIONS: usize = 512;
const SEED: Seed = Seed(11);

/// Share of the worked solutions' equations that survive at 20 percent.
fn kept_equations(scorer: impl KeepScorer, tokenizer: &HfTokenizer, items: &[WordProblem]) -> f64 {
    let compressor = Compressor::new(scorer, tokenizer);
    let (mut n_kept, mut n_all) = (0, 0);
    for item in items {
        let scored = compressor
            .score(&item.problem.question, &item.think)
            .unwrap();
        let kept = equations(&scored.at(KeepRatio::try_new(0.2).unwrap()).text);
        for equation in equations(item.problem.solution.as_ref().unwrap()) {
            n_all += 1;
            n_kept += usize::from(kept.contains(&equation));
        }
    }
    f64::from(n_kept as u32) / f64::from(n_all)
}

#[test]
fn the_trained_scorer_keeps_the_solution_and_the_random_one_does_not() {
    let device = Device::flex();
    let autodiff = device.clone().autodiff();
    let train = problem_set(Split::Train, 120, SEED).unwrap();
    let texts = train
        .iter()
        .flat_map(|item| [item.problem.question.as_str(), item.think.as_str()]);
    let tokenizer = HfTokenizer::train(texts, 768).unwrap();
    let separator_id = tokenizer.encode("\n")[0];
    let layout = InputLayout {
        tokenizer: &tokenizer,
        separator_id,
        max_positions: MAX_POSITIONS,
    };
    let examples: Vec<KeepExample> = train
        .iter()
        .map(|item| {
            let cot = segment(&item.think);
            let keep = SolutionAnnotator.annotate(&item.problem, &cot).unwrap();
            let mut inputs =
                ClassifierInput::windows(&item.problem.question, &cot, &layout).unwrap();
            KeepExample {
                input: inputs.remove(0),
                keep: keep.as_slice().to_vec(),
            }
        })
        .collect();
    let config = LongformerConfig::longformer(
        LongformerSize {
            hidden_size: 32,
            intermediate_size: 64,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            attention_window: 16,
            max_positions: MAX_POSITIONS,
        },
        tokenizer.vocab_size(),
    );
    let model = randomize(Longformer::new(&config, &autodiff), 1.0, 0.05, SEED);
    let settings = CompressorConfig {
        n_steps: 60,
        batch_size: 8,
        n_shards: 2,
        gamma: 2.0,
        class_weights: ClassWeights::Balanced,
        update: UpdateConfig {
            learning_rate: 5e-3,
            warmup_steps: 5,
            final_rate_share: 0.1,
            weight_decay: 0.0,
            decay_embeddings: true,
            beta_1: 0.9,
            beta_2: 0.98,
            clip_norm: 1.0,
        },
    };
    let model =
        train_compressor(model, &examples, &settings, &autodiff, SEED, |_, _| Ok(())).unwrap();
    let model = model.valid();
    let trained = ClassifierScorer {
        classifier: &model,
        device: &device,
        tokenizer: &tokenizer,
        separator_id,
        batch_size: 8,
        pooling: Pooling::Mean,
    };
    // Up to four steps the equations fit a fifth of the text.
    let held_out: Vec<WordProblem> = problem_set(Split::Develop, 60, SEED)
        .unwrap()
        .into_iter()
        .filter(|item| item.problem.difficulty.is_some_and(|steps| steps <= 4))
        .collect();
    let trained = kept_equations(trained, &tokenizer, &held_out);
    let random = kept_equations(RandomScorer::new(SEED), &tokenizer, &held_out);
    assert!(trained > 0.9, "trained {trained}");
    assert!(random < 0.4, "random {random}");
}
