//! Problems with their budgets, and recorded rollouts.

use std::path::Path;

use anyhow::{Context, Result, bail};
use extracot_core::jsonl::{read_jsonl, read_numbered_jsonl};
use extracot_core::{ControlToken, Problem, RecordedRollout, ReplayEngine, Seed};
use extracot_train::evaluate::TaskContext;
use extracot_train::policy_trainer::PolicyProblem;

use super::settings::Settings;
use crate::commands::budgets::BudgetRow;
use crate::commands::training::{explain_rows, share_of};

/// What is trained on and what is looked at.
#[derive(Debug)]
pub(super) struct Problems {
    pub(super) train: Vec<PolicyProblem>,
    pub(super) validation: Vec<PolicyProblem>,
    /// Left out: their prompts leave no room for the rollouts.
    pub(super) n_too_long: usize,
    /// Tokens of the longest prompt that is left.
    pub(super) longest_prompt: usize,
}

impl Problems {
    /// Reads problems and takes apart what is looked at.
    ///
    /// # Errors
    ///
    /// By file and line, a row that is no problem with a budget; an id that stands twice; too few problems
    /// for a step.
    pub(super) fn read(
        path: &Path,
        context: &TaskContext<'_>,
        settings: &Settings,
        room: usize,
        seed: Seed,
    ) -> Result<Self> {
        let mut problems = Self {
            train: vec![],
            validation: vec![],
            n_too_long: 0,
            longest_prompt: 0,
        };
        let rows: Vec<BudgetRow> = read_jsonl(path).map_err(|error| {
            explain_rows(
                error,
                "problems have the fields that `extracot budgets` writes: `id`, `question`, `answer`, \
                 `budget`, `reference_tokens`",
            )
        })?;
        let mut ids = std::collections::HashSet::new();
        let policy = &settings.chrpo.policy;
        for row in rows {
            if !ids.insert(row.id.clone()) {
                bail!("{}: the id `{}` stands twice", path.display(), row.id);
            }
            let problem = policy_problem(row);
            let prompt = context.prompt(&problem.problem, Some(ControlToken::Policy))?;
            let n_tokens = prompt.token_ids.len();
            if n_tokens + policy.max_new_tokens > room {
                problems.n_too_long += 1;
                continue;
            }
            problems.longest_prompt = problems.longest_prompt.max(n_tokens);
            match share_of(&problem.problem.question, settings.validation_share, seed) {
                true => problems.validation.push(problem),
                false => problems.train.push(problem),
            }
        }
        let (n_train, n_validation) = (problems.train.len(), problems.validation.len());
        let n_wanted = policy.prompts_per_step;
        if n_train < n_wanted || (n_validation == 0 && settings.validation_share > 0.0) {
            bail!(
                "{} with validation_share = {} gives {n_train} problems to train on, of which a step takes \
                 {n_wanted}, and {n_validation} to look at; {} prompts leave no room for \
                 chrpo.policy.max_new_tokens = {} in {room} positions",
                path.display(),
                settings.validation_share,
                problems.n_too_long,
                policy.max_new_tokens
            );
        }
        if problems.n_too_long > 0 {
            eprintln!(
                "[chrpo] {} problems are left out: their prompts leave no room for {} tokens",
                problems.n_too_long, policy.max_new_tokens
            );
        }
        Ok(problems)
    }
}

fn policy_problem(row: BudgetRow) -> PolicyProblem {
    PolicyProblem {
        budget: row.budget,
        reference_tokens: row.reference_tokens,
        problem: Problem {
            id: row.id,
            question: row.question,
            answer: row.answer,
            options: row.options,
            difficulty: None,
            solution: None,
        },
    }
}

/// Reads recorded rollouts.
///
/// # Errors
///
/// By file and line, a row that is none, a token that the model does not have, and a rollout longer than
/// `max_new_tokens`.
pub(super) fn read_replay(
    path: &Path,
    vocab_size: usize,
    max_new_tokens: usize,
) -> Result<ReplayEngine> {
    let mut rows = Vec::new();
    for (line, row) in read_numbered_jsonl::<RecordedRollout>(path)? {
        let ids = &row.rollout.token_ids;
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocab_size) {
            bail!(
                "{}:{line}: token id {id} is not below the vocabulary's {vocab_size}",
                path.display()
            );
        }
        if ids.len() > max_new_tokens {
            bail!(
                "{}:{line}: {} tokens, and chrpo.policy.max_new_tokens = {max_new_tokens}",
                path.display(),
                ids.len()
            );
        }
        rows.push(row);
    }
    ReplayEngine::try_new(rows).with_context(|| format!("{}", path.display()))
}
