//! What training and decoding need of a causal language model.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use extracot_kernels::VisibleKeys;

use crate::kv_cache::KvCache;

/// A causal language model.
///
/// An implementor guarantees that the logits at a position depend on the tokens up to it only, and
/// that [`CausalLm::hidden_after`] computes what [`CausalLm::hidden`] computes, gradients included:
/// policy training runs it under autodiff. A caller pads the rows of `hidden` on the right, and the
/// first tokens of a cache on the left.
pub trait CausalLm: Module {
    /// Tokens of the vocabulary.
    fn vocab_size(&self) -> usize;

    /// Longest sequence the model can take.
    fn max_positions(&self) -> usize;

    /// Final hidden states.
    ///
    /// # Shapes
    ///
    /// - `token_ids`: `[batch, seq]`, padded on the right; output: `[batch, seq, d_model]`
    fn hidden(&self, token_ids: Tensor<2, Int>) -> Tensor<3>;

    /// Final hidden states of rows that each hold several sequences one behind the other: no sequence
    /// sees another, and the positions of each start at 0. What comes behind the last is padding.
    ///
    /// # Shapes
    ///
    /// - `token_ids`: `[batch, seq]`; output: `[batch, seq, d_model]`
    fn hidden_packed(&self, token_ids: Tensor<2, Int>, rows: &PackedRows) -> Tensor<3> {
        let [_, seq] = token_ids.dims();
        let rows = rows.segments.iter().enumerate().map(|(row, segments)| {
            let token_ids = token_ids.clone().slice_dim(0, row..row + 1);
            let mut start = 0;
            let mut parts: Vec<Tensor<3>> = Vec::new();
            let n_pads = seq - segments.iter().sum::<usize>();
            let padding = (n_pads > 0).then_some(&n_pads);
            for n_tokens in segments.iter().chain(padding) {
                let ids = token_ids.clone().slice_dim(1, start..start + n_tokens);
                parts.push(self.hidden(ids));
                start += n_tokens;
            }
            Tensor::cat(parts, 1)
        });
        Tensor::cat(rows.collect(), 0)
    }

    /// Logits of hidden states: computed in the dtype of the weights, given as f32.
    ///
    /// # Shapes
    ///
    /// - `hidden`: `[rows, d_model]`; output: `[rows, vocab]`
    fn head(&self, hidden: Tensor<2>) -> Tensor<2>;

    /// An empty cache for `batch` rows.
    fn new_cache(&self, batch: usize, device: &Device) -> KvCache;

    /// Feeds tokens after those in the cache and gives their final hidden states.
    ///
    /// # Shapes
    ///
    /// - `token_ids`: `[batch, n_new]`; output: `[batch, n_new, d_model]`
    fn hidden_after(
        &self,
        token_ids: Tensor<2, Int>,
        rows: &RaggedBatch,
        cache: &mut KvCache,
    ) -> Tensor<3>;

    /// Feeds tokens after those in the cache and gives the logits after the last of them.
    ///
    /// # Shapes
    ///
    /// - `token_ids`: `[batch, n_new]`; output: `[batch, vocab]`
    fn extend(
        &self,
        token_ids: Tensor<2, Int>,
        rows: &RaggedBatch,
        cache: &mut KvCache,
    ) -> Tensor<2> {
        let [_, n_new] = token_ids.dims();
        let hidden = self.hidden_after(token_ids, rows, cache);
        self.head(hidden.narrow(1, n_new - 1, 1).flatten(0, 1))
    }
}

/// How the rows of a packed batch are filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedRows {
    /// Tokens of each sequence of each row, in order, at least one each.
    pub segments: Vec<Vec<usize>>,
}

impl PackedRows {
    /// Positions of the slots `0 .. seq`, row by row: each sequence counts from 0, and so does the
    /// padding.
    pub fn positions(&self, seq: usize) -> Vec<usize> {
        let starts = self.starts(seq);
        let position = |(slot, start): (usize, &usize)| slot - start;
        starts
            .iter()
            .flat_map(|row| row.iter().enumerate().map(position))
            .collect()
    }

    /// Every slot looks at those of its own sequence, up to itself.
    pub(crate) fn visible(&self, seq: usize) -> VisibleKeys {
        let seen = |(slot, start): (usize, &usize)| *start..slot + 1;
        let starts = self.starts(seq);
        let keys = starts
            .iter()
            .flat_map(|row| row.iter().enumerate().map(seen));
        VisibleKeys::new(seq, keys.collect())
    }

    /// The first slot of the sequence, or of the padding, that each slot belongs to.
    pub(crate) fn starts(&self, seq: usize) -> Vec<Vec<usize>> {
        let of_row = |segments: &Vec<usize>| {
            let mut starts = Vec::with_capacity(seq);
            for n_tokens in segments {
                starts.extend(vec![starts.len(); *n_tokens]);
            }
            starts.resize(seq, starts.len());
            starts
        };
        self.segments.iter().map(of_row).collect()
    }
}

/// How the rows of a left-padded batch are placed: slots before `n_pads` hold padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaggedBatch {
    /// Padding slots in front of each row.
    pub n_pads: Vec<usize>,
}

impl RaggedBatch {
    /// Positions of the slots `start .. start + n_new`, row by row; padding sits at position 0.
    pub fn positions(&self, start: usize, n_new: usize) -> Vec<usize> {
        let slots = || start..start + n_new;
        self.n_pads
            .iter()
            .flat_map(|n_pad| slots().map(move |s| s.saturating_sub(*n_pad)))
            .collect()
    }

    /// The slots that the tokens in `start .. start + n_new` look at: those behind the padding, up to
    /// themselves. A padding slot looks at itself, so that no row is without a key.
    pub fn visible(&self, start: usize, n_new: usize) -> VisibleKeys {
        let slots = || start..start + n_new;
        let seen = |n_pad: &usize| {
            let n_pad = *n_pad;
            slots().map(move |slot| n_pad.min(slot)..slot + 1)
        };
        VisibleKeys::new(n_new, self.n_pads.iter().flat_map(seen).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_sequences_and_the_padding_count_from_zero() {
        let rows = PackedRows {
            segments: vec![vec![2, 1], vec![4], vec![]],
        };
        let want = [[0, 1, 0, 0, 1], [0, 1, 2, 3, 0], [0, 1, 2, 3, 4]];
        assert_eq!(rows.positions(5), want.concat());
        let want = [[0, 0, 2, 3, 3], [0, 0, 0, 0, 4], [0; 5]];
        assert_eq!(rows.starts(5), want);
    }
}
