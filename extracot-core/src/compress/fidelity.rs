//! What a compressed text has kept of what matters: formulas, the answer, numbers.

use serde::{Deserialize, Serialize};

use super::CompressedCot;
use crate::atom::anchor::holds_answer;
use crate::atom::math::formula_spans;

/// What one compressed text kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fidelity {
    /// Formulas of the original that are kept whole.
    pub formulas_whole: usize,
    /// Formulas of which a part is kept.
    pub formulas_cut: usize,
    /// Formulas of the original.
    pub formulas: usize,
    /// Runs of digits of the original that are kept whole.
    pub numbers_kept: usize,
    /// Runs of digits of the original.
    pub numbers: usize,
    /// Whether the original states the gold answer.
    pub had_answer: bool,
    /// Whether the compressed text does.
    pub keeps_answer: bool,
    /// Tokens kept.
    pub kept_tokens: usize,
    /// Tokens of the original.
    pub total_tokens: usize,
}

/// Sums over texts; the shares are ratios of sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FidelitySum {
    /// Texts.
    pub n_texts: usize,
    /// Formulas kept whole.
    pub formulas_whole: usize,
    /// Formulas cut.
    pub formulas_cut: usize,
    /// Formulas of the originals.
    pub formulas: usize,
    /// Numbers kept.
    pub numbers_kept: usize,
    /// Numbers of the originals.
    pub numbers: usize,
    /// Originals that state the answer.
    pub had_answer: usize,
    /// Of those, texts that still do.
    pub keeps_answer: usize,
    /// Tokens kept.
    pub kept_tokens: usize,
    /// Tokens of the originals.
    pub total_tokens: usize,
}

impl Fidelity {
    /// Compares a compressed text with its original.
    ///
    /// A formula of the original ([`formula_spans`]) is whole if it lies in one kept span, and cut if
    /// kept spans cover some of its bytes but not all in one piece. A number is a run of ASCII
    /// digits, with points between digits.
    pub fn of(original: &str, compressed: &CompressedCot, gold: &str) -> Self {
        let spans = &compressed.kept_spans;
        let is_whole =
            |start: usize, end: usize| spans.iter().any(|span| span.0 <= start && end <= span.1);
        let is_touched =
            |start: usize, end: usize| spans.iter().any(|span| span.0 < end && start < span.1);
        let formulas = formula_spans(original);
        let whole = formulas.iter().filter(|f| is_whole(f.start, f.end)).count();
        let touched = formulas
            .iter()
            .filter(|f| is_touched(f.start, f.end))
            .count();
        let numbers = number_spans(original);
        let had_answer = holds_answer(original, gold);
        Self {
            formulas_whole: whole,
            formulas_cut: touched - whole,
            formulas: formulas.len(),
            numbers_kept: numbers.iter().filter(|(s, e)| is_whole(*s, *e)).count(),
            numbers: numbers.len(),
            had_answer,
            keeps_answer: had_answer && holds_answer(&compressed.text, gold),
            kept_tokens: compressed.kept_tokens,
            total_tokens: compressed.total_tokens,
        }
    }
}

impl FidelitySum {
    /// Adds a text.
    pub fn add(&mut self, fidelity: &Fidelity) {
        self.n_texts += 1;
        self.formulas_whole += fidelity.formulas_whole;
        self.formulas_cut += fidelity.formulas_cut;
        self.formulas += fidelity.formulas;
        self.numbers_kept += fidelity.numbers_kept;
        self.numbers += fidelity.numbers;
        self.had_answer += usize::from(fidelity.had_answer);
        self.keeps_answer += usize::from(fidelity.keeps_answer);
        self.kept_tokens += fidelity.kept_tokens;
        self.total_tokens += fidelity.total_tokens;
    }

    /// Whole formulas among those that are kept in whole or part; none if none is kept.
    pub fn formula_integrity(&self) -> Option<f64> {
        share(self.formulas_whole, self.formulas_whole + self.formulas_cut)
    }

    /// Texts that keep the gold answer among those that had it.
    pub fn answer_retention(&self) -> Option<f64> {
        share(self.keeps_answer, self.had_answer)
    }

    /// Numbers kept.
    pub fn number_retention(&self) -> Option<f64> {
        share(self.numbers_kept, self.numbers)
    }

    /// Tokens kept, ratio of sums.
    pub fn realized_ratio(&self) -> Option<f64> {
        share(self.kept_tokens, self.total_tokens)
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn number_spans(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for at in (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()) {
        match spans.last_mut() {
            Some(last) if last.1 == at => last.1 = at + 1,
            Some(last) if last.1 + 1 == at && bytes[at - 1] == b'.' => last.1 = at + 1,
            _ => spans.push((at, at + 1)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_whole_cut_or_gone_and_numbers_count() {
        let original = "Take $x = 3$ and $y = 4.5$; then $x + y = 7.5$. So 7.5.";
        let compressed = |spans: &[(usize, usize)]| CompressedCot {
            text: spans
                .iter()
                .map(|(s, e)| &original[*s..*e])
                .collect::<Vec<_>>()
                .join(" "),
            target_ratio: None,
            kept_tokens: 3,
            total_tokens: 9,
            kept_spans: spans.to_vec(),
        };
        // `$x = 3$` is whole, of the second `4.5$` is kept, the third is gone.
        let kept = compressed(&[(0, 12), (22, 26)]);
        let found = Fidelity::of(original, &kept, "7.5");
        assert_eq!(
            (found.formulas_whole, found.formulas_cut, found.formulas),
            (1, 1, 3)
        );
        // 3 and 4.5 of 3, 4.5, 7.5, 7.5.
        assert_eq!((found.numbers_kept, found.numbers), (2, 4));
        assert!(found.had_answer && !found.keeps_answer);
        let mut sum = FidelitySum::default();
        sum.add(&found);
        sum.add(&Fidelity::of(
            original,
            &compressed(&[(0, original.len())]),
            "7.5",
        ));
        assert_eq!(sum.formula_integrity(), Some(4.0 / 5.0));
        assert_eq!(sum.answer_retention(), Some(0.5));
        assert_eq!(sum.number_retention(), Some(6.0 / 8.0));
        assert_eq!(sum.realized_ratio(), Some(6.0 / 18.0));
        assert_eq!(FidelitySum::default().formula_integrity(), None);
    }
}
