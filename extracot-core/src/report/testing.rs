//! Records for tests.

use super::EvalRecord;
use crate::{ControlToken, FinishReason, KeepLevel, MathVerifier, ThinkState, Verdict};

/// A finished sample of difficulty 1 that states level 20.
pub(super) fn sample(
    problem_id: &str,
    sample_idx: usize,
    verdict: Verdict,
    think_tokens: usize,
) -> EvalRecord {
    EvalRecord {
        problem_id: problem_id.into(),
        sample_idx,
        difficulty: Some(1),
        asked: Some(ControlToken::Policy),
        chosen: Some(KeepLevel::ALL[0]),
        verdict,
        extracted: None,
        extraction: None,
        think_state: ThinkState::Closed,
        finish: FinishReason::EndToken,
        think_tokens,
        total_tokens: think_tokens + 10,
        text: String::new(),
        is_open: false,
    }
}

/// A sample that answers `answer`.
pub(super) fn answer(problem_id: &str, sample_idx: usize, answer: &str, gold: &str) -> EvalRecord {
    let verdict = MathVerifier.verify_answer(answer, gold);
    EvalRecord {
        extracted: (!answer.is_empty()).then(|| answer.to_owned()),
        ..sample(problem_id, sample_idx, verdict, 10)
    }
}
