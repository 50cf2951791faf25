//! From a question and an atomized think text to classifier inputs, and from logits to atom scores.

use burn::tensor::Device;
use extracot_core::atom::windows;
use extracot_core::{AtomizedCot, CoreError, KeepScorer, KeepScores, Tokenizer};
use serde::{Deserialize, Serialize};

use crate::token_classifier::{ClassifierBatch, ClassifierRow, DROP, KEEP, TokenClassifier};

const NAME: &str = "classifier scorer";

/// One window of a think text behind its question, as tokens.
///
/// The first `n_question` tokens are the question and a separator; they are global. Each token
/// after them always belongs to one atom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassifierInput {
    /// Question, separator, think text.
    pub token_ids: Vec<u32>,
    /// Tokens before the think text.
    pub n_question: usize,
    /// For each token of the think text the index of its atom in the whole text.
    pub atom_of_token: Vec<usize>,
}

impl ClassifierInput {
    /// The inputs that cover all atoms of `cot`, in order.
    ///
    /// Each atom is tokenized on its own, so no token belongs to two. A text that is too long goes
    /// into windows ([`windows`]), each behind the whole question; a single atom that is too long is
    /// spread over several inputs.
    ///
    /// # Errors
    ///
    /// [`CoreError::Scorer`] if the question leaves no room for a token of the think text.
    pub fn windows(
        question: &str,
        cot: &AtomizedCot,
        layout: &InputLayout<'_>,
    ) -> Result<Vec<Self>, CoreError> {
        let mut prefix = layout.tokenizer.encode(question);
        prefix.push(layout.separator_id);
        let room = layout
            .max_positions
            .checked_sub(prefix.len())
            .filter(|room| *room > 0);
        let room = room.ok_or_else(|| CoreError::Scorer {
            what: NAME,
            message: format!(
                "the question has {} tokens with its separator, which leaves none of the \
                 classifier's {} positions for the think text",
                prefix.len(),
                layout.max_positions
            ),
        })?;
        let atoms: Vec<Vec<u32>> = (0..cot.n_atoms())
            .map(|atom_idx| layout.tokenizer.encode(cot.atom_text(atom_idx)))
            .collect();
        let costs: Vec<usize> = atoms.iter().map(Vec::len).collect();
        let mut inputs = Vec::new();
        for window in windows(cot, &costs, room) {
            let tokens: Vec<(u32, usize)> = window
                .flat_map(|atom_idx| atoms[atom_idx].iter().map(move |id| (*id, atom_idx)))
                .collect();
            inputs.extend(tokens.chunks(room).map(|piece| {
                let mut token_ids = prefix.clone();
                token_ids.extend(piece.iter().map(|(id, _)| *id));
                let atom_of_token = piece.iter().map(|(_, atom_idx)| *atom_idx).collect();
                Self {
                    token_ids,
                    n_question: prefix.len(),
                    atom_of_token,
                }
            }));
        }
        Ok(inputs)
    }

    /// Tokens in all.
    pub fn n_tokens(&self) -> usize {
        self.token_ids.len()
    }

    /// The input as a row of a batch.
    pub fn row(&self) -> ClassifierRow<'_> {
        let is_global = (0..self.n_tokens())
            .map(|token_idx| token_idx < self.n_question)
            .collect();
        ClassifierRow {
            token_ids: &self.token_ids,
            is_global,
        }
    }
}

/// The token between question and think text: the tokenizer's line break, or its `</s>` where a line
/// break is no token of its own (XLM-RoBERTa). Training and scoring have to share it.
///
/// # Errors
///
/// [`CoreError::Scorer`] if the tokenizer has neither.
///
/// # Source
///
/// Our own choice.
pub fn separator_id(tokenizer: &dyn Tokenizer) -> Result<u32, CoreError> {
    const END: &str = "</s>";
    match tokenizer.encode("\n")[..] {
        [id] => Ok(id),
        _ => tokenizer.token_id(END).ok_or_else(|| CoreError::Scorer {
            what: NAME,
            message: format!(
                "the tokenizer has neither a single token for a line break nor `{END}` to put \
                     between question and think text"
            ),
        }),
    }
}

/// How a question and a think text become tokens; training and scoring have to share it.
#[derive(Clone, Copy)]
pub struct InputLayout<'a> {
    /// The classifier's tokenizer.
    pub tokenizer: &'a dyn Tokenizer,
    /// Token between question and think text.
    pub separator_id: u32,
    /// Longest input.
    pub max_positions: usize,
}

impl std::fmt::Debug for InputLayout<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InputLayout")
            .field("separator_id", &self.separator_id)
            .field("max_positions", &self.max_positions)
            .finish_non_exhaustive()
    }
}

/// How the scores of an atom's tokens become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Their mean: long atoms count as short ones do.
    #[default]
    Mean,
    /// The largest: one token is enough to keep an atom.
    Max,
    /// The first token's.
    First,
}

impl Pooling {
    /// One score; 0 for no tokens. Tokens come in their order.
    fn pool(self, scores: &[f32]) -> f32 {
        let mean = |scores: &[f32]| {
            let sum: f64 = scores.iter().map(|score| f64::from(*score)).sum();
            (sum / scores.len() as f64) as f32
        };
        match (self, scores) {
            (_, []) => 0.0,
            (Self::Mean, scores) => mean(scores),
            (Self::Max, scores) => scores.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            (Self::First, [first, ..]) => *first,
        }
    }
}

/// Scores atoms by a token classifier: the keep logit minus the drop logit, pooled over an atom's
/// tokens. Above 0 the classifier would keep the atom; an atom without tokens gets 0.
///
/// # Units
///
/// Scores are log odds in nats.
pub struct ClassifierScorer<'a, C> {
    /// The classifier, without autodiff.
    pub classifier: &'a C,
    /// The classifier's device, without autodiff.
    pub device: &'a Device,
    /// The classifier's tokenizer.
    pub tokenizer: &'a dyn Tokenizer,
    /// Token between question and think text.
    pub separator_id: u32,
    /// Inputs scored together.
    pub batch_size: usize,
    /// From tokens to atoms.
    pub pooling: Pooling,
}

impl<C> std::fmt::Debug for ClassifierScorer<'_, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClassifierScorer")
            .field("separator_id", &self.separator_id)
            .field("batch_size", &self.batch_size)
            .finish_non_exhaustive()
    }
}

impl<C: TokenClassifier> KeepScorer for ClassifierScorer<'_, C> {
    fn score(&self, question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
        let mut scores = self.score_batch(&[(question, cot)])?;
        scores
            .pop()
            .ok_or_else(|| scorer_error("no scores for a text"))
    }

    fn score_batch(&self, items: &[(&str, &AtomizedCot)]) -> Result<Vec<KeepScores>, CoreError> {
        let layout = InputLayout {
            tokenizer: self.tokenizer,
            separator_id: self.separator_id,
            max_positions: self.classifier.max_positions(),
        };
        let mut inputs: Vec<(usize, ClassifierInput)> = Vec::new();
        for (item_idx, (question, cot)) in items.iter().enumerate() {
            let windows = ClassifierInput::windows(question, cot, &layout)?;
            inputs.extend(windows.into_iter().map(|input| (item_idx, input)));
        }
        // Similar lengths share a batch: the padding is small.
        let mut order: Vec<usize> = (0..inputs.len()).collect();
        order.sort_by_key(|idx| inputs[*idx].1.n_tokens());
        let mut differences: Vec<Vec<f32>> = vec![vec![]; inputs.len()];
        for batch in order.chunks(self.batch_size.max(1)) {
            let rows: Vec<ClassifierRow<'_>> =
                batch.iter().map(|idx| inputs[*idx].1.row()).collect();
            let found = self.differences(&ClassifierBatch::collate(&rows))?;
            for (idx, found) in batch.iter().zip(found) {
                differences[*idx] = found;
            }
        }
        // In the order of the text: an atom that is spread over inputs has its tokens in a row.
        let mut tokens: Vec<Vec<Vec<f32>>> = items
            .iter()
            .map(|(_, cot)| vec![vec![]; cot.n_atoms()])
            .collect();
        for ((item_idx, input), differences) in inputs.iter().zip(&differences) {
            let of_text = differences.iter().skip(input.n_question);
            for (atom_idx, difference) in input.atom_of_token.iter().zip(of_text) {
                tokens[*item_idx][*atom_idx].push(*difference);
            }
        }
        tokens
            .into_iter()
            .map(|atoms| {
                let scores = atoms.iter().map(|tokens| self.pooling.pool(tokens));
                KeepScores::try_new(scores.collect(), atoms.len())
            })
            .collect()
    }
}

impl<C: TokenClassifier> ClassifierScorer<'_, C> {
    /// Keep logit minus drop logit of every token, row by row.
    fn differences(&self, batch: &ClassifierBatch) -> Result<Vec<Vec<f32>>, CoreError> {
        let logits = self.classifier.forward(batch, self.device); // [batch, seq, 2]
        let logits = logits
            .try_into_data()
            .map_err(scorer_error)?
            .try_to_vec::<f32>()
            .map_err(|error| scorer_error(format!("{error:?}")))?;
        let difference = |pair: &[f32]| pair[KEEP] - pair[DROP];
        let rows = logits.chunks_exact(2 * batch.seq());
        Ok(rows
            .map(|row| row.chunks_exact(2).map(difference).collect())
            .collect())
    }
}

fn scorer_error(message: impl std::fmt::Display) -> CoreError {
    CoreError::Scorer {
        what: NAME,
        message: message.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::longformer::{Longformer, LongformerConfig, LongformerSize};
    use crate::{LinearClassifier, init::randomize};
    use burn::module::Module;
    use extracot_core::{ByteTokenizer, Seed, segment};

    fn longformer(max_positions: usize, device: &Device) -> Longformer {
        let size = LongformerSize {
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            attention_window: 4,
            max_positions,
        };
        let config = LongformerConfig::longformer(size, 266);
        randomize(Longformer::new(&config, device), 1.0, 1.0, Seed(3))
    }

    fn scorer<'a, C>(classifier: &'a C, device: &'a Device) -> ClassifierScorer<'a, C> {
        let separator_id = u32::from(b'\n');
        ClassifierScorer {
            classifier,
            device,
            tokenizer: &ByteTokenizer,
            separator_id,
            batch_size: 2,
            pooling: Pooling::Mean,
        }
    }

    #[test]
    fn pooling_takes_the_mean_the_largest_or_the_first() {
        let scores = [0.5, -1.0, 2.0];
        assert_eq!(Pooling::Mean.pool(&scores), 0.5);
        assert_eq!(Pooling::Max.pool(&scores), 2.0);
        assert_eq!(Pooling::First.pool(&scores), 0.5);
        assert_eq!(Pooling::Max.pool(&[]), 0.0);
    }

    #[test]
    fn windows_cover_every_token_of_every_atom_once_behind_the_question() {
        let cot = segment("a b. cc $1+1=2$ e.");
        for max_positions in [4, 5, 9, 40] {
            let layout = InputLayout {
                tokenizer: &ByteTokenizer,
                separator_id: 10,
                max_positions,
            };
            let inputs = ClassifierInput::windows("q?", &cot, &layout).unwrap();
            let mut text = String::new();
            let mut atoms: Vec<usize> = Vec::new();
            for input in &inputs {
                assert!(input.n_tokens() <= max_positions);
                assert_eq!(input.token_ids[..3], [113, 63, 10]);
                assert_eq!(
                    (input.n_question, input.n_tokens()),
                    (3, 3 + input.atom_of_token.len())
                );
                text += &ByteTokenizer.decode(&input.token_ids[3..]);
                atoms.extend(&input.atom_of_token);
            }
            assert_eq!(text, cot.text());
            let expected: Vec<usize> = (0..cot.n_atoms())
                .flat_map(|idx| std::iter::repeat_n(idx, cot.atom_text(idx).len()))
                .collect();
            assert_eq!(atoms, expected);
        }
        let layout = InputLayout {
            tokenizer: &ByteTokenizer,
            separator_id: 10,
            max_positions: 3,
        };
        let message = ClassifierInput::windows("q?", &cot, &layout)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("3 tokens") && message.contains("3 positions"),
            "{message}"
        );
        assert!(
            ClassifierInput::windows("", &segment(""), &layout)
                .unwrap()
                .is_empty()
        );
    }

    /// One token per word, and perhaps an end of text: white space is lost.
    struct Words {
        has_end: bool,
    }

    impl Tokenizer for Words {
        fn encode(&self, text: &str) -> Vec<u32> {
            text.split_whitespace().map(|_| 5).collect()
        }

        fn encode_spans(&self, text: &str) -> Vec<(u32, std::ops::Range<usize>)> {
            let ids = self.encode(text).into_iter();
            ids.map(|id| (id, 0..text.len())).collect()
        }

        fn decode(&self, _ids: &[u32]) -> String {
            String::new()
        }

        fn token_id(&self, token: &str) -> Option<u32> {
            (self.has_end && token == "</s>").then_some(2)
        }
    }

    #[test]
    fn the_separator_is_a_line_break_or_the_end_of_text() {
        assert_eq!(separator_id(&ByteTokenizer).unwrap(), 10);
        assert_eq!(separator_id(&Words { has_end: true }).unwrap(), 2);
        let error = separator_id(&Words { has_end: false }).unwrap_err();
        assert!(error.to_string().contains("line break"), "{error}");
    }

    #[test]
    fn an_atom_gets_the_mean_difference_of_its_tokens() {
        let device = Device::flex();
        let classifier = LinearClassifier::new(266, 4, &device);
        // `1` has the logits drop 1 and keep 4, `2` has 0 and -1, the rest 0.
        let mut weight = vec![0.0; 266 * 2];
        (weight[49 * 2 + DROP], weight[49 * 2 + KEEP]) = (1.0, 4.0);
        weight[50 * 2 + KEEP] = -1.0;
        struct Fill(Vec<f32>);
        impl burn::module::ModuleMapper for Fill {
            fn map_float<const D: usize>(
                &mut self,
                param: burn::module::Param<burn::tensor::Tensor<D>>,
            ) -> burn::module::Param<burn::tensor::Tensor<D>> {
                param.map(|tensor| {
                    let data = burn::tensor::TensorData::new(self.0.clone(), tensor.dims());
                    burn::tensor::Tensor::from_data(data, &tensor.device())
                })
            }
        }
        let classifier = classifier.map(&mut Fill(weight));
        let scores = scorer(&classifier, &device)
            .score("q", &segment("11 12 abcdef"))
            .unwrap();
        // (3 + 3) / 2, then (0 + 3 - 1) / 3 with the space, then zeros.
        assert_eq!(scores.as_slice(), [3.0, 2.0 / 3.0, 0.0]);
    }

    #[test]
    fn scores_do_not_depend_on_the_batch() {
        let device = Device::flex();
        let classifier = longformer(40, &device);
        let scorer = scorer(&classifier, &device);
        let cots = [
            "a b. cc $1+1=2$ e.",
            "",
            "one",
            "a longer text of more than one window, see.",
        ];
        let cots = cots.map(segment);
        let questions = ["why?", "", "how many of them are there?", "so"];
        let items: Vec<(&str, &AtomizedCot)> = questions.into_iter().zip(&cots).collect();
        let together = scorer.score_batch(&items).unwrap();
        for ((question, cot), scores) in items.into_iter().zip(&together) {
            let alone = scorer.score(question, cot).unwrap();
            assert_eq!(alone.len(), cot.n_atoms());
            for (a, b) in alone.as_slice().iter().zip(scores.as_slice()) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
        // The question reaches the scores.
        let other = scorer.score("who?", &cots[0]).unwrap();
        assert!((other.as_slice()[4] - together[0].as_slice()[4]).abs() > 1e-3);
    }

    #[test]
    fn local_tokens_see_their_window_and_the_question_only() {
        let device = Device::flex();
        let size = LongformerSize {
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            attention_window: 4,
            max_positions: 40,
        };
        let config = LongformerConfig::longformer(size, 30);
        let classifier = randomize(Longformer::new(&config, &device), 1.0, 1.0, Seed(3));
        let logits = |token_ids: &[u32]| {
            let is_global = (0..token_ids.len()).map(|idx| idx < 2).collect();
            let row = ClassifierRow {
                token_ids,
                is_global,
            };
            let logits = classifier.forward(&ClassifierBatch::collate(&[row]), &device);
            logits.into_data().try_to_vec::<f32>().unwrap()
        };
        let base: Vec<u32> = (0..12).collect();
        let before = logits(&base);
        let changed_by = |token_idx: usize| -> Vec<usize> {
            let mut token_ids = base.clone();
            token_ids[token_idx] = 20;
            let after = logits(&token_ids);
            let differs = |idx: &usize| (before[2 * idx] - after[2 * idx]).abs() > 1e-6;
            (0..12).filter(differs).collect()
        };
        // Half a window is 2; the global tokens 0 and 1 see everything.
        assert_eq!(changed_by(7), [0, 1, 5, 6, 7, 8, 9]);
        assert_eq!(changed_by(11), [0, 1, 9, 10, 11]);
        assert_eq!(changed_by(1), (0..12).collect::<Vec<_>>());
    }
}
