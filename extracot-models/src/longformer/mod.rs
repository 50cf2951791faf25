//! The compressor's network: a Longformer token classifier (post-norm encoder, learned positions,
//! sliding-window attention with global tokens).

mod attention;
mod config;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

pub use config::{AttentionWindow, LongformerConfig, LongformerSize};

use crate::encoder::{Encoder, linear};
use crate::token_classifier::{ClassifierBatch, TokenClassifier};
use attention::{AttentionPattern, GlobalPattern, LongformerSelfAttention};

/// The whole classifier.
///
/// Local tokens see half a window on each side and all global tokens; global tokens see all, with
/// projections of their own.
///
/// # Source
///
/// Longformer, arXiv:2004.05150, section 3.1; as `LongformerForTokenClassification` of
/// transformers.
#[derive(Module, Debug)]
pub struct Longformer {
    longformer: Encoder<LongformerSelfAttention>,
    classifier: Linear,
    /// By block.
    #[module(skip)]
    windows: Vec<usize>,
    #[module(skip)]
    vocab_size: usize,
    #[module(skip)]
    max_positions: usize,
}

impl Longformer {
    /// A classifier whose weights are all zero or one: load a checkpoint or call
    /// [`crate::init::randomize`] next.
    pub fn new(config: &LongformerConfig, device: &Device) -> Self {
        let size = config.size();
        Self {
            longformer: Encoder::new(&size, device),
            classifier: linear(size.hidden_size, 2, device),
            windows: config.windows().collect(),
            vocab_size: size.vocab_size,
            max_positions: size.max_positions(),
        }
    }
}

impl TokenClassifier for Longformer {
    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn max_positions(&self) -> usize {
        self.max_positions
    }

    fn forward(&self, batch: &ClassifierBatch, device: &Device) -> Tensor<3> {
        let global = GlobalPattern::new(batch, device);
        let mut pattern: Option<(usize, AttentionPattern)> = None;
        let mut x = self.longformer.embeddings.forward(batch.token_ids(device));
        for (layer, window) in self.longformer.encoder.layer.iter().zip(&self.windows) {
            // Neighboring blocks mostly have the same window: they share the pattern.
            let current = match pattern {
                Some((of_window, pattern)) if of_window == *window => pattern,
                _ => AttentionPattern::new(batch, *window, global.as_ref(), device),
            };
            x = layer.forward(x, &current);
            pattern = Some((*window, current));
        }
        self.classifier.forward(x) // [batch, seq, 2]
    }
}
