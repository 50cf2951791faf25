//! What scoring and training need of a token classifier, and the smallest one there is.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Initializer};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// Index of the logit for dropping a token.
pub const DROP: usize = 0;
/// Index of the logit for keeping a token.
pub const KEEP: usize = 1;

/// Tells the tokens to keep from those to drop.
///
/// An implementor guarantees that the logits of a row depend on the real tokens of that row only:
/// neither padding nor the other rows ever change them. What it gives for padding is arbitrary.
pub trait TokenClassifier: Module {
    /// Tokens of the vocabulary.
    fn vocab_size(&self) -> usize;

    /// Longest row the model can take.
    fn max_positions(&self) -> usize;

    /// Logits of every token, [`DROP`] and [`KEEP`] in the last axis.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, seq, 2]`
    fn forward(&self, batch: &ClassifierBatch, device: &Device) -> Tensor<3>;
}

/// Tokens to classify together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassifierRow<'a> {
    /// The tokens.
    pub token_ids: &'a [u32],
    /// Per token whether it sees all others and is seen by all, however far away. A classifier without
    /// a window ignores it: all its tokens are seen by all.
    pub is_global: Vec<bool>,
}

/// Rows of tokens, always padded on the right to the longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassifierBatch {
    token_ids: Vec<i32>,
    is_global: Vec<bool>,
    n_tokens: Vec<usize>,
    seq: usize,
}

impl ClassifierBatch {
    /// Pads on the right with token 0.
    ///
    /// # Panics
    ///
    /// If a row has not one `is_global` per token.
    pub fn collate(rows: &[ClassifierRow<'_>]) -> Self {
        let n_tokens: Vec<usize> = rows.iter().map(|row| row.token_ids.len()).collect();
        let seq = n_tokens.iter().copied().max().unwrap_or(0).max(1);
        let mut token_ids = Vec::with_capacity(rows.len() * seq);
        let mut is_global = Vec::with_capacity(rows.len() * seq);
        for (row, n_tokens) in rows.iter().zip(&n_tokens) {
            assert_eq!(row.is_global.len(), *n_tokens, "one is_global per token");
            let n_pad = seq - n_tokens;
            token_ids.extend(row.token_ids.iter().map(|id| *id as i32));
            token_ids.extend(std::iter::repeat_n(0, n_pad));
            is_global.extend_from_slice(&row.is_global);
            is_global.extend(std::iter::repeat_n(false, n_pad));
        }
        Self {
            token_ids,
            is_global,
            n_tokens,
            seq,
        }
    }

    /// Rows.
    pub fn batch(&self) -> usize {
        self.n_tokens.len()
    }

    /// Tokens of the longest row, at least 1.
    pub fn seq(&self) -> usize {
        self.seq
    }

    /// Real tokens per row.
    pub fn n_tokens(&self) -> &[usize] {
        &self.n_tokens
    }

    /// Whether the tokens of a row are global, padding included.
    pub fn is_global(&self, row: usize) -> &[bool] {
        &self.is_global[row * self.seq..(row + 1) * self.seq]
    }

    /// The tokens on `device`.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, seq]`
    pub fn token_ids(&self, device: &Device) -> Tensor<2, Int> {
        let data = TensorData::new(self.token_ids.clone(), [self.batch(), self.seq]);
        Tensor::from_data(data, (device, DType::I32))
    }
}

/// Two logits per entry of the vocabulary: a baseline that sees neither context nor question.
#[derive(Module, Debug)]
pub struct LinearClassifier {
    token_logits: Embedding,
    #[module(skip)]
    vocab_size: usize,
    #[module(skip)]
    max_positions: usize,
}

impl LinearClassifier {
    /// A classifier that is undecided on every token.
    ///
    /// `max_positions` only sets how long the windows are.
    pub fn new(vocab_size: usize, max_positions: usize, device: &Device) -> Self {
        let token_logits = EmbeddingConfig::new(vocab_size, 2)
            .with_initializer(Initializer::Zeros)
            .init(device);
        Self {
            token_logits,
            vocab_size,
            max_positions,
        }
    }
}

impl TokenClassifier for LinearClassifier {
    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn max_positions(&self) -> usize {
        self.max_positions
    }

    fn forward(&self, batch: &ClassifierBatch, device: &Device) -> Tensor<3> {
        self.token_logits.forward(batch.token_ids(device))
    }
}
