//! Sliding-window attention with global tokens, of linear cost in the length.
//!
//! Queries are cut into blocks at least as long as half a window; the keys of a block are those of
//! the block and its two neighbors. The global tokens are a second, small set of keys.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use crate::ClassifierBatch;
use crate::encoder::{EncoderSize, SelfAttention, bias, linear, padding_bias};
use extracot_kernels::MASKED;

/// The projections of one block: one set for the window, one for global tokens.
#[derive(Module, Debug)]
pub(super) struct LongformerSelfAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    query_global: Linear,
    key_global: Linear,
    value_global: Linear,
    n_heads: usize,
}

/// Shorter blocks make the products too small, longer ones compute more that is masked.
const MIN_BLOCK: usize = 16;

/// Who sees whom in one batch, for blocks of one window.
#[derive(Debug, Clone)]
pub(super) struct AttentionPattern {
    /// Queries of a block.
    block: usize,
    n_blocks: usize,
    /// `[batch, n_blocks, 1, block, n_keys]`: local tokens see their window, global tokens excepted:
    /// they are seen by way of `global`.
    band_bias: Tensor<5>,
    global: Option<GlobalPattern>,
}

/// The part of the pattern that is the same for every window.
#[derive(Debug, Clone)]
pub(super) struct GlobalPattern {
    /// Tokens up to the last global one of the batch. The global attention is computed for all of
    /// them: global tokens come first, so this is little more than needed, and no gather.
    n_head_tokens: usize,
    /// `[batch, n_head_tokens, 1, 1]`: which of them are global.
    is_global: Tensor<4, Bool>,
    /// `[batch, 1, 1, n_head_tokens]`: all tokens see the global ones.
    bias_to_global: Tensor<4>,
    /// `[batch, 1, 1, seq]`: global tokens see all real ones.
    bias_from_global: Tensor<4>,
}

impl GlobalPattern {
    /// The global tokens of a batch; none if there are none.
    pub(super) fn new(batch: &ClassifierBatch, device: &Device) -> Option<Self> {
        let n_rows = batch.batch();
        let last = |row| {
            batch
                .is_global(row)
                .iter()
                .rposition(|is_global| *is_global)
        };
        let n_head_tokens = (0..n_rows).filter_map(last).max()? + 1;
        let is_global: Vec<bool> = (0..n_rows)
            .flat_map(|row| batch.is_global(row)[..n_head_tokens].to_vec())
            .collect();
        let to_global: Vec<f32> = is_global.iter().map(|is_global| bias(*is_global)).collect();
        let to_global = TensorData::new(to_global, [n_rows, 1, 1, n_head_tokens]);
        let is_global = TensorData::new(is_global, [n_rows, n_head_tokens, 1, 1]);
        Some(Self {
            n_head_tokens,
            is_global: Tensor::from_data(is_global, device),
            bias_to_global: Tensor::from_data(to_global, (device, DType::F32)),
            bias_from_global: padding_bias(batch, device),
        })
    }
}

impl AttentionPattern {
    /// The pattern of one window: a token sees half of it on each side.
    pub(super) fn new(
        batch: &ClassifierBatch,
        window: usize,
        global: Option<&GlobalPattern>,
        device: &Device,
    ) -> Self {
        Self::with_block(batch, window, (window / 2).max(MIN_BLOCK), global, device)
    }

    /// `block` is at least half a window.
    fn with_block(
        batch: &ClassifierBatch,
        window: usize,
        block: usize,
        global: Option<&GlobalPattern>,
        device: &Device,
    ) -> Self {
        let (seq, reach) = (batch.seq(), window / 2);
        // A block with its neighbors that is no shorter than the text saves nothing.
        let block = if 3 * block < seq { block } else { seq };
        let n_blocks = seq.div_ceil(block);
        // Keys of a block and the first of them, counted from the block's first query.
        let (n_keys, n_before) = if n_blocks == 1 {
            (block, 0)
        } else {
            (3 * block, block)
        };
        let mut values = vec![MASKED; batch.batch() * n_blocks * block * n_keys];
        for (query_idx, keys) in values.chunks_exact_mut(n_keys).enumerate() {
            let (row, query) = (
                query_idx / (n_blocks * block),
                query_idx % (n_blocks * block),
            );
            let n_tokens = batch.n_tokens()[row];
            let is_global = batch.is_global(row);
            let block_start = query / block * block;
            for key in query.saturating_sub(reach)..(query + reach + 1).min(n_tokens) {
                keys[key + n_before - block_start] = bias(!is_global[key]);
            }
        }
        let values = TensorData::new(values, [batch.batch(), n_blocks, 1, block, n_keys]);
        Self {
            block,
            n_blocks,
            band_bias: Tensor::from_data(values, (device, DType::F32)),
            global: global.cloned(),
        }
    }

    /// Keys or values block by block, each with its neighbors.
    ///
    /// # Shapes
    ///
    /// - `y`: `[batch, seq, n_heads, width]`; output: `[batch, n_blocks, n_keys, n_heads, width]`
    fn with_neighbors(&self, y: Tensor<4>) -> Tensor<5> {
        let [batch, seq, n_heads, width] = y.dims();
        if self.n_blocks == 1 {
            return y.unsqueeze_dim(1);
        }
        let n_padded = self.n_blocks * self.block;
        let zeros = |n_tokens: usize| {
            Tensor::zeros([batch, n_tokens, n_heads, width], (&y.device(), DType::F32))
        };
        let (before, after) = (zeros(self.block), zeros(n_padded - seq + self.block));
        let padded = Tensor::cat(vec![before, y, after], 1);
        let shifted = (0..3).map(|shift| {
            let blocks = padded.clone().narrow(1, shift * self.block, n_padded);
            blocks.reshape([batch, self.n_blocks, self.block, n_heads, width])
        });
        Tensor::cat(shifted.collect(), 2)
    }

    /// Queries block by block.
    ///
    /// # Shapes
    ///
    /// - `q`: `[batch, seq, n_heads, width]`; output: `[batch, n_blocks, block, n_heads, width]`
    fn in_blocks(&self, q: Tensor<4>) -> Tensor<5> {
        let [batch, seq, n_heads, width] = q.dims();
        let n_pad = self.n_blocks * self.block - seq;
        let zeros = Tensor::zeros([batch, n_pad, n_heads, width], (&q.device(), DType::F32));
        let q = if n_pad == 0 {
            q
        } else {
            Tensor::cat(vec![q, zeros], 1)
        };
        q.reshape([batch, self.n_blocks, self.block, n_heads, width])
    }
}

/// Values mixed by the exponentials of some scores, before the division by their sum, which is the
/// last channel: what several sets of keys give can be added.
struct Mixture {
    /// `[batch, n_queries, n_heads, head_dim + 1]`
    sums: Tensor<4>,
    /// `[batch, n_queries, n_heads, 1]`: the exponentials are relative to this.
    largest: Tensor<4>,
}

impl Mixture {
    /// Touches the scores four times forward and once backward: bias, maximum, difference and
    /// exponential. What is left of a softmax happens on the mixed values, which are smaller.
    ///
    /// # Shapes
    ///
    /// - `scores`: `[.., n_queries, n_keys]`; `values`: `[.., n_keys, head_dim + 1]`; `bias` spreads
    ///   over the scores
    /// - output: `[.., n_queries, head_dim + 1]`, `[.., n_queries, 1]`
    fn sums<const D: usize>(
        scores: Tensor<D>,
        bias: Tensor<D>,
        values: Tensor<D>,
    ) -> (Tensor<D>, Tensor<D>) {
        let scores = scores + bias;
        let largest = scores.clone().detach().max_dim(D - 1);
        ((scores - largest.clone()).exp().matmul(values), largest)
    }

    /// # Shapes
    ///
    /// - `q`: `[batch, n_queries, n_heads, head_dim]`; `k`, `v`: `[batch, n_keys, n_heads, ..]`
    /// - `bias`: `[batch, 1, 1, n_keys]`
    fn over_all(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, bias: Tensor<4>) -> Self {
        let scores = q.swap_dims(1, 2).matmul(k.permute([0, 2, 3, 1]));
        let (sums, largest) = Self::sums(scores, bias, v.swap_dims(1, 2));
        Self {
            sums: sums.swap_dims(1, 2),
            largest: largest.swap_dims(1, 2),
        }
    }

    /// # Shapes
    ///
    /// - `q`, `k`, `v`: `[batch, seq, n_heads, ..]`
    fn over_band(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, pattern: &AttentionPattern) -> Self {
        let [batch, seq, n_heads, _] = q.dims();
        let q = pattern.in_blocks(q).swap_dims(2, 3); // [batch, n_blocks, n_heads, block, head_dim]
        let k = pattern.with_neighbors(k).permute([0, 1, 3, 4, 2]);
        let v = pattern.with_neighbors(v).swap_dims(2, 3);
        let (sums, largest) = Self::sums(q.matmul(k), pattern.band_bias.clone(), v);
        let flat = |y: Tensor<5>| {
            let width = y.dims()[4];
            let n_padded = pattern.n_blocks * pattern.block;
            y.swap_dims(2, 3)
                .reshape([batch, n_padded, n_heads, width])
                .narrow(1, 0, seq)
        };
        Self {
            sums: flat(sums),
            largest: flat(largest),
        }
    }

    fn plus(self, other: Self) -> Self {
        let largest = self.largest.clone().max_pair(other.largest.clone());
        let rescaled = |part: Self| part.sums * (part.largest - largest.clone()).exp();
        Self {
            sums: rescaled(self) + rescaled(other),
            largest,
        }
    }

    /// # Shapes
    ///
    /// - output: `[batch, n_queries, n_heads, head_dim]`
    fn normalized(self) -> Tensor<4> {
        let head_dim = self.sums.dims()[3] - 1;
        let sum = self.sums.clone().narrow(3, head_dim, 1);
        self.sums.narrow(3, 0, head_dim) / sum
    }
}

impl SelfAttention for LongformerSelfAttention {
    type Pattern = AttentionPattern;

    fn new(size: &EncoderSize, device: &Device) -> Self {
        let projection = || linear(size.hidden_size, size.hidden_size, device);
        Self {
            query: projection(),
            key: projection(),
            value: projection(),
            query_global: projection(),
            key_global: projection(),
            value_global: projection(),
            n_heads: size.num_attention_heads,
        }
    }

    fn forward(&self, x: Tensor<3>, pattern: &AttentionPattern) -> Tensor<3> {
        let [batch, seq, d_model] = x.dims();
        let q = self.scaled_queries(&self.query, x.clone());
        let k = self.heads(self.key.forward(x.clone()));
        let v = self.values(&self.value, x.clone());
        let band = Mixture::over_band(q.clone(), k.clone(), v.clone(), pattern);
        let Some(global) = &pattern.global else {
            return band.normalized().reshape([batch, seq, d_model]);
        };
        let n_head_tokens = global.n_head_tokens;
        let head = |y: Tensor<4>| y.narrow(1, 0, n_head_tokens);
        let to_global = Mixture::over_all(q, head(k), head(v), global.bias_to_global.clone());
        let local = band.plus(to_global).normalized(); // [batch, seq, n_heads, head_dim]

        let first = x.clone().narrow(1, 0, n_head_tokens);
        let from_global = Mixture::over_all(
            self.scaled_queries(&self.query_global, first),
            self.heads(self.key_global.forward(x.clone())),
            self.values(&self.value_global, x),
            global.bias_from_global.clone(),
        );
        let mixed = from_global.normalized(); // [batch, n_head_tokens, n_heads, head_dim]
        let is_global = global.is_global.clone().expand(mixed.dims());
        let mut parts = vec![head(local.clone()).mask_where(is_global, mixed)];
        if n_head_tokens < seq {
            parts.push(local.narrow(1, n_head_tokens, seq - n_head_tokens));
        }
        Tensor::cat(parts, 1).reshape([batch, seq, d_model])
    }
}

impl LongformerSelfAttention {
    /// # Shapes
    ///
    /// - `y`: `[batch, seq, d_model]`; output: `[batch, seq, n_heads, head_dim]`
    fn heads(&self, y: Tensor<3>) -> Tensor<4> {
        let [batch, seq, d_model] = y.dims();
        y.reshape([batch, seq, self.n_heads, d_model / self.n_heads])
    }

    /// The scale goes on the queries: they are smaller than the scores.
    fn scaled_queries(&self, projection: &Linear, x: Tensor<3>) -> Tensor<4> {
        let q = self.heads(projection.forward(x));
        let head_dim = q.dims()[3];
        q * (head_dim as f64).powf(-0.5)
    }

    /// Values with a channel of ones, which sums up the exponentials.
    fn values(&self, projection: &Linear, x: Tensor<3>) -> Tensor<4> {
        let v = self.heads(projection.forward(x));
        let [batch, seq, n_heads, _] = v.dims();
        let ones = Tensor::ones([batch, seq, n_heads, 1], (&v.device(), DType::F32));
        Tensor::cat(vec![v, ones], 3)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;
    use extracot_core::Seed;

    use super::*;
    use crate::ClassifierRow;
    use crate::init::randomize;
    use crate::longformer::{LongformerConfig, LongformerSize};

    /// Outputs of the real tokens and gradients of all tokens, with blocks of a length.
    fn attended(block: usize, n_global: usize) -> (TensorData, TensorData) {
        let device = Device::flex().autodiff();
        let size = LongformerSize {
            hidden_size: 12,
            intermediate_size: 12,
            num_hidden_layers: 1,
            num_attention_heads: 3,
            attention_window: 8,
            max_positions: 64,
        };
        let config = LongformerConfig::longformer(size, 64);
        let attention = LongformerSelfAttention::new(&config.size(), &device);
        let attention = randomize(attention, 2.0, 1.0, Seed(1));
        let token_ids: Vec<u32> = (0..43).collect();
        let rows = [43, 17, 1].map(|n_tokens| ClassifierRow {
            token_ids: &token_ids[..n_tokens],
            // Not the first one, and in the last row none.
            is_global: (0..n_tokens).map(|i| i > 0 && i <= n_global).collect(),
        });
        let batch = ClassifierBatch::collate(&rows);
        let global = GlobalPattern::new(&batch, &device);
        let pattern = AttentionPattern::with_block(&batch, 8, block, global.as_ref(), &device);
        let values: Vec<f32> = (0..3 * 43 * 12).map(|i| (i as f32 * 0.7).sin()).collect();
        let x = Tensor::<3>::from_data(TensorData::new(values, [3, 43, 12]), (&device, DType::F32));
        let x = x.require_grad();
        let y = attention.forward(x.clone(), &pattern);
        let real: Vec<Tensor<2>> = [43, 17, 1]
            .iter()
            .enumerate()
            .map(|(row, n)| {
                y.clone()
                    .narrow(0, row, 1)
                    .narrow(1, 0, *n)
                    .reshape([*n, 12])
            })
            .collect();
        let real = Tensor::cat(real, 0);
        let grads = real.clone().powi_scalar(2).sum().backward();
        (real.into_data(), x.grad(&grads).unwrap().into_data())
    }

    #[test]
    fn blocks_of_any_length_give_the_same_outputs_and_gradients() {
        for n_global in [0, 5] {
            let (dense, dense_grads) = attended(43, n_global);
            for block in [4, 7, 14] {
                let (found, grads) = attended(block, n_global);
                found.assert_approx_eq::<f32>(&dense, Tolerance::absolute(1e-5));
                grads.assert_approx_eq::<f32>(&dense_grads, Tolerance::absolute(1e-4));
            }
        }
    }
}
