//! Prompts, rollouts, verdicts: shared by evaluation, teacher budgets and trace collection.

use extracot_core::dataset::verify_problem;
use extracot_core::report::EvalRecord;
use extracot_core::verify::extract_visible;
use extracot_core::{
    AnswerVerifier, ChatTemplate, ControlToken, CoreError, Problem, Prompt, Response,
    ResponseParser, Rollout, RolloutEngine, SamplingParams, Seed, Tokenizer, Verdict,
};

use crate::TrainError;

/// What turns problems into prompts and token ids into verdicts; one per policy.
pub struct TaskContext<'a> {
    /// The policy's tokenizer.
    pub tokenizer: &'a dyn Tokenizer,
    /// The chat template.
    pub chat: &'a ChatTemplate,
    /// Splits completions.
    pub parser: &'a ResponseParser,
    /// Judges answers.
    pub verifier: &'a dyn AnswerVerifier,
}

impl std::fmt::Debug for TaskContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskContext")
            .field("chat", self.chat)
            .finish_non_exhaustive()
    }
}

/// A rollout taken apart and judged.
#[derive(Debug, Clone)]
pub struct JudgedRollout {
    /// The completion, taken apart.
    pub response: Response,
    /// The verdict on its visible answer.
    pub verdict: Verdict,
}

impl TaskContext<'_> {
    /// The prompt of a problem under a control token (`None`: a model without control tokens).
    ///
    /// # Errors
    ///
    /// [`CoreError::Template`] if the chat template fails.
    pub fn prompt(
        &self,
        problem: &Problem,
        control: Option<ControlToken>,
    ) -> Result<Prompt, CoreError> {
        let text = self.chat.prompt(&problem.question, control)?;
        Ok(Prompt {
            id: problem.id.clone(),
            token_ids: self.tokenizer.encode(&text),
        })
    }

    /// Takes a rollout apart and judges its visible answer.
    pub fn judge(&self, problem: &Problem, rollout: &Rollout) -> JudgedRollout {
        let response = self.parser.parse(self.tokenizer, &rollout.token_ids);
        let verdict = verify_problem(self.verifier, &response.visible, problem);
        JudgedRollout { response, verdict }
    }
}

/// Samples every problem under one control token and records each sample, problem after problem.
///
/// # Errors
///
/// What the engine fails with.
pub fn evaluate<E>(
    engine: &E,
    context: &TaskContext<'_>,
    problems: &[Problem],
    control: Option<ControlToken>,
    params: &SamplingParams,
    seed: Seed,
) -> Result<Vec<EvalRecord>, TrainError>
where
    E: RolloutEngine,
    TrainError: From<E::Error>,
{
    let prompts: Vec<_> = problems
        .iter()
        .map(|p| context.prompt(p, control))
        .collect::<Result<_, _>>()?;
    let groups = engine.rollout(&prompts, params, seed)?;
    let mut records = Vec::with_capacity(groups.len() * params.group_size);
    for (problem, group) in problems.iter().zip(&groups) {
        for (sample_idx, rollout) in group.rollouts.iter().enumerate() {
            let JudgedRollout { response, verdict } = context.judge(problem, rollout);
            let extracted = extract_visible(&response.visible);
            records.push(EvalRecord {
                problem_id: problem.id.clone(),
                sample_idx,
                difficulty: problem.difficulty,
                asked: control,
                chosen: response.control.and_then(ControlToken::level),
                verdict,
                extracted: extracted.map(|found| found.text.to_owned()),
                extraction: extracted.map(|found| found.rule),
                think_state: response.think_state,
                finish: rollout.finish,
                think_tokens: response.think_tokens,
                total_tokens: response.total_tokens,
                text: context.tokenizer.decode(&rollout.token_ids),
                is_open: false,
            });
        }
    }
    Ok(records)
}
