//! Quality on texts that are not trained on.

use std::collections::BTreeMap;

use burn::tensor::Device;
use extracot_core::compress::ScoredCot;
use extracot_core::label::KeepLabels;
use extracot_core::{AtomizedCot, CoreError, KeepLevel, KeepScorer, Tokenizer};
use extracot_models::{ClassifierScorer, Pooling, TokenClassifier};
use serde::{Deserialize, Serialize};

use super::quality::{ClassQuality, KeepConfusion};
use crate::TrainError;

/// A whole think text with its labels.
#[derive(Debug, Clone)]
pub struct HeldOutText {
    /// The question in front of it.
    pub question: String,
    /// The think text.
    pub cot: AtomizedCot,
    /// Which atoms should be kept.
    pub labels: KeepLabels,
}

/// When held-out texts are looked at, and when a run stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOutConfig {
    /// Steps between two looks; there is one after the last step too.
    pub every: usize,
    /// A run stops after so many looks without a better macro-F1; 0 never stops it.
    pub patience: usize,
    /// Inputs scored together.
    pub batch_size: usize,
}

/// Texts to judge by.
pub struct HeldOut<'a> {
    /// The texts.
    pub texts: &'a [HeldOutText],
    /// The classifier's tokenizer, in whose tokens a budget is counted.
    pub tokenizer: &'a dyn Tokenizer,
    /// Token between question and think text.
    pub separator_id: u32,
    /// The device, without autodiff.
    pub device: &'a Device,
    /// When.
    pub config: HeldOutConfig,
}

impl std::fmt::Debug for HeldOut<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldOut")
            .field("n_texts", &self.texts.len())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// How well a classifier agrees with the labels of held-out texts; atoms are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldOutQuality {
    /// Where every atom with a score above 0 is kept.
    pub free: KeepConfusion,
    /// Where the best atoms within a fifth of a text's tokens are kept.
    pub at_20: KeepConfusion,
    /// Where the best atoms within two fifths of a text's tokens are kept.
    pub at_40: KeepConfusion,
}

impl HeldOutQuality {
    /// Values by metric key.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let (keep, drop) = (self.free.of_keep(), self.free.of_drop());
        let of_class = |name: &str, quality: ClassQuality| {
            [
                (format!("held_out/{name}_precision"), quality.precision),
                (format!("held_out/{name}_recall"), quality.recall),
                (format!("held_out/{name}_f1"), quality.f1),
            ]
        };
        let mut metrics: BTreeMap<String, f64> = of_class("keep", keep)
            .into_iter()
            .chain(of_class("drop", drop))
            .collect();
        for (key, value) in [
            ("held_out/macro_f1", self.free.macro_f1()),
            ("held_out/budgeted_f1_20", self.at_20.of_keep().f1),
            ("held_out/budgeted_f1_40", self.at_40.of_keep().f1),
        ] {
            metrics.insert(key.to_owned(), value);
        }
        metrics
    }
}

impl HeldOut<'_> {
    /// Scores all texts with `classifier`, which is without autodiff.
    ///
    /// # Errors
    ///
    /// If a text cannot be scored, and [`CoreError::ScoreCount`] if a text has not one label per atom.
    pub fn evaluate<C: TokenClassifier>(
        &self,
        classifier: &C,
    ) -> Result<HeldOutQuality, TrainError> {
        let scorer = ClassifierScorer {
            classifier,
            device: self.device,
            tokenizer: self.tokenizer,
            separator_id: self.separator_id,
            batch_size: self.config.batch_size,
            pooling: Pooling::Mean,
        };
        let items: Vec<(&str, &AtomizedCot)> = self
            .texts
            .iter()
            .map(|text| (text.question.as_str(), &text.cot))
            .collect();
        let [level_20, level_40, ..] = KeepLevel::ALL;
        let mut quality = HeldOutQuality::default();
        for (text, scores) in self.texts.iter().zip(scorer.score_batch(&items)?) {
            let labels = text.labels.as_slice();
            if labels.len() != scores.len() {
                return Err(CoreError::ScoreCount {
                    found: scores.len(),
                    expected: labels.len(),
                }
                .into());
            }
            quality.free.add(scores.as_slice(), labels);
            let scored = ScoredCot::try_new(text.cot.clone(), scores, self.tokenizer)?;
            for (level, confusion) in [
                (level_20, &mut quality.at_20),
                (level_40, &mut quality.at_40),
            ] {
                confusion.add_decisions(scored.mask(level.ratio()).as_slice(), labels);
            }
        }
        Ok(quality)
    }

    /// Whether `n_steps` steps end with a look.
    pub(super) fn is_due(&self, n_steps: usize, n_last: usize) -> bool {
        n_steps == n_last || n_steps.is_multiple_of(self.config.every)
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        if self.texts.is_empty() {
            return Err(TrainError::NoData {
                what: "the held-out texts",
            });
        }
        for (key, found) in [
            ("held_out.every", self.config.every),
            ("held_out.batch_size", self.config.batch_size),
        ] {
            if found == 0 {
                return Err(CoreError::Setting {
                    key,
                    found: "0".to_owned(),
                    allowed: "at least 1",
                }
                .into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, ModuleMapper, Param};
    use burn::tensor::{Tensor, TensorData};
    use extracot_core::{ByteTokenizer, segment};
    use extracot_models::LinearClassifier;
    use extracot_models::token_classifier::KEEP;

    struct Fill(Vec<f32>);

    impl ModuleMapper for Fill {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| {
                let data = TensorData::new(self.0.clone(), tensor.dims());
                Tensor::from_data(data, &tensor.device())
            })
        }
    }

    #[test]
    fn budgets_are_in_tokens_and_quality_in_atoms() {
        let device = Device::flex();
        // Keep logits: a 3, b 2, c 1, d -1; the rest 0. Words are one letter, repeated.
        let mut weight = vec![0.0; 266 * 2];
        for (letter, logit) in [(b'a', 3.0), (b'b', 2.0), (b'c', 1.0), (b'd', -1.0)] {
            weight[usize::from(letter) * 2 + KEEP] = logit;
        }
        let classifier = LinearClassifier::new(266, 64, &device).map(&mut Fill(weight));
        // Costs with the space in front: 3, 4, 2, 1 + 10 of 20 bytes.
        let texts = [HeldOutText {
            question: "q".to_owned(),
            cot: segment("aaa bbb c dddddddddd"),
            labels: KeepLabels::new(vec![true, false, true, false]),
        }];
        let held_out = HeldOut {
            texts: &texts,
            tokenizer: &ByteTokenizer,
            separator_id: 10,
            device: &device,
            config: HeldOutConfig {
                every: 1,
                patience: 0,
                batch_size: 2,
            },
        };
        let quality = held_out.evaluate(&classifier).unwrap();
        let counts = |confusion: KeepConfusion| {
            [
                confusion.kept_right,
                confusion.kept_wrong,
                confusion.dropped_right,
                confusion.dropped_wrong,
            ]
        };
        // a, b and c score above 0; b should not be kept.
        assert_eq!(counts(quality.free), [2, 1, 1, 0]);
        // Four tokens: the cheapest atom c (2) first, then a (3) does not fit.
        assert_eq!(counts(quality.at_20), [1, 0, 2, 1]);
        // Eight tokens: c and a are 5, b (4) does not fit.
        assert_eq!(counts(quality.at_40), [2, 0, 2, 0]);
        let metrics = quality.metrics();
        assert_eq!(metrics.len(), 9);
        // Keep: 2 of 3 right, all found: F1 0.8. Drop: all right, 1 of 2 found: F1 2/3.
        assert_eq!(metrics["held_out/keep_f1"], 0.8);
        assert_eq!(metrics["held_out/drop_recall"], 0.5);
        assert!((metrics["held_out/macro_f1"] - (0.8 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert!((metrics["held_out/budgeted_f1_20"] - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(metrics["held_out/budgeted_f1_40"], 1.0);
    }
}
