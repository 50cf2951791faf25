//! What a run will take, from a config alone: before hours are lost to a process that is killed.

use std::fmt;
use std::num::NonZeroUsize;

use burn::tensor::DType;
use serde::Serialize;

use crate::DecoderConfig;
use crate::lora::LoraConfig;

/// Bytes of an f32.
const F32: u64 = 4;

/// What is done with a decoder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Workload {
    /// Decoding `rows` sequences together.
    Inference {
        /// Sequences decoded together.
        rows: usize,
        /// Longest prompt.
        prompt: usize,
        /// Longest prompt with its completion.
        positions: usize,
    },
    /// Supervised fine-tuning.
    Sft(TrainingRows),
    /// Reinforcement learning: rollouts and updates on them, with a frozen reference model.
    Policy(TrainingRows),
}

/// What a training step computes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingRows {
    /// Sequences per step.
    pub rows: usize,
    /// Longest sequence.
    pub positions: usize,
    /// Tokens that go through the blocks: `rows * positions`, or fewer where rows share their prompts.
    pub n_tokens: usize,
    /// Pieces that are computed side by side, each with gradients of its own.
    pub n_shards: usize,
    /// Tokens of a piece whose logits exist at a time; all of them without it.
    pub logits_chunk: Option<NonZeroUsize>,
    /// Adapters that are trained in place of the weights.
    pub lora: Option<LoraConfig>,
    /// Copies of the trained weights that are kept: those of the best look, and the average.
    pub n_copies: usize,
}

/// Bytes by what they are for, in f32, as if every row were as long as the longest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MemoryEstimate {
    /// Parameters, adapters included; trained ones twice with a reference model.
    pub weights: u64,
    /// One gradient per trained parameter and piece.
    pub gradients: u64,
    /// AdamW's two moments.
    pub optimizer: u64,
    /// What the backward pass needs of the forward pass, or the buffers of a prompt's first pass.
    pub activations: u64,
    /// Logits, their log-softmax and its gradient.
    pub logits: u64,
    /// Keys and values.
    pub kv_cache: u64,
    /// A state of training while it is written: weights, their copies and moments, twice.
    pub state: u64,
}

impl MemoryEstimate {
    /// The estimate of a workload.
    pub fn new(config: &DecoderConfig, workload: Workload) -> Self {
        let weights = F32 * n_params(config);
        let inference = |rows: usize, prompt: usize, positions: usize| {
            let n_tokens = rows as u64 * positions as u64;
            let kv_width = (config.num_key_value_heads * config.head_dim) as u64;
            Self {
                weights,
                // One layer at a time.
                activations: F32 * (rows * prompt) as u64 * activations_per_token(config, prompt),
                logits: 2 * F32 * rows as u64 * config.vocab_size as u64,
                kv_cache: 2 * F32 * n_tokens * kv_width * config.num_hidden_layers as u64,
                ..Self::default()
            }
        };
        let training = |of: &TrainingRows| {
            let n_tokens = of.n_tokens as u64;
            let n_layers = config.num_hidden_layers as u64;
            let n_shards = of.n_shards.clamp(1, of.rows.max(1)) as u64;
            let trained = F32 * n_trained(config, of.lora.as_ref());
            let n_logits = match of.logits_chunk {
                Some(chunk) => n_tokens.min(n_shards * chunk.get() as u64),
                None => n_tokens,
            };
            let saved = weights + F32 * of.lora.map_or(0, |lora| n_factors(config, &lora));
            let n_copies = of.n_copies as u64;
            let optimizer = 2 * trained;
            Self {
                weights: saved + n_copies * trained,
                gradients: n_shards * trained,
                optimizer,
                activations: F32
                    * (n_tokens * n_layers * activations_per_token(config, of.positions)
                        + n_shards * of.lora.map_or(0, |_| n_adapted(config))),
                logits: 3 * F32 * n_logits * config.vocab_size as u64,
                kv_cache: 0,
                state: 2 * ((1 + n_copies) * saved + optimizer),
            }
        };
        match workload {
            Workload::Inference {
                rows,
                prompt,
                positions,
            } => inference(rows, prompt, positions),
            Workload::Sft(of) => training(&of),
            // Rollouts and updates take turns.
            Workload::Policy(of) => {
                let update = training(&of);
                // Prompts and completions are two passes, each with the sums of weights and adapters.
                let n_shards = of.n_shards.clamp(1, of.rows.max(1)) as u64;
                let second_pass = n_shards * of.lora.map_or(0, |_| n_adapted(config));
                Self {
                    // What is not trained is shared with the reference.
                    weights: update.weights + F32 * n_trained(config, of.lora.as_ref()),
                    activations: update.activations + F32 * second_pass,
                    kv_cache: inference(of.rows, of.positions, of.positions).kv_cache,
                    ..update
                }
            }
        }
    }

    /// The same with weights and computation in another dtype; logits stay f32.
    #[must_use]
    pub fn in_dtype(self, dtype: DType) -> Self {
        let of = |bytes: u64| bytes * dtype.size() as u64 / F32;
        Self {
            weights: of(self.weights),
            gradients: of(self.gradients),
            optimizer: of(self.optimizer),
            activations: of(self.activations),
            logits: self.logits,
            kv_cache: of(self.kv_cache),
            state: of(self.state),
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        let Self {
            weights,
            gradients,
            optimizer,
            activations,
            logits,
            kv_cache,
            state,
        } = self;
        weights + gradients + optimizer + activations + logits + kv_cache + state
    }
}

impl fmt::Display for MemoryEstimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, bytes) in [
            ("weights", self.weights),
            ("gradients", self.gradients),
            ("optimizer", self.optimizer),
            ("activations", self.activations),
            ("logits", self.logits),
            ("kv cache", self.kv_cache),
            ("state", self.state),
            ("total", self.total()),
        ] {
            writeln!(f, "{name:<12} {:>9.3} GiB", gib(bytes))?;
        }
        Ok(())
    }
}

/// Bytes as GiB.
pub fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// Parameters of a decoder of this config.
pub fn n_params(config: &DecoderConfig) -> u64 {
    let d_model = config.hidden_size;
    let query = config.num_attention_heads * config.head_dim;
    let kv = config.num_key_value_heads * config.head_dim;
    let attention = 2 * d_model * query + 2 * d_model * kv;
    let qkv_bias = match config.has_qkv_bias() {
        true => query + 2 * kv,
        false => 0,
    };
    let output_bias = match config.attention_bias {
        true => d_model,
        false => 0,
    };
    let qk_norm = match config.has_qk_norm() {
        true => 2 * config.head_dim,
        false => 0,
    };
    let mlp = 3 * d_model * config.intermediate_size;
    let layer = attention + qkv_bias + output_bias + qk_norm + mlp + 2 * d_model;
    let tables = match config.tie_word_embeddings {
        true => 1,
        false => 2,
    };
    (tables * config.vocab_size * d_model + config.num_hidden_layers * layer + d_model) as u64
}

/// Parameters that training moves.
fn n_trained(config: &DecoderConfig, lora: Option<&LoraConfig>) -> u64 {
    let Some(lora) = lora else {
        return n_params(config);
    };
    let tables = match (lora.trains_embeddings, config.tie_word_embeddings) {
        (false, _) => 0,
        (true, true) => 1,
        (true, false) => 2,
    };
    n_factors(config, lora) + (tables * config.vocab_size * config.hidden_size) as u64
}

/// Weights that have an adapter: the sum of each with its adapter is kept for the backward pass.
fn n_adapted(config: &DecoderConfig) -> u64 {
    let (outer, inner) = (config.hidden_size, config.intermediate_size);
    let query = config.num_attention_heads * config.head_dim;
    let kv = config.num_key_value_heads * config.head_dim;
    let layer = 2 * outer * (query + kv) + 3 * outer * inner;
    (config.num_hidden_layers * layer) as u64
}

/// Parameters of the factors of all adapters.
fn n_factors(config: &DecoderConfig, lora: &LoraConfig) -> u64 {
    let (outer, inner) = (config.hidden_size, config.intermediate_size);
    let query = config.num_attention_heads * config.head_dim;
    let kv = config.num_key_value_heads * config.head_dim;
    let sides = 2 * (outer + query) + 2 * (outer + kv) + 3 * (outer + inner);
    (config.num_hidden_layers * lora.rank * sides) as u64
}

/// Values per token and layer that the backward pass holds, with the fused operations: inputs and outputs
/// of the norms, queries, keys and values, what attention gives, the gate's inputs and output, and per
/// query head a weight for each of `positions`.
fn activations_per_token(config: &DecoderConfig, positions: usize) -> u64 {
    let query = config.num_attention_heads * config.head_dim;
    let kv = config.num_key_value_heads * config.head_dim;
    let qk_norm = match config.has_qk_norm() {
        true => query + kv,
        false => 0,
    };
    let values = 4 * config.hidden_size
        + 2 * (query + kv)
        + qk_norm
        + 3 * config.intermediate_size
        + config.num_attention_heads * positions;
    values as u64
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::Device;

    use super::*;
    use crate::lora::attach_lora;
    use crate::{Decoder, DecoderSize};
    use extracot_core::Seed;

    fn config(changes: serde_json::Value) -> DecoderConfig {
        let size = DecoderSize {
            hidden_size: 24,
            intermediate_size: 40,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 8,
            max_position_embeddings: 64,
            rope_theta: 1e4,
        };
        let config = DecoderConfig::qwen3(size, 50);
        let mut keys = serde_json::to_value(config).unwrap();
        for (key, value) in changes.as_object().unwrap() {
            keys[key] = value.clone();
        }
        serde_json::from_value(keys).unwrap()
    }

    #[test]
    fn parameters_are_counted_as_the_decoder_has_them() {
        for changes in [
            serde_json::json!({}),
            serde_json::json!({"tie_word_embeddings": false}),
            serde_json::json!({"model_type": "qwen2"}),
            serde_json::json!({"model_type": "llama"}),
            serde_json::json!({"model_type": "llama", "attention_bias": true}),
        ] {
            let config = config(changes);
            let decoder = Decoder::new(&config, &Device::flex());
            assert_eq!(n_params(&config), decoder.num_params() as u64, "{config:?}");
        }
    }

    #[test]
    fn the_parts_are_what_the_shapes_say() {
        let config = config(serde_json::json!({}));
        let n = 4 * n_params(&config);
        let rows = 3;
        let found = MemoryEstimate::new(
            &config,
            Workload::Inference {
                rows,
                prompt: 10,
                positions: 20,
            },
        );
        // Keys and values of 2 layers with 2 heads of width 8, for 60 tokens.
        assert_eq!(found.kv_cache, 4 * 2 * 2 * 2 * 8 * 60);
        assert_eq!((found.weights, found.gradients, found.optimizer), (n, 0, 0));
        let of = TrainingRows {
            rows,
            positions: 20,
            n_tokens: rows * 20,
            n_shards: 1,
            logits_chunk: None,
            lora: None,
            n_copies: 0,
        };
        let sft = MemoryEstimate::new(&config, Workload::Sft(of));
        assert_eq!((sft.weights, sft.gradients, sft.optimizer), (n, n, 2 * n));
        // Weights and two moments, twice.
        assert_eq!(sft.state, 6 * n);
        // Three tables of 60 rows and 50 entries.
        assert_eq!(sft.logits, 4 * 3 * 60 * 50);
        let policy = MemoryEstimate::new(&config, Workload::Policy(of));
        assert_eq!(policy.total(), sft.total() + n + found.kv_cache);
    }

    #[test]
    fn adapters_are_counted_as_the_decoder_has_them() {
        let device = Device::flex().autodiff();
        for is_tied in [true, false] {
            let config = config(serde_json::json!({"tie_word_embeddings": is_tied}));
            for trains_embeddings in [true, false] {
                let lora = LoraConfig {
                    rank: 3,
                    alpha: 6.0,
                    trains_embeddings,
                };
                let model = Decoder::new(&config, &device).train();
                let n_before = model.num_params() as u64;
                let model = attach_lora(model, &lora, Seed(1)).unwrap();
                let n_added = model.num_params() as u64 - n_before;
                assert_eq!(n_factors(&config, &lora), n_added);
                let tables = (1 + u64::from(!is_tied)) * 50 * 24;
                let tables = if trains_embeddings { tables } else { 0 };
                assert_eq!(n_trained(&config, Some(&lora)), n_added + tables);
                let norms = 2 * (2 * 24 + 2 * 8) + 24;
                let all_tables = (1 + u64::from(!is_tied)) * 50 * 24;
                assert_eq!(n_adapted(&config) + norms + all_tables, n_before);
            }
        }
    }

    #[test]
    fn pieces_have_gradients_of_their_own_and_chunks_bound_the_logits() {
        let config = config(serde_json::json!({}));
        let of = TrainingRows {
            rows: 4,
            positions: 20,
            n_tokens: 80,
            n_shards: 2,
            logits_chunk: NonZeroUsize::new(8),
            lora: None,
            n_copies: 1,
        };
        let found = MemoryEstimate::new(&config, Workload::Sft(of));
        let n = 4 * n_params(&config);
        assert_eq!(found.gradients, 2 * n);
        // Weights and a copy; both and two moments, twice.
        assert_eq!((found.weights, found.state), (2 * n, 8 * n));
        // Two pieces of 8 rows and 50 entries, three times.
        assert_eq!(found.logits, 3 * 4 * 16 * 50);
    }
}
