//! What the samples of a problem say: outcomes by level, and its reference tokens.

use extracot_core::budget::LevelOutcome;
use extracot_core::dataset::verify_problem;
use extracot_core::{
    ControlToken, KeepLevel, MathVerifier, Problem, ResponseParser, RolloutGroup, Tokenizer,
};
use serde::{Deserialize, Serialize};

use super::row::ReferenceSource;
use crate::pipeline::has_thought;

/// What the samples of a problem at one level were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LevelSamples {
    pub(super) outcome: LevelOutcome,
    /// Samples that state no level or another one.
    pub(super) n_stating_another: usize,
    /// Think tokens of the right ones.
    right_tokens: Vec<usize>,
    /// Think tokens of the others that have a closed think text.
    wrong_tokens: Vec<usize>,
}

impl LevelSamples {
    pub(super) fn new(
        group: &RolloutGroup,
        problem: &Problem,
        level: KeepLevel,
        parser: &ResponseParser,
        tokenizer: &dyn Tokenizer,
    ) -> Self {
        let mut found = Self {
            outcome: LevelOutcome {
                level,
                n_correct: 0,
                n: group.rollouts.len(),
            },
            n_stating_another: 0,
            right_tokens: Vec::new(),
            wrong_tokens: Vec::new(),
        };
        for rollout in &group.rollouts {
            let response = parser.parse(tokenizer, &rollout.token_ids);
            let verdict = verify_problem(&MathVerifier, &response.visible, problem);
            let states_it = response.control == Some(ControlToken::Level(level));
            found.n_stating_another += usize::from(!states_it);
            match (has_thought(&response), states_it && verdict.is_correct()) {
                (true, true) => found.right_tokens.push(response.think_tokens),
                (true, false) => found.wrong_tokens.push(response.think_tokens),
                (false, _) => {}
            }
        }
        found.outcome.n_correct = found.right_tokens.len();
        found
    }
}

/// A problem with its samples, one entry per level.
pub(super) struct Item {
    pub(super) problem: Problem,
    pub(super) levels: Vec<LevelSamples>,
}

impl Item {
    /// Right answers by level.
    pub(super) fn outcomes(&self) -> Vec<LevelOutcome> {
        self.levels.iter().map(|samples| samples.outcome).collect()
    }

    /// The reference tokens: of the right answers at level 100, else of the trace, else of the wrong
    /// answers at level 100. Means are rounded down.
    pub(super) fn reference(
        &self,
        trace_tokens: Option<usize>,
    ) -> Option<(usize, ReferenceSource)> {
        let mut full = self
            .levels
            .iter()
            .filter(|samples| samples.outcome.level == KeepLevel::FULL);
        let full = full.next()?;
        let mean = |tokens: &[usize]| {
            let n = tokens.len();
            (n > 0).then(|| tokens.iter().sum::<usize>() / n)
        };
        let right = mean(&full.right_tokens).map(|n| (n, ReferenceSource::Level100));
        let trace = trace_tokens.map(|n| (n, ReferenceSource::Trace));
        let wrong = mean(&full.wrong_tokens).map(|n| (n, ReferenceSource::Level100Wrong));
        [right, trace, wrong]
            .into_iter()
            .flatten()
            .find(|(n, _)| *n > 0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use extracot_core::prompt::TURN_CLOSE;
    use extracot_core::{ByteTokenizer, FinishReason, Prompt, Rollout};

    fn samples(level: KeepLevel, texts: &[&str]) -> LevelSamples {
        let rollout = |(sample_idx, text): (usize, &&str)| Rollout {
            sample_idx,
            token_ids: ByteTokenizer.encode(text),
            logprobs: vec![],
            finish: FinishReason::EndToken,
        };
        let group = RolloutGroup {
            prompt: Prompt {
                id: "p".into(),
                token_ids: vec![],
            },
            rollouts: texts.iter().enumerate().map(rollout).collect(),
        };
        let parser = ResponseParser::try_new(&ByteTokenizer, TURN_CLOSE).unwrap();
        LevelSamples::new(&group, &problem(), level, &parser, &ByteTokenizer)
    }

    fn problem() -> Problem {
        Problem {
            id: "p".into(),
            question: "2+2?".into(),
            solution: None,
            answer: "4".into(),
            difficulty: None,
            options: Vec::new(),
        }
    }

    #[test]
    fn a_sample_is_right_if_it_answers_thinks_and_states_the_level() {
        let found = samples(
            KeepLevel::FULL,
            &[
                "<COMP_100>\n<think>\nabc\n</think>\n\\boxed{4}<|im_end|>",
                "<COMP_100>\n<think>\nabcde\n</think>\n\\boxed{5}<|im_end|>",
                "<COMP_80>\n<think>\nabcdefg\n</think>\n\\boxed{4}<|im_end|>",
                "<COMP_100>\n<think>\n\n</think>\n\\boxed{4}<|im_end|>",
                "<COMP_100>\n<think>\nabc \\boxed{4}",
            ],
        );
        assert_eq!((found.outcome.n_correct, found.outcome.n), (1, 5));
        assert_eq!(
            (found.right_tokens, found.wrong_tokens),
            (vec![3], vec![5, 7])
        );
        assert_eq!(found.n_stating_another, 1);
    }

    #[test]
    fn reference_tokens_are_those_of_right_answers_then_of_the_trace_then_of_wrong_ones() {
        let full = |texts: &[&str]| Item {
            problem: problem(),
            levels: vec![
                samples(KeepLevel::ALL[0], &[]),
                samples(KeepLevel::FULL, texts),
            ],
        };
        let right = "<COMP_100>\n<think>\nabc\n</think>\n\\boxed{4}<|im_end|>";
        let longer = "<COMP_100>\n<think>\nabcdef\n</think>\n\\boxed{4}<|im_end|>";
        let wrong = "<COMP_100>\n<think>\nabcde\n</think>\n\\boxed{5}<|im_end|>";
        // (3 + 6) / 2 = 4.5, rounded down.
        let item = full(&[right, longer, wrong]);
        assert_eq!(
            item.reference(Some(50)),
            Some((4, ReferenceSource::Level100))
        );
        assert_eq!(
            full(&[wrong]).reference(Some(50)),
            Some((50, ReferenceSource::Trace))
        );
        assert_eq!(
            full(&[wrong]).reference(None),
            Some((5, ReferenceSource::Level100Wrong))
        );
        assert_eq!(full(&["nothing"]).reference(Some(0)), None);
    }
}
