//! Log-probabilities of given tokens.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use extracot_kernels::target_logprobs;

use crate::{CausalLm, ModelError};

/// Positions whose logits are computed together: they are as wide as the vocabulary.
const POSITIONS: usize = 128;

/// What a model says of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenScores {
    /// Log-probability of every token but the first, given those before it, in nats.
    pub token_logprobs: Vec<f32>,
    /// The most likely next tokens behind the last one with their logits, best first, the smaller id
    /// first among equals.
    pub last_top: Vec<(u32, f32)>,
}

/// Scores one sequence by teacher forcing.
///
/// # Errors
///
/// [`ModelError::Device`] if a result cannot be read, [`ModelError::EmptyPrompt`] and
/// [`ModelError::PromptTooLong`] for a sequence without a token or beyond the model's positions,
/// [`ModelError::NonFiniteLogits`] if the model computes no numbers.
pub fn score_tokens<M: CausalLm>(
    model: &M,
    id: &str,
    token_ids: &[u32],
    n_top: usize,
    device: &Device,
) -> Result<TokenScores, ModelError> {
    let n_tokens = token_ids.len();
    if n_tokens == 0 {
        let prompt_id = id.to_owned();
        return Err(ModelError::EmptyPrompt { prompt_id });
    }
    if n_tokens > model.max_positions() {
        return Err(ModelError::PromptTooLong {
            prompt_id: id.to_owned(),
            n_tokens,
            max_new_tokens: 0,
            max_positions: model.max_positions(),
        });
    }
    let hidden = model.hidden(ids_tensor(token_ids, [1, n_tokens], device));
    let hidden = hidden.flatten::<2>(0, 1); // [seq, d_model]
    let token_logprobs = read_logprobs(model, hidden.clone(), &token_ids[1..])?;
    let last = floats(model.head(hidden.slice_dim(0, n_tokens - 1..n_tokens)))?;
    let all = token_logprobs.iter().chain(&last);
    if let Some(position) = all.into_iter().position(|value| !value.is_finite()) {
        return Err(ModelError::NonFiniteLogits {
            prompt_id: id.to_owned(),
            position: position.min(n_tokens - 1),
        });
    }
    let mut order: Vec<u32> = (0..last.len() as u32).collect();
    order.sort_by(|a, b| last[*b as usize].total_cmp(&last[*a as usize]));
    order.truncate(n_top);
    Ok(TokenScores {
        token_logprobs,
        last_top: order
            .into_iter()
            .map(|id| (id, last[id as usize]))
            .collect(),
    })
}

/// Log-probabilities of `targets`, in nats, each behind the row of `hidden` that predicts it.
///
/// # Shapes
///
/// - `hidden`: `[at least one row per target, d_model]`
///
/// # Errors
///
/// [`ModelError::Device`] if a result cannot be read. Numbers that are not finite are given back.
pub(crate) fn read_logprobs<M: CausalLm>(
    model: &M,
    hidden: Tensor<2>,
    targets: &[u32],
) -> Result<Vec<f32>, ModelError> {
    let mut logprobs = Vec::with_capacity(targets.len());
    for (chunk_idx, chunk) in targets.chunks(POSITIONS).enumerate() {
        let start = chunk_idx * POSITIONS;
        let logits = model.head(hidden.clone().slice_dim(0, start..start + chunk.len()));
        let next: Vec<i32> = chunk.iter().map(|id| *id as i32).collect();
        logprobs.extend(floats(target_logprobs(logits, &next))?);
    }
    Ok(logprobs)
}

/// Fails for an id that the model has no row for.
///
/// # Errors
///
/// [`ModelError::TokenId`] names the first.
pub(crate) fn check_vocabulary<M: CausalLm>(
    model: &M,
    id: &str,
    token_ids: &[u32],
) -> Result<(), ModelError> {
    let vocab_size = model.vocab_size();
    let stranger = token_ids.iter().find(|id| **id as usize >= vocab_size);
    stranger.map_or(Ok(()), |token_id| {
        Err(ModelError::TokenId {
            prompt_id: id.to_owned(),
            token_id: *token_id,
            vocab_size,
        })
    })
}

/// Token ids as a tensor.
pub(crate) fn ids_tensor(ids: &[u32], shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
    Tensor::from_data(TensorData::new(ids, shape), (device, DType::I32))
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ModelError> {
    let device_error = |message: String| ModelError::Device { message };
    tensor
        .try_into_data()
        .map_err(|error| device_error(error.to_string()))?
        .try_to_vec::<f32>()
        .map_err(|error| device_error(format!("{error:?}")))
}
