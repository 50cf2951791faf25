use burn::module::Module;
use burn::optim::GradientsAccumulator;
use extracot_models::{BigramLm, Decoder};

use super::*;
use crate::batch::Sequence;
use crate::batch::testing::{assert_close, decoder, flat};

/// Prompts and completions of ragged lengths; two rows have nothing to learn.
fn rows() -> Vec<(Vec<u32>, Vec<u32>)> {
    let ids = |n: u32, salt: u32| (0..n).map(|t| (t * t + 7 * salt + t) % 40).collect();
    let lengths = [
        (5, 3),
        (1, 9),
        (12, 0),
        (70, 6),
        (2, 1),
        (9, 20),
        (3, 0),
        (4, 4),
    ];
    let row = |(idx, (n_prompt, n_completion))| {
        let salt = idx as u32;
        (ids(n_prompt, salt), ids(n_completion, salt + 3))
    };
    lengths.into_iter().enumerate().map(row).collect()
}

fn sequences(rows: &[(Vec<u32>, Vec<u32>)]) -> Vec<Sequence<'_>> {
    let sequence = |(prompt_ids, completion_ids)| Sequence {
        prompt_ids,
        completion_ids,
    };
    rows.iter().map(|(p, c)| sequence((p, c))).collect()
}

/// Completion tokens of [`rows`].
const N_TOTAL: usize = 43;

fn results(model: &Decoder, batch: &TokenBatch, chunk: usize, device: &Device) -> (f64, Vec<f32>) {
    let found = completion_loss(model, batch, N_TOTAL, NonZeroUsize::new(chunk), device);
    (found.loss, flat(&found.grads, model))
}

#[test]
fn chunks_give_the_loss_and_the_gradients_of_all_logits_at_once() {
    let all = rows();
    let batch = TokenBatch::collate(&sequences(&all));
    assert_eq!(batch.n_targets(), N_TOTAL);
    let flex = Device::flex().autodiff();
    for device in [flex.clone(), flex.gradient_checkpointing()] {
        for is_tied in [true, false] {
            let model = decoder(is_tied, &device);
            let (loss, gradient) = results(&model, &batch, 0, &device);
            for chunk in [1, 5, 43, 1000] {
                let (found, by_chunk) = results(&model, &batch, chunk, &device);
                assert!((found - loss).abs() < 1e-5, "{chunk}: {found} {loss}");
                assert_close(&by_chunk, &gradient, 1e-5);
            }
        }
    }
}

#[test]
fn one_by_eight_eight_by_one_and_packed_rows_give_one_gradient() {
    let device = Device::flex().autodiff();
    let model = decoder(true, &device);
    let all = rows();
    let sequences = sequences(&all);
    let (loss, gradient) = results(&model, &TokenBatch::collate(&sequences), 0, &device);

    let mut one_by_one = GradientsAccumulator::new();
    let mut sum = 0.0;
    for sequence in &sequences {
        let batch = TokenBatch::collate(std::slice::from_ref(sequence));
        let found = completion_loss(&model, &batch, N_TOTAL, None, &device);
        sum += found.loss;
        one_by_one.accumulate(&model, found.grads);
    }
    assert!((sum - loss).abs() < 1e-6, "{sum} {loss}");
    assert_close(&flat(&one_by_one.grads(), &model), &gradient, 1e-6);

    // Rows of 30: (5 3)(1 9)(2 1)(4 4) share one, the row of 75 tokens is longer than that.
    for row_tokens in [30, 75, 1000] {
        let row_tokens = NonZeroUsize::new(row_tokens).unwrap();
        let packed = TokenBatch::pack(&sequences, row_tokens);
        assert_eq!(packed.n_targets(), N_TOTAL);
        for chunk in [0, 7] {
            let (found, by_pack) = results(&model, &packed, chunk, &device);
            assert!((found - loss).abs() < 1e-6, "{found} {loss}");
            assert_close(&by_pack, &gradient, 1e-6);
        }
    }
}

#[test]
fn padding_may_hold_anything() {
    let device = Device::flex().autodiff();
    let model = decoder(true, &device);
    let all = rows();
    let clean = TokenBatch::collate(&sequences(&all));
    let mut dirty = clean.clone();
    // The longest row has 76 tokens, so 75 are fed.
    let n_fed: Vec<usize> = all
        .iter()
        .map(|(p, c)| (p.len() + c.len()).min(75))
        .collect();
    dirty.fill_padding(&n_fed, 39);
    assert_eq!(
        results(&model, &clean, 0, &device),
        results(&model, &dirty, 0, &device)
    );
}

#[test]
fn a_batch_without_a_loss_is_a_loss_of_zero() {
    let device = Device::flex().autodiff();
    let model = decoder(true, &device);
    let prompt_ids = [1, 2, 3];
    let row = Sequence {
        prompt_ids: &prompt_ids,
        completion_ids: &[],
    };
    for batch in [
        TokenBatch::collate(&[row, row]),
        TokenBatch::pack(&[row], NonZeroUsize::MIN),
    ] {
        for chunk in [None, NonZeroUsize::new(4)] {
            let found = completion_loss(&model, &batch, 1, chunk, &device);
            assert_eq!((found.loss, found.grads.len()), (0.0, 0));
        }
    }
}

#[test]
fn a_head_without_weights_and_a_frozen_model_are_no_trap() {
    let device = Device::flex().autodiff();
    let table: Vec<Vec<f32>> = (0..4).map(|i| vec![i as f32, 0.0, 1.0, 0.5]).collect();
    let model = BigramLm::new(&table, &device).train();
    let rows = [(vec![1], vec![2, 3, 0])];
    let batch = TokenBatch::collate(&sequences(&rows));
    let plain = completion_loss(&model, &batch, 3, None, &device);
    let chunked = completion_loss(&model, &batch, 3, NonZeroUsize::new(2), &device);
    assert!((plain.loss - chunked.loss).abs() < 1e-6);
    assert_close(
        &flat(&chunked.grads, &model),
        &flat(&plain.grads, &model),
        1e-6,
    );
    let frozen = decoder(true, &device).freeze();
    let found = completion_loss(&frozen, &batch, 3, NonZeroUsize::new(2), &device);
    assert!(found.loss > 0.0 && found.grads.is_empty());
}
