//! The embedded task: multi-step word problems of graded difficulty with verbose chains of thought.
//!
//! A problem is a start value and one operation per step; everything else (names, phrasings) is
//! wording. The arithmetic alone decides the split, so the splits share no problem, whatever the
//! wording: they are disjoint by construction.

mod drill;
mod phrases;
mod steps;

use anyhow::{Result, bail};
use extracot_core::{Problem, Seed};
use rand::RngExt;
use rand::seq::IndexedRandom;

pub use drill::drill;
use phrases::{Wording, fill};
pub use steps::{Operation, Plan};

/// Largest difficulty: steps of the longest problems.
pub const MAX_STEPS: u32 = 6;

/// Steps at the beginning of a chain of thought that are linked and checked with care; later ones
/// are terse, so that the share of formulas rises with difficulty, from a ninth to a fifth.
const EARLY_STEPS: usize = 3;

/// Which problems a stage may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Problems the base model is trained on.
    Pretrain,
    /// Problems whose traces are compressed for fine-tuning.
    Train,
    /// Problems for reinforcement learning.
    Reinforce,
    /// Problems for development: what tuning may look at.
    Develop,
    /// Problems for the final table, never tuned on.
    Test,
}

impl Split {
    /// All splits.
    pub const ALL: [Self; 5] = [
        Self::Pretrain,
        Self::Train,
        Self::Reinforce,
        Self::Develop,
        Self::Test,
    ];

    /// The split's name, as it appears in problem ids.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pretrain => "pretrain",
            Self::Train => "train",
            Self::Reinforce => "reinforce",
            Self::Develop => "develop",
            Self::Test => "test",
        }
    }

    /// The split that owns a plan: a fixed share of the hash range each.
    pub fn of(plan: &Plan) -> Self {
        match Seed(0).derive(&plan.key(), 0).0 % 100 {
            0..50 => Self::Pretrain,
            50..65 => Self::Train,
            65..80 => Self::Reinforce,
            80..88 => Self::Develop,
            _ => Self::Test,
        }
    }
}

/// A generated problem with the chain of thought that a verbose reasoner writes for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordProblem {
    /// The problem; its `solution` is the list of equations.
    pub problem: Problem,
    /// A verbose think text.
    pub think: String,
    /// The visible answer.
    pub visible: String,
}

/// Draws in a row that may repeat a known plan before a split counts as exhausted.
const MAX_REPEATS: u64 = 20_000;

/// `n` problems of a split, with difficulties `1..=MAX_STEPS` in turn; no plan occurs twice.
///
/// # Errors
///
/// If the split has fewer different plans of some difficulty: there are few of one step.
pub fn problem_set(split: Split, n: usize, seed: Seed) -> Result<Vec<WordProblem>> {
    let mut seen = std::collections::HashSet::new();
    let mut problems = Vec::with_capacity(n);
    let (mut attempt, mut last_new) = (0, 0);
    while problems.len() < n {
        let n_steps = problems.len() as u32 % MAX_STEPS + 1;
        let stream = seed.derive("problem-set", attempt);
        attempt += 1;
        let plan = draw_plan(split, n_steps, stream);
        if seen.insert(plan.key()) {
            let id = format!("{}-{}", split.name(), problems.len());
            problems.push(word_problem(&plan, id, stream));
            last_new = attempt;
        } else if attempt - last_new > MAX_REPEATS {
            bail!(
                "the {} split has no more than {} different problems of {n_steps} steps; \
                 ask for fewer than {n} problems",
                split.name(),
                problems.len() / MAX_STEPS as usize
            );
        }
    }
    Ok(problems)
}

/// A plan of `n_steps` steps that belongs to `split`.
pub fn draw_plan(split: Split, n_steps: u32, seed: Seed) -> Plan {
    let mut rng = seed.derive("plan", 0).rng();
    loop {
        let plan = Plan::draw(n_steps, &mut rng);
        if Split::of(&plan) == split {
            return plan;
        }
    }
}

/// Words for a plan.
pub fn word_problem(plan: &Plan, id: String, seed: Seed) -> WordProblem {
    let mut rng = seed.derive("wording", 0).rng();
    let wording = Wording::draw(&mut rng);

    let mut question = vec![fill(
        pick(phrases::START, &mut rng),
        &wording,
        &[plan.start],
    )];
    let mut think = vec![
        fill(pick(phrases::OPENING, &mut rng), &wording, &[]),
        fill(
            pick(phrases::RESTATE_START, &mut rng),
            &wording,
            &[plan.start],
        ),
    ];
    let mut equations = Vec::new();
    let mut value = plan.start;
    for (step_idx, operation) in plan.operations.iter().enumerate() {
        let early = step_idx < EARLY_STEPS;
        let result = operation.apply(value);
        let numbers = [operation.operand(), value, result];
        let phrases = operation.phrases();
        let phrase_idx = rng.random_range(0..phrases.told.len());
        question.push(fill(phrases.told[phrase_idx], &wording, &numbers));
        let restated = rng.random_range(0..phrases.told.len());
        think.push(fill(phrases.told[restated], &wording, &numbers));
        if early || rng.random_bool(0.3) {
            think.push(fill(pick(phrases.link, &mut rng), &wording, &numbers));
        }
        let equation = operation.equation(value);
        think.push(format!("{} ${equation}$.", pick(phrases::RESULT, &mut rng)));
        if early && rng.random_bool(0.8) {
            think.push(fill(pick(phrases.check, &mut rng), &wording, &numbers));
        }
        think.push(fill(pick(phrases::CONCLUDE, &mut rng), &wording, &numbers));
        equations.push(equation);
        value = result;
    }
    question.push(fill(pick(phrases::ASK, &mut rng), &wording, &[]));
    think.push(fill(pick(phrases::LOOK_BACK, &mut rng), &wording, &[]));
    think.push(fill(pick(phrases::FINAL, &mut rng), &wording, &[value]));

    WordProblem {
        problem: Problem {
            id,
            question: question.join(" "),
            solution: Some(
                equations
                    .iter()
                    .map(|e| format!("${e}$"))
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
            answer: value.to_string(),
            difficulty: Some(plan.operations.len() as u32),
        },
        think: think.join(" "),
        visible: format!("The answer is \\boxed{{{value}}}."),
    }
}

fn pick(options: &[&'static str], rng: &mut impl RngExt) -> &'static str {
    options.choose(rng).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn splits_share_no_question_and_no_arithmetic() {
        let mut owner = std::collections::HashMap::new();
        for split in Split::ALL {
            for item in problem_set(split, 600, Seed(3)).unwrap() {
                let equations = item.problem.solution.unwrap();
                let known = owner.entry(equations.clone()).or_insert(split);
                assert_eq!(*known, split, "{equations}");
            }
        }
    }

    #[test]
    fn problems_are_distinct_graded_and_stable() {
        let set = problem_set(Split::Test, 120, Seed(1)).unwrap();
        let questions: HashSet<_> = set.iter().map(|p| p.problem.question.clone()).collect();
        assert_eq!(questions.len(), 120);
        for (idx, item) in set.iter().enumerate() {
            assert_eq!(item.problem.difficulty, Some(idx as u32 % MAX_STEPS + 1));
        }
        assert_eq!(set, problem_set(Split::Test, 120, Seed(1)).unwrap());
        assert_ne!(set, problem_set(Split::Test, 120, Seed(2)).unwrap());
    }

    #[test]
    fn an_exhausted_split_is_an_error() {
        let message = problem_set(Split::Develop, 3000, Seed(1))
            .unwrap_err()
            .to_string();
        assert!(message.contains("develop split"), "{message}");
    }

    #[test]
    fn every_placeholder_is_filled() {
        for item in problem_set(Split::Train, 600, Seed(5)).unwrap() {
            for text in [&item.problem.question, &item.think] {
                assert!(!text.contains('@'), "{text}");
            }
        }
    }
}
