//! One sample as it stands in `prediction.json`.

use extracot_core::dataset::verify_problem;
use extracot_core::report::EvalRecord;
use extracot_core::verify::{ExtractionRule, extract_visible};
use extracot_core::{ControlToken, FinishReason, KeepLevel, MathVerifier, Problem, ThinkState};
use serde::{Deserialize, Serialize};

use super::VerdictName;

/// A judged sample: one line of `prediction.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The problem.
    pub id: String,
    /// Number of the sample among those of the problem, from 0.
    pub sample_idx: usize,
    /// The text of the question.
    pub question: String,
    /// The gold answer.
    pub gold: String,
    /// Graded difficulty, where known.
    pub difficulty: Option<u32>,
    /// What the prompt asked for.
    pub asked: Option<ControlToken>,
    /// The level that the completion states first.
    pub chosen: Option<KeepLevel>,
    /// Verdict on the visible answer.
    pub verdict: VerdictName,
    /// Why the verdict is undecided, or why there is no completion.
    pub reason: Option<String>,
    /// The answer that was judged.
    pub extracted: Option<String>,
    /// How it was found.
    pub rule: Option<ExtractionRule>,
    /// Whether there is one think text, opened and closed.
    pub think_state: ThinkState,
    /// Why generation ended.
    pub finish: FinishReason,
    /// Think tokens; every generated token unless the think text is closed.
    pub think_tokens: usize,
    /// All generated tokens.
    pub total_tokens: usize,
    /// Seconds of the request, where there was one for this sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_s: Option<f64>,
    /// The completion, without the end of turn.
    pub text: String,
}

/// A completion, taken apart by whoever knows its tokens.
#[derive(Debug)]
pub struct Completion {
    /// The control token that comes first.
    pub control: Option<ControlToken>,
    /// Whether there is one think text, opened and closed.
    pub think_state: ThinkState,
    /// What follows the think text.
    pub visible: String,
    /// Think tokens.
    pub think_tokens: usize,
    /// All generated tokens.
    pub total_tokens: usize,
    /// Why generation ended.
    pub finish: FinishReason,
    /// Seconds of the request, where there was one for this sample.
    pub latency_s: Option<f64>,
    /// The completion, without the end of turn.
    pub text: String,
}

impl Prediction {
    /// Judges the visible answer of a completion.
    pub fn judge(
        problem: &Problem,
        sample_idx: usize,
        asked: Option<ControlToken>,
        completion: Completion,
    ) -> Self {
        let sample = Self {
            id: problem.id.clone(),
            sample_idx,
            question: problem.question.clone(),
            gold: problem.answer.clone(),
            difficulty: problem.difficulty,
            asked,
            chosen: completion.control.and_then(ControlToken::level),
            verdict: VerdictName::NoAnswer,
            reason: None,
            extracted: None,
            rule: None,
            think_state: completion.think_state,
            finish: completion.finish,
            think_tokens: completion.think_tokens,
            total_tokens: completion.total_tokens,
            latency_s: completion.latency_s,
            text: completion.text,
        };
        sample.judged_again(problem, &completion.visible)
    }

    /// A sample whose request failed, in the place of its completion: it counts as one that ran into
    /// the limit of tokens would.
    pub fn open(
        problem: &Problem,
        sample_idx: usize,
        asked: Option<ControlToken>,
        (reason, max_new_tokens): (&str, usize),
    ) -> Self {
        Self {
            verdict: VerdictName::Open,
            reason: Some(reason.to_owned()),
            ..Self::judge(
                problem,
                sample_idx,
                asked,
                Completion {
                    control: None,
                    think_state: ThinkState::Unclosed,
                    visible: String::new(),
                    think_tokens: max_new_tokens,
                    total_tokens: max_new_tokens,
                    finish: FinishReason::MaxTokens,
                    latency_s: None,
                    text: String::new(),
                },
            )
        }
    }

    /// Whether there is no completion.
    pub fn is_open(&self) -> bool {
        self.verdict == VerdictName::Open
    }

    /// The sample with the verdict of this build on its visible answer.
    #[must_use]
    pub fn judged_again(mut self, problem: &Problem, visible: &str) -> Self {
        let found = extract_visible(visible);
        let (verdict, reason) = VerdictName::of(verify_problem(&MathVerifier, visible, problem));
        self.verdict = verdict;
        self.reason = reason;
        self.extracted = found.map(|found| found.text.to_owned());
        self.rule = found.map(|found| found.rule);
        self
    }

    /// The sample for statistics.
    pub fn record(&self) -> EvalRecord {
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
            is_open: self.is_open(),
        }
    }
}
