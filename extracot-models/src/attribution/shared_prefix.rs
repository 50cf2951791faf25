//! Log-probabilities of the ends of sequences that begin alike: what they share is computed once.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::score::{check_vocabulary, ids_tensor, read_logprobs};
use crate::{CausalLm, KvCache, ModelError, RaggedBatch};

/// A sequence whose last tokens are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TailRow {
    /// All tokens: at least one before the targets.
    pub(super) token_ids: Vec<u32>,
    /// The last so many tokens are the targets; at least one.
    pub(super) n_targets: usize,
}

impl TailRow {
    /// Index of the token that predicts the first target.
    fn first_predictor(&self) -> usize {
        self.token_ids.len() - self.n_targets - 1
    }

    /// The tokens to feed behind the first `start`: the last target predicts nothing.
    fn fed_from(&self, start: usize) -> &[u32] {
        &self.token_ids[start..self.token_ids.len() - 1]
    }

    fn targets(&self) -> &[u32] {
        &self.token_ids[self.first_predictor() + 1..]
    }
}

/// What the model says of some rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TailScores {
    /// Log-probability of each row's targets together, in nats.
    pub(super) logprobs: Vec<f64>,
    /// Calls of the model.
    pub(super) n_calls: usize,
    /// Tokens that went through it, padding included.
    pub(super) n_tokens: usize,
}

/// Scores the ends of `rows`, which begin like the first of them.
///
/// One cache follows the first row. The others are ordered by how far they agree with it; a few at a
/// time take a copy of the cache from where the first of them leaves it, and only what follows is
/// computed for them, padded on the right. Agreement is that of token ids, so the result is that of
/// whole rows whatever the tokenizer joins.
///
/// # Units
///
/// `batch_tokens`: tokens computed together, padding included; one row at least.
///
/// # Errors
///
/// [`ModelError::TokenId`], [`ModelError::Device`] and [`ModelError::NonFiniteLogits`], with `id`.
pub(super) fn tail_logprobs<M: CausalLm>(
    (model, device): (&M, &Device),
    id: &str,
    rows: &[TailRow],
    batch_tokens: usize,
) -> Result<TailScores, ModelError> {
    for row in rows {
        check_vocabulary(model, id, &row.token_ids)?;
    }
    let base = rows.first().map_or(&[][..], |row| &row.token_ids);
    let shared: Vec<usize> = rows
        .iter()
        .map(|row| n_equal(base, &row.token_ids).min(row.first_predictor()))
        .collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row_idx| shared[*row_idx]);
    let n_longest = rows.iter().map(|row| row.token_ids.len()).max();

    let mut scores = TailScores {
        logprobs: vec![0.0; rows.len()],
        n_calls: 0,
        n_tokens: 0,
    };
    let mut cache = model.new_cache(1, device);
    let mut rest = order.as_slice();
    while let Some(first) = rest.first() {
        let start = shared[*first];
        let n_shared_new = start - cache.n_slots();
        if n_shared_new > 0 {
            let token_ids = ids_tensor(&base[cache.n_slots()..start], [1, n_shared_new], device);
            model.hidden_after(token_ids, &unpadded(1), &mut cache);
            scores.n_calls += 1;
            scores.n_tokens += n_shared_new;
        }
        let n_ahead = n_longest.unwrap_or(0) - start;
        let n_rows = (batch_tokens / n_ahead).clamp(1, rest.len());
        let (group, later) = rest.split_at(n_rows);
        let members: Vec<&TailRow> = group.iter().map(|row_idx| &rows[*row_idx]).collect();
        let batch = Continuations::collate(&members, start);
        scores.n_calls += 1;
        scores.n_tokens += batch.token_ids.len();
        let logprobs = batch.logprobs(model, cache.clone(), device)?;
        for ((row_idx, row), logprobs) in group.iter().zip(members).zip(logprobs) {
            if let Some(target_idx) = logprobs.iter().position(|value| !value.is_finite()) {
                return Err(ModelError::NonFiniteLogits {
                    prompt_id: id.to_owned(),
                    position: row.first_predictor() + target_idx,
                });
            }
            scores.logprobs[*row_idx] = logprobs.into_iter().map(f64::from).sum();
        }
        rest = later;
    }
    Ok(scores)
}

/// Tokens with which both begin.
fn n_equal(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn unpadded(n_rows: usize) -> RaggedBatch {
    RaggedBatch {
        n_pads: vec![0; n_rows],
    }
}

/// What follows a cache, row by row, padded on the right.
struct Continuations<'a> {
    /// `n_rows * n_fed`
    token_ids: Vec<u32>,
    n_fed: usize,
    /// Flat index of the position that predicts each target.
    predictors: Vec<i32>,
    /// The targets of each row.
    targets: Vec<&'a [u32]>,
}

impl<'a> Continuations<'a> {
    /// The tokens of `rows` from `start` on, which lies before every target's predictor or on it.
    fn collate(rows: &[&'a TailRow], start: usize) -> Self {
        let n_fed = rows.iter().map(|row| row.fed_from(start).len()).max();
        let n_fed = n_fed.unwrap_or(0);
        let mut token_ids = vec![0; rows.len() * n_fed];
        let mut predictors = Vec::new();
        for (idx, row) in rows.iter().enumerate() {
            let fed = row.fed_from(start);
            token_ids[idx * n_fed..idx * n_fed + fed.len()].copy_from_slice(fed);
            let first = idx * n_fed + row.first_predictor() - start;
            predictors.extend((first..first + row.n_targets).map(|at| at as i32));
        }
        Self {
            token_ids,
            n_fed,
            predictors,
            targets: rows.iter().map(|row| row.targets()).collect(),
        }
    }

    /// Log-probabilities of the targets, row by row; `cache` has one row.
    fn logprobs<M: CausalLm>(
        &self,
        model: &M,
        cache: KvCache,
        device: &Device,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let n_rows = self.targets.len();
        let mut cache = cache.select_rows(&index(vec![0; n_rows], device));
        let token_ids = ids_tensor(&self.token_ids, [n_rows, self.n_fed], device);
        let hidden = model.hidden_after(token_ids, &unpadded(n_rows), &mut cache);
        let hidden = hidden.flatten::<2>(0, 1); // [n_rows * n_fed, d_model]
        let predictors = hidden.select(0, index(self.predictors.clone(), device));
        let mut flat = read_logprobs(model, predictors, &self.targets.concat())?.into_iter();
        let of_row = |targets: &&[u32]| flat.by_ref().take(targets.len()).collect();
        Ok(self.targets.iter().map(of_row).collect())
    }
}

fn index(places: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let n_places = places.len();
    Tensor::from_data(TensorData::new(places, [n_places]), (device, DType::I32))
}

#[cfg(test)]
mod tests {
    use extracot_core::Seed;

    use super::*;
    use crate::init::randomize;
    use crate::score::score_tokens;
    use crate::{Decoder, DecoderConfig, DecoderSize};

    fn decoder(device: &Device) -> Decoder {
        let size = DecoderSize {
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 4,
            max_position_embeddings: 256,
            rope_theta: 10_000.0,
        };
        let config = DecoderConfig::qwen3(size, 40);
        randomize(Decoder::new(&config, device), 0.5, 0.5, Seed(3))
    }

    fn row(token_ids: &[u32], n_targets: usize) -> TailRow {
        TailRow {
            token_ids: token_ids.to_vec(),
            n_targets,
        }
    }

    #[test]
    fn scores_are_those_of_whole_rows_for_any_batch() {
        let device = Device::flex();
        let model = decoder(&device);
        let base: Vec<u32> = (0..90_u32).map(|t| (t * t + 3 * t) % 40).collect();
        let without = |at: usize| [&base[..at], &base[at + 1..]].concat();
        let rows = [
            row(&base, 3),
            row(&without(50), 3),
            row(&without(2), 3),
            row(&without(86), 3),
            // Nothing shared, longer, a single predictor, another number of targets.
            row(&[&[39, 38], &base[..], &base[..9]].concat(), 1),
            row(&base[..2], 1),
            row(&without(49), 7),
        ];
        let expected: Vec<f64> = rows
            .iter()
            .map(|row| {
                let scores = score_tokens(&model, "r", &row.token_ids, 1, &device).unwrap();
                let n_before = scores.token_logprobs.len() - row.n_targets;
                let targets = &scores.token_logprobs[n_before..];
                targets.iter().map(|value| f64::from(*value)).sum()
            })
            .collect();
        assert!((expected[0] - expected[1]).abs() > 1e-3, "nothing to see");
        for batch_tokens in [0, 100, 200, 350, 100_000] {
            let found = tail_logprobs((&model, &device), "r", &rows, batch_tokens).unwrap();
            for (found, expected) in found.logprobs.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5, "{found} {expected}");
            }
        }
    }

    #[test]
    fn the_shared_beginning_is_computed_once() {
        let device = Device::flex();
        let model = decoder(&device);
        let base: Vec<u32> = (0..40).collect();
        let without = |at: usize| [&base[..at], &base[at + 1..]].concat();
        let rows = [
            row(&base, 1),
            row(&without(10), 1),
            row(&without(30), 1),
            row(&without(20), 1),
        ];
        // Rows one by one: 38 - 10, 38 - 20, 38 - 30 tokens and 1 of the whole row, which is the last;
        // the first row itself up to token 38 once.
        let found = tail_logprobs((&model, &device), "r", &rows, 1).unwrap();
        assert_eq!((found.n_calls, found.n_tokens), (8, 28 + 18 + 8 + 1 + 38));
        // All together behind ten tokens: four rows of 29.
        let found = tail_logprobs((&model, &device), "r", &rows, 1000).unwrap();
        assert_eq!((found.n_calls, found.n_tokens), (2, 10 + 4 * 29));
    }

    #[test]
    fn a_token_that_the_model_does_not_have_is_refused() {
        let device = Device::flex();
        let rows = [row(&[1, 2, 40], 1)];
        match tail_logprobs((&decoder(&device), &device), "r", &rows, 1) {
            Err(ModelError::TokenId { token_id, .. }) => assert_eq!(token_id, 40),
            other => panic!("{other:?}"),
        }
    }
}
