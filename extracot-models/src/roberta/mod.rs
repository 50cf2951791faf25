//! RoBERTa and XLM-RoBERTa token classifiers (post-norm encoder, learned positions, every token sees
//! all others): LLMLingua-2 and what is fine-tuned from it.

mod config;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

pub use config::RobertaConfig;

use crate::encoder::{Encoder, EncoderSize, SelfAttention, linear, padding_bias};
use crate::token_classifier::{ClassifierBatch, TokenClassifier};

/// The projections of one block.
#[derive(Module, Debug)]
struct RobertaSelfAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    n_heads: usize,
}

impl SelfAttention for RobertaSelfAttention {
    /// The padding bias, `[batch, 1, 1, seq]`.
    type Pattern = Tensor<4>;

    fn new(size: &EncoderSize, device: &Device) -> Self {
        let projection = || linear(size.hidden_size, size.hidden_size, device);
        Self {
            query: projection(),
            key: projection(),
            value: projection(),
            n_heads: size.num_attention_heads,
        }
    }

    fn forward(&self, x: Tensor<3>, padding: &Tensor<4>) -> Tensor<3> {
        let [batch, seq, d_model] = x.dims();
        let head_dim = d_model / self.n_heads;
        let heads = |projection: &Linear| {
            let y = projection.forward(x.clone());
            y.reshape([batch, seq, self.n_heads, head_dim])
                .swap_dims(1, 2)
        };
        // The scale goes on the queries: they are smaller than the scores.
        let q = heads(&self.query) * (head_dim as f64).powf(-0.5); // [batch, n_heads, seq, head_dim]
        let scores = q.matmul(heads(&self.key).swap_dims(2, 3)) + padding.clone();
        let mixed = softmax(scores, 3).matmul(heads(&self.value));
        mixed.swap_dims(1, 2).reshape([batch, seq, d_model])
    }
}

/// The whole classifier.
///
/// Every token sees all others, so [`ClassifierRow::is_global`](crate::ClassifierRow::is_global) is
/// ignored. A token with the id of the checkpoint's padding is a token like any other: padding is what
/// stands behind the tokens of a row.
///
/// # Source
///
/// RoBERTa, arXiv:1907.11692; XLM-R, arXiv:1911.02116; as `RobertaForTokenClassification` and
/// `XLMRobertaForTokenClassification` of transformers. LLMLingua-2, arXiv:2403.12968, is one.
#[derive(Module, Debug)]
pub struct Roberta {
    roberta: Encoder<RobertaSelfAttention>,
    classifier: Linear,
    #[module(skip)]
    vocab_size: usize,
    #[module(skip)]
    max_positions: usize,
}

impl Roberta {
    /// A classifier whose weights are all zero or one: load a checkpoint or call
    /// [`crate::init::randomize`] next.
    pub fn new(config: &RobertaConfig, device: &Device) -> Self {
        let size = config.size();
        Self {
            roberta: Encoder::new(&size, device),
            classifier: linear(size.hidden_size, 2, device),
            vocab_size: size.vocab_size,
            max_positions: size.max_positions(),
        }
    }
}

impl TokenClassifier for Roberta {
    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn max_positions(&self) -> usize {
        self.max_positions
    }

    fn forward(&self, batch: &ClassifierBatch, device: &Device) -> Tensor<3> {
        let padding = padding_bias(batch, device);
        let mut x = self.roberta.embeddings.forward(batch.token_ids(device));
        for layer in &self.roberta.encoder.layer {
            x = layer.forward(x, &padding);
        }
        self.classifier.forward(x) // [batch, seq, 2]
    }
}
