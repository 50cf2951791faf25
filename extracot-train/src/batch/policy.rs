//! Rollouts with their advantages, ready for an objective.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{Sequence, SharedPromptBatch, length_shards};

/// One rollout with what the update needs of it.
#[derive(Debug, Clone)]
pub struct PolicyRow {
    /// Prompt tokens.
    pub prompt_ids: Vec<u32>,
    /// Sampled tokens.
    pub completion_ids: Vec<u32>,
    /// Log-probabilities recorded while sampling.
    pub old_logprobs: Vec<f32>,
    /// Advantage of every token.
    pub advantage_main: f64,
    /// Advantage of the first token's control head.
    pub advantage_control: f64,
}

/// Rollouts as tensors over their action tokens, listed flat without padding.
#[derive(Debug, Clone)]
pub struct PolicyBatch {
    /// The sequences.
    pub tokens: SharedPromptBatch,
    old_logprobs: Vec<f32>,
    ref_logprobs: Vec<f32>,
    advantages_main: Vec<f32>,
    advantages_control: Vec<f32>,
    /// Tokens of each rollout, in order.
    lengths: Vec<usize>,
    /// Action tokens of the whole update, over all shards: what token means divide by.
    pub n_tokens_total: usize,
    /// Rollouts of the whole update, over all shards.
    pub n_rollouts_total: usize,
}

/// The per-token inputs of an objective.
///
/// # Shapes
///
/// - all: `[n_tokens]`, row after row
#[derive(Debug, Clone)]
pub struct PolicyTensors {
    /// Recorded while sampling, in nats under the distribution that was sampled from.
    pub old_logprobs: Tensor<1>,
    /// Under the reference policy; absent if the objective needs none.
    pub ref_logprobs: Option<Tensor<1>>,
    /// The rollout's main advantage at each of its tokens.
    pub advantages_main: Tensor<1>,
    /// The rollout's control advantage at its first token, 0 elsewhere.
    pub advantages_control: Tensor<1>,
}

impl PolicyBatch {
    /// The rows in at most `n_shards` batches of completions of similar lengths.
    pub fn collate(rows: &[PolicyRow], n_shards: usize) -> Vec<Self> {
        let lengths: Vec<usize> = rows.iter().map(|row| row.completion_ids.len()).collect();
        let n_tokens_total = lengths.iter().sum();
        length_shards(&lengths, n_shards)
            .iter()
            .map(|shard| {
                let shard: Vec<&PolicyRow> = shard.iter().map(|&idx| &rows[idx]).collect();
                Self::shard(&shard, n_tokens_total, rows.len())
            })
            .collect()
    }

    fn shard(rows: &[&PolicyRow], n_tokens_total: usize, n_rollouts_total: usize) -> Self {
        let sequences: Vec<Sequence<'_>> = rows
            .iter()
            .map(|r| Sequence {
                prompt_ids: &r.prompt_ids,
                completion_ids: &r.completion_ids,
            })
            .collect();
        let per_token = |value: fn(&PolicyRow, usize) -> f32| -> Vec<f32> {
            rows.iter()
                .flat_map(|row| (0..row.completion_ids.len()).map(move |t| value(row, t)))
                .collect()
        };
        Self {
            tokens: SharedPromptBatch::collate(&sequences),
            old_logprobs: per_token(|row, t| row.old_logprobs[t]),
            ref_logprobs: Vec::new(),
            advantages_main: per_token(|row, _| row.advantage_main as f32),
            advantages_control: per_token(|row, t| match t {
                0 => row.advantage_control as f32,
                _ => 0.0,
            }),
            lengths: rows.iter().map(|row| row.completion_ids.len()).collect(),
            n_tokens_total,
            n_rollouts_total,
        }
    }

    /// A number for every token, from the tokens of its rollout and its place in it.
    ///
    /// # Shapes
    ///
    /// - output: `[n_tokens]`, row after row
    pub fn per_token(&self, device: &Device, value: impl Fn(usize, usize) -> f64) -> Tensor<1> {
        let of_rollout = |n: &usize| (0..*n).map(|t| value(*n, t) as f32).collect::<Vec<_>>();
        let values: Vec<f32> = self.lengths.iter().flat_map(of_rollout).collect();
        let data = TensorData::new(values, [self.old_logprobs.len()]);
        Tensor::from_data(data, (device, DType::F32))
    }

    /// The rollout's main advantage at each of its tokens: `[n_tokens]`.
    pub fn advantages_main(&self) -> &[f32] {
        &self.advantages_main
    }

    /// Recorded while sampling: `[n_tokens]`, in nats.
    pub fn old_logprobs(&self) -> &[f32] {
        &self.old_logprobs
    }

    /// Under the reference policy: `[n_tokens]`, in nats; empty before
    /// [`Self::set_ref_logprobs`].
    pub fn ref_logprobs(&self) -> &[f32] {
        &self.ref_logprobs
    }

    /// Sets what an objective with a divergence term needs.
    ///
    /// # Panics
    ///
    /// If there is not one value for each action token.
    pub fn set_ref_logprobs(&mut self, logprobs: Vec<f32>) {
        assert_eq!(logprobs.len(), self.old_logprobs.len(), "one per token");
        self.ref_logprobs = logprobs;
    }

    /// The per-token inputs on `device`.
    pub fn tensors(&self, device: &Device) -> PolicyTensors {
        let tensor = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [values.len()]);
            Tensor::<1>::from_data(data, (device, DType::F32))
        };
        PolicyTensors {
            old_logprobs: tensor(&self.old_logprobs),
            ref_logprobs: (!self.ref_logprobs.is_empty()).then(|| tensor(&self.ref_logprobs)),
            advantages_main: tensor(&self.advantages_main),
            advantages_control: tensor(&self.advantages_control),
        }
    }
}
