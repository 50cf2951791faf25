//! A model that repeats what it has seen: log-probabilities of a text can be counted by hand, and
//! depend on all of it.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor};

use crate::{CausalLm, KvCache, RaggedBatch};

/// `p(next = t) = (1 + count of t so far) / (vocab + tokens so far)`
#[derive(Module, Debug)]
pub(crate) struct CountLm {
    /// The unit matrix: one-hot rows.
    unit: Param<Tensor<2>>,
    #[module(skip)]
    max_positions: usize,
}

impl CountLm {
    pub(crate) fn new(vocab_size: usize, max_positions: usize, device: &Device) -> Self {
        let unit = Tensor::eye(vocab_size, device);
        Self {
            unit: Param::from_tensor(unit),
            max_positions,
        }
    }

    fn one_hot(&self, token_ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, seq] = token_ids.dims();
        let rows = self.unit.val().select(0, token_ids.reshape([batch * seq]));
        rows.reshape([batch, seq, self.vocab_size()])
    }
}

impl CausalLm for CountLm {
    fn vocab_size(&self) -> usize {
        self.unit.dims()[0]
    }

    fn max_positions(&self) -> usize {
        self.max_positions
    }

    fn hidden(&self, token_ids: Tensor<2, Int>) -> Tensor<3> {
        self.one_hot(token_ids).cumsum(1)
    }

    fn head(&self, hidden: Tensor<2>) -> Tensor<2> {
        (hidden + 1.0).log()
    }

    fn new_cache(&self, batch: usize, device: &Device) -> KvCache {
        KvCache::new(1, [batch, 1, self.vocab_size()], (device, DType::F32))
    }

    fn hidden_after(
        &self,
        token_ids: Tensor<2, Int>,
        rows: &RaggedBatch,
        cache: &mut KvCache,
    ) -> Tensor<3> {
        assert!(rows.n_pads.iter().all(|n_pad| *n_pad == 0), "no padding");
        let [_, n_new] = token_ids.dims();
        let start = cache.n_slots();
        cache.reserve(n_new);
        let one_hot = self.one_hot(token_ids).unsqueeze_dim::<4>(1);
        let (_, seen) = cache.append(0, one_hot.clone(), one_hot);
        cache.advance(n_new);
        let counts = seen.cumsum(2).slice_dim(2, start..start + n_new);
        counts.squeeze_dim(1)
    }
}
