//! Batched decoding against itself and against the trainer's forward pass: what a rollout records is
//! what the policy update is computed from.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ops::Range;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use burn::tensor::Device;
use extracot_core::{
    FinishReason, Prompt, RolloutEngine, RolloutGroup, SamplingParams, Seed, Tokenizer,
};
use extracot_models::{Decoder, LocalEngine, StopRule};
use extracot_train::batch::{Sequence, SharedPromptBatch};

const VOCAB: usize = 50;
/// About every twentieth token ends a row, so that batches shrink on the way.
const STOP: u32 = 7;

fn decoder(device: &Device) -> Decoder {
    common::device::decoder(VOCAB, 0.3, device)
}

/// Prompts of 1 to 21 tokens.
fn prompts() -> Vec<Prompt> {
    (0..6)
        .map(|idx| Prompt {
            id: format!("p{idx}"),
            token_ids: (0..=4 * idx).map(|i| 1 + (i * i + 3 * idx) % 49).collect(),
        })
        .collect()
}

fn rollout(batch_rows: usize, n_workers: usize, params: &SamplingParams) -> Vec<RolloutGroup> {
    let device = Device::flex();
    let model = decoder(&device);
    let engine = LocalEngine {
        model: &model,
        device: &device,
        stop: StopRule::at(STOP),
        batch_rows,
        n_workers,
        progress: &|_, _| {},
    };
    engine.rollout(&prompts(), params, Seed(3)).unwrap()
}

fn params(temperature: f64) -> SamplingParams {
    SamplingParams::at(temperature, 3, 60)
}

fn ids(groups: &[RolloutGroup]) -> Vec<Vec<&[u32]>> {
    groups
        .iter()
        .map(|group| {
            let rollouts = group.rollouts.iter();
            rollouts
                .map(|rollout| rollout.token_ids.as_slice())
                .collect()
        })
        .collect()
}

#[test]
fn neither_the_batch_nor_the_number_of_workers_changes_a_sample() {
    for temperature in [0.0, 1.0] {
        let params = params(temperature);
        let alone = rollout(1, 1, &params);
        for (batch_rows, n_workers) in [(64, 1), (64, 2), (7, 2)] {
            let found = rollout(batch_rows, n_workers, &params);
            assert_eq!(
                ids(&found),
                ids(&alone),
                "{batch_rows} rows, {n_workers} workers"
            );
        }
    }
}

#[test]
fn workers_decode_side_by_side() {
    let device = Device::flex();
    let model = decoder(&device);
    let arrived = (Mutex::new(0), Condvar::new());
    // A worker that has decoded a batch waits for the other one to have decoded one too.
    let wait = |_, _| {
        let (count, changed) = &arrived;
        let mut count = count.lock().unwrap();
        *count += 1;
        changed.notify_all();
        let patience = Duration::from_secs(60);
        let waited = changed.wait_timeout_while(count, patience, |count| *count < 2);
        assert!(
            !waited.unwrap().1.timed_out(),
            "one worker blocks the other"
        );
    };
    let engine = LocalEngine {
        model: &model,
        device: &device,
        stop: StopRule::at(STOP),
        batch_rows: 9,
        n_workers: 2,
        progress: &wait,
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2);
    let groups = pool
        .build()
        .unwrap()
        .install(|| engine.rollout(&prompts(), &params(1.0), Seed(3)));
    groups.unwrap();
}

#[test]
fn rows_end_at_the_stop_token_or_at_the_limit_and_groups_keep_their_prompts() {
    let groups = rollout(64, 2, &params(1.0));
    let rollouts: Vec<_> = groups.iter().flat_map(|group| &group.rollouts).collect();
    let ends = |finish| rollouts.iter().filter(|r| r.finish == finish).count();
    let (ended, cut) = (ends(FinishReason::EndToken), ends(FinishReason::MaxTokens));
    assert!(ended > 3 && ended + cut == 18, "{ended} ended, {cut} cut");
    for rollout in &rollouts {
        let n_stops = rollout.token_ids.iter().filter(|id| **id == STOP).count();
        let is_ended = rollout.finish == FinishReason::EndToken;
        assert_eq!(n_stops, usize::from(is_ended));
        assert_eq!(rollout.token_ids.last() == Some(&STOP), is_ended);
        assert!(is_ended || rollout.token_ids.len() == 60);
    }
    for (group, prompt) in groups.iter().zip(prompts()) {
        assert_eq!(group.prompt, prompt);
        let order: Vec<_> = group.rollouts.iter().map(|r| r.sample_idx).collect();
        assert_eq!(order, [0, 1, 2]);
        assert_ne!(group.rollouts[0].token_ids, group.rollouts[1].token_ids);
    }
}

#[test]
fn a_row_ends_with_the_token_that_completes_a_stop_string() {
    /// Every id is a letter.
    struct Letters;
    impl Tokenizer for Letters {
        fn encode(&self, text: &str) -> Vec<u32> {
            text.bytes().map(|byte| u32::from(byte - b'A')).collect()
        }
        fn encode_spans(&self, text: &str) -> Vec<(u32, Range<usize>)> {
            let spans = (0..text.len()).map(|at| at..at + 1);
            self.encode(text).into_iter().zip(spans).collect()
        }
        fn decode(&self, ids: &[u32]) -> String {
            let letter = |id: &u32| char::from(b'A' + *id as u8);
            ids.iter().map(letter).collect()
        }
        fn token_id(&self, _token: &str) -> Option<u32> {
            None
        }
    }
    let device = Device::flex();
    let model = decoder(&device);
    let rollout = |stop: StopRule<'_>| {
        let engine = LocalEngine {
            model: &model,
            device: &device,
            stop,
            batch_rows: 64,
            n_workers: 1,
            progress: &|_, _| {},
        };
        engine.rollout(&prompts(), &params(1.0), Seed(3)).unwrap()
    };
    let free = rollout(StopRule::default());
    let text = Letters.decode(&free[0].rollouts[0].token_ids);
    assert_eq!(text.len(), 60);
    // What stands in the middle of one sample ends it there, and others only if they have it.
    let strings = [text[20..23].to_owned(), "no such text".to_owned()];
    let first = text.find(&strings[0]).unwrap() + 3;
    let stopped = rollout(StopRule {
        ids: vec![],
        strings: Some((&strings, &Letters)),
    });
    let sample = &stopped[0].rollouts[0];
    assert_eq!(sample.finish, FinishReason::StopString);
    assert_eq!(sample.token_ids, free[0].rollouts[0].token_ids[..first]);
    let others = free.iter().zip(&stopped).skip(1);
    for (free, stopped) in others.flat_map(|(a, b)| a.rollouts.iter().zip(&b.rollouts)) {
        let has_it = Letters.decode(&free.token_ids).contains(&strings[0]);
        assert_eq!(stopped.finish == FinishReason::StopString, has_it);
    }
}

#[test]
fn recorded_log_probabilities_are_those_of_the_trainer_at_every_temperature() {
    let device = Device::flex();
    let model = decoder(&device);
    let mut at_one = vec![];
    for temperature in [1.0, 0.5, 1.3] {
        let groups = rollout(64, 2, &params(temperature));
        let sequences: Vec<Sequence<'_>> = groups
            .iter()
            .flat_map(|group| {
                group.rollouts.iter().map(|rollout| Sequence {
                    prompt_ids: &group.prompt.token_ids,
                    completion_ids: &rollout.token_ids,
                })
            })
            .collect();
        let batch = SharedPromptBatch::collate(&sequences);
        let computed = |temperature: f64| -> Vec<f32> {
            let logprobs = batch.logprobs(&model, temperature, &device);
            logprobs.into_data().iter::<f32>().collect()
        };
        let recorded = groups.iter().flat_map(|group| &group.rollouts);
        let recorded: Vec<f32> = recorded.flat_map(|r| r.logprobs.clone()).collect();
        assert_eq!(recorded.len(), batch.n_targets());
        let difference = |computed: &[f32]| {
            let pairs = recorded.iter().zip(computed);
            pairs.fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()))
        };
        let largest = difference(&computed(temperature));
        eprintln!("temperature {temperature}: largest difference {largest:.1e} nats");
        assert!(largest < 1e-4);
        // They differ from token to token, and from those at another temperature: the comparison is
        // not one of equal numbers.
        let (least, most) = (
            recorded.iter().copied().reduce(f32::min),
            recorded.iter().copied().reduce(f32::max),
        );
        assert!(most.unwrap() - least.unwrap() > 2.0);
        match temperature == 1.0 {
            true => at_one = recorded,
            false => {
                assert!(difference(&computed(1.0)) > 0.1);
                assert_ne!(recorded, at_one);
            }
        }
    }
}
