//! How much a chain of thought says.

use rand::RngExt;
use rand::seq::IndexedRandom;

/// How much a chain of thought says: each variant adds a kind of sentence to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// The equations and the last number.
    Equations,
    /// Before each equation the sentence of the question that it comes from.
    Story,
    /// After it the reason for its operation.
    Reasons,
    /// The number that each step ends with, in words.
    Conclusions,
    /// A check of each step too: what is written where nothing is asked for.
    Full,
}

impl Detail {
    /// What a question says to ask for it.
    pub fn instruction(self) -> Option<&'static str> {
        match self {
            Self::Equations => Some("Write only the equations."),
            Self::Story => Some("Give no reasons."),
            Self::Reasons => Some("Do not conclude."),
            Self::Conclusions => Some("Do not check."),
            Self::Full => None,
        }
    }

    /// A detail below [`Detail::Full`], the least most often: its texts teach most per token.
    pub fn draw_brief(rng: &mut impl RngExt) -> Self {
        const BRIEF: [Detail; 8] = [
            Detail::Equations,
            Detail::Equations,
            Detail::Equations,
            Detail::Story,
            Detail::Story,
            Detail::Reasons,
            Detail::Reasons,
            Detail::Conclusions,
        ];
        BRIEF.choose(rng).copied().unwrap_or(Self::Equations)
    }
}

#[cfg(test)]
mod tests {
    use extracot_core::Seed;

    use super::*;
    use crate::word_problems::{Operation, Plan, word_problem};

    #[test]
    fn each_detail_adds_sentences_to_the_one_before() {
        let operations = vec![Operation::Add(4), Operation::Subtract(7)];
        let plan = Plan {
            start: 23,
            operations,
        };
        let item = |detail| word_problem(&plan, String::new(), detail, Seed(1));
        let brief = item(Detail::Equations);
        assert_eq!(brief.think, "$23+4=27$. $27-7=20$. 20.");
        assert!(
            brief
                .problem
                .question
                .ends_with("? Write only the equations.")
        );
        assert_eq!(brief.visible, "The answer is \\boxed{20}.");

        let full = item(Detail::Full);
        let all = [
            Detail::Story,
            Detail::Reasons,
            Detail::Conclusions,
            Detail::Full,
        ];
        let mut n_sentences = 0;
        for detail in all {
            let said = item(detail);
            let mut rest = full.think.as_str();
            let sentences: Vec<&str> = said.think.split_inclusive(". ").collect();
            for sentence in &sentences {
                let found = rest
                    .find(sentence.trim())
                    .expect("a sentence of the full text");
                rest = &rest[found + sentence.trim().len()..];
            }
            assert!(sentences.len() > n_sentences, "{}", said.think);
            n_sentences = sentences.len();
            let told = full.problem.question.as_str();
            assert!(said.problem.question.starts_with(told));
        }
        // Two steps of told, equation, link, check and conclusion; opening, start, look back, end.
        assert_eq!(n_sentences, 14);
    }
}
