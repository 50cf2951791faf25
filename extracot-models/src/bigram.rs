//! A table as a language model: loops can be tested against probabilities worked by hand.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::{CausalLm, KvCache, RaggedBatch};

/// The next token depends on the last one only.
#[derive(Module, Debug)]
pub struct BigramLm {
    /// `[vocab, vocab]`: logits of the next token, a row per last token.
    pub table: Param<Tensor<2>>,
}

impl BigramLm {
    /// A model with these logits.
    ///
    /// # Panics
    ///
    /// If the table is not square.
    pub fn new(logits: &[Vec<f32>], device: &Device) -> Self {
        let n_tokens = logits.len();
        assert!(
            logits.iter().all(|row| row.len() == n_tokens),
            "a bigram table is square"
        );
        let data = TensorData::new(logits.concat(), [n_tokens, n_tokens]);
        let table = Tensor::from_data(data, (device, DType::F32));
        Self {
            table: Param::from_tensor(table),
        }
    }

    fn rows(&self, token_ids: Tensor<2, Int>) -> Tensor<3> {
        let [batch, seq] = token_ids.dims();
        let n_tokens = self.vocab_size();
        let rows = self.table.val().select(0, token_ids.reshape([batch * seq]));
        rows.reshape([batch, seq, n_tokens])
    }
}

impl CausalLm for BigramLm {
    fn vocab_size(&self) -> usize {
        self.table.dims()[0]
    }

    fn max_positions(&self) -> usize {
        usize::MAX
    }

    fn hidden(&self, token_ids: Tensor<2, Int>) -> Tensor<3> {
        self.rows(token_ids)
    }

    fn head(&self, hidden: Tensor<2>) -> Tensor<2> {
        hidden
    }

    fn new_cache(&self, batch: usize, device: &Device) -> KvCache {
        KvCache::new(0, [batch, 0, 0], (device, DType::F32))
    }

    fn hidden_after(
        &self,
        token_ids: Tensor<2, Int>,
        _rows: &RaggedBatch,
        cache: &mut KvCache,
    ) -> Tensor<3> {
        let [_, n_new] = token_ids.dims();
        cache.reserve(n_new);
        cache.advance(n_new);
        self.rows(token_ids)
    }
}
