//! What makes a completion unsound although it is well formed.

use serde::{Deserialize, Serialize};

use crate::Response;
use crate::verify::extract::last_box_span;

/// A rule of sound completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrityRule {
    /// No phrase is repeated over and over.
    Repetition,
    /// Every formula that is opened is closed.
    CutFormula,
    /// The visible answer holds a box; one inside the think text does not count.
    MissingBox,
}

impl IntegrityRule {
    /// All rules.
    pub const ALL: [Self; 3] = [Self::Repetition, Self::CutFormula, Self::MissingBox];
}

/// Longest phrase looked at, in words.
const MAX_PHRASE_WORDS: usize = 8;
/// A phrase this often in a row is a repetition.
const MAX_REPEATS: usize = 4;

/// The rules that a completion breaks.
pub fn violated_rules(response: &Response) -> Vec<IntegrityRule> {
    IntegrityRule::ALL
        .into_iter()
        .filter(|rule| match rule {
            IntegrityRule::Repetition => repeats(&response.think),
            IntegrityRule::CutFormula => has_cut_formula(&response.think),
            IntegrityRule::MissingBox => last_box_span(&response.visible).is_none(),
        })
        .collect()
}

fn repeats(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    (1..=MAX_PHRASE_WORDS).any(|n_words| {
        // Words equal to the one a phrase length earlier, in a row.
        let mut run = 0;
        words
            .iter()
            .zip(words.iter().skip(n_words))
            .any(|(earlier, later)| {
                run = if earlier == later { run + 1 } else { 0 };
                run >= n_words * (MAX_REPEATS - 1)
            })
    })
}

fn has_cut_formula(text: &str) -> bool {
    let unescaped = text.replace("\\\\", "").replace("\\$", "");
    let count = |mark: &str| unescaped.matches(mark).count();
    count("$") % 2 == 1 || count("\\(") != count("\\)") || count("\\[") != count("\\]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ThinkState;

    fn violated(think: &str, visible: &str) -> Vec<IntegrityRule> {
        violated_rules(&Response {
            control: None,
            think_state: ThinkState::Closed,
            think_tokens: 1,
            total_tokens: 1,
            think: think.into(),
            visible: visible.into(),
        })
    }

    #[test]
    fn each_rule_is_told_apart() {
        assert_eq!(violated("so $1+1=2$ costs \\$2", "\\boxed{2}"), []);
        assert_eq!(
            violated("so $1+1=2", "\\boxed{2}"),
            [IntegrityRule::CutFormula]
        );
        assert_eq!(
            violated("\\boxed{2}", "it is 2"),
            [IntegrityRule::MissingBox]
        );
        assert_eq!(
            violated("go on go on go on go on", "\\boxed{2}"),
            [IntegrityRule::Repetition]
        );
        assert_eq!(violated("go on go on go on", "\\boxed{2}"), []);
    }
}
