//! One sample as it stands in `prediction.json`.

use extracot_core::report::EvalRecord;
use extracot_core::verify::{ExtractionRule, extract_answer};
use extracot_core::{
    AnswerVerifier, ControlToken, FinishReason, KeepLevel, MathVerifier, Problem, ThinkState,
};
use serde::{Deserialize, Serialize};

use crate::commands::verdict::VerdictName;

/// A judged sample: one line of `prediction.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prediction {
    /// The problem.
    pub(crate) id: String,
    /// Number of the sample among those of the problem, from 0.
    pub(crate) sample_idx: usize,
    pub(crate) question: String,
    pub(crate) gold: String,
    pub(crate) difficulty: Option<u32>,
    /// What the prompt asked for.
    pub(crate) asked: Option<ControlToken>,
    /// The level that the completion states first.
    pub(crate) chosen: Option<KeepLevel>,
    pub(crate) verdict: VerdictName,
    /// Why the verdict is undecided.
    pub(crate) reason: Option<String>,
    /// The answer that was judged.
    pub(crate) extracted: Option<String>,
    /// How it was found.
    pub(crate) rule: Option<ExtractionRule>,
    pub(crate) think_state: ThinkState,
    pub(crate) finish: FinishReason,
    pub(crate) think_tokens: usize,
    pub(crate) total_tokens: usize,
    /// Of the request, where there was one for this sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_s: Option<f64>,
    /// The completion, without the end of turn.
    pub(crate) text: String,
}

/// A completion, taken apart by whoever knows its tokens.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) control: Option<ControlToken>,
    pub(super) think_state: ThinkState,
    pub(super) visible: String,
    pub(super) think_tokens: usize,
    pub(super) total_tokens: usize,
    pub(super) finish: FinishReason,
    pub(super) latency_s: Option<f64>,
    pub(super) text: String,
}

impl Prediction {
    /// Judges the visible answer of a completion.
    pub(super) fn judge(
        problem: &Problem,
        sample_idx: usize,
        asked: Option<ControlToken>,
        completion: Completion,
    ) -> Self {
        let found = extract_answer(&completion.visible);
        let verdict = MathVerifier.verify(&completion.visible, &problem.answer);
        let (verdict, reason) = VerdictName::of(verdict);
        Self {
            id: problem.id.clone(),
            sample_idx,
            question: problem.question.clone(),
            gold: problem.answer.clone(),
            difficulty: problem.difficulty,
            asked,
            chosen: completion.control.and_then(ControlToken::level),
            verdict,
            reason,
            extracted: found.map(|found| found.text.to_owned()),
            rule: found.map(|found| found.rule),
            think_state: completion.think_state,
            finish: completion.finish,
            think_tokens: completion.think_tokens,
            total_tokens: completion.total_tokens,
            latency_s: completion.latency_s,
            text: completion.text,
        }
    }

    /// The sample for statistics.
    pub(crate) fn record(&self) -> EvalRecord {
        EvalRecord {
            problem_id: self.id.clone(),
            sample_idx: self.sample_idx,
            difficulty: self.difficulty,
            asked: self.asked,
            chosen: self.chosen,
            verdict: self.verdict.with_reason(self.reason.as_deref()),
            extracted: self.extracted.clone(),
            extraction: self.rule,
            think_state: self.think_state,
            finish: self.finish,
            think_tokens: self.think_tokens,
            total_tokens: self.total_tokens,
            text: String::new(),
        }
    }
}
