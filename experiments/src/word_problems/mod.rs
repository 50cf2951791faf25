//! The embedded task: multi-step word problems of graded difficulty with verbose chains of thought.
//!
//! A problem is a start value and one operation per step; everything else (names, phrasings) is
//! wording. The arithmetic alone decides the split, so the splits share no problem, whatever the
//! wording: they are disjoint by construction.

mod detail;
mod drill;
mod phrases;
mod steps;

use anyhow::{Result, bail};
use extracot_core::{Problem, Seed};
use rand::RngExt;

pub use detail::Detail;
pub use drill::drill;
use phrases::{Wording, fill};
pub use steps::{Operation, OperationMix, Plan};

/// Largest difficulty: steps of the longest problems.
pub const MAX_STEPS: u32 = 6;

/// Steps at the beginning of the longest chains of thought that are neither linked nor checked:
/// there formulas are the largest share of the tokens, and level 20 cannot hold them all.
///
/// At the end they would be a trap: a last step that is checked belongs to a shorter problem, so that
/// a model that lost count would stop one step early.
const HURRIED_STEPS: usize = 2;

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
        let plan = draw_plan(split, n_steps, &OperationMix::STORY, stream);
        if seen.insert(plan.key()) {
            let id = format!("{}-{}", split.name(), problems.len());
            problems.push(word_problem(&plan, id, Detail::Full, stream));
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
pub fn draw_plan(split: Split, n_steps: u32, mix: &OperationMix, seed: Seed) -> Plan {
    let mut rng = seed.derive("plan", 0).rng();
    loop {
        let plan = Plan::draw(n_steps, mix, &mut rng);
        if Split::of(&plan) == split {
            return plan;
        }
    }
}

/// Words for a plan.
///
/// The wording of the question is drawn; the chain of thought follows from it. Wording drawn anew
/// in the chain of thought would be noise that no model can predict, and a small model would spend
/// its training on it instead of on arithmetic.
pub fn word_problem(plan: &Plan, id: String, detail: Detail, seed: Seed) -> WordProblem {
    let mut rng = seed.derive("wording", 0).rng();
    let wording = Wording::draw(&mut rng);
    let start_idx = rng.random_range(0..phrases::START.len());
    let ask_idx = rng.random_range(0..phrases::ASK.len());

    let mut question = vec![fill(phrases::START[start_idx], &wording, &[plan.start])];
    let mut think = Vec::new();
    let mut say = |least: Detail, sentence: String| {
        if detail >= least {
            think.push(sentence);
        }
    };
    let phrase = |options: &[&'static str], idx: usize, numbers: &[u32]| {
        fill(nth(options, idx), &wording, numbers)
    };
    say(Detail::Full, phrase(phrases::OPENING, start_idx, &[]));
    let restated = phrase(phrases::RESTATE_START, start_idx, &[plan.start]);
    say(Detail::Conclusions, restated);
    let mut equations = Vec::new();
    let mut value = plan.start;
    let n_steps = plan.operations.len();
    for (step_idx, operation) in plan.operations.iter().enumerate() {
        let result = operation.apply(value);
        let numbers = [operation.operand(), value, result];
        let options = operation.phrases();
        let told_idx = rng.random_range(0..options.told.len());
        let told = phrase(options.told, told_idx, &numbers);
        question.push(told.clone());
        say(Detail::Story, told);
        let equation = format!("${}$", operation.equation(value));
        say(
            Detail::Equations,
            match detail {
                Detail::Equations => format!("{equation}."),
                _ => format!("{} {equation}.", nth(phrases::RESULT, told_idx)),
            },
        );
        if n_steps < MAX_STEPS as usize || step_idx >= HURRIED_STEPS {
            say(Detail::Reasons, phrase(options.link, told_idx, &numbers));
            say(Detail::Full, phrase(options.check, told_idx, &numbers));
            let concluded = phrase(phrases::CONCLUDE, told_idx, &numbers);
            say(Detail::Conclusions, concluded);
        }
        equations.push(equation);
        value = result;
    }
    say(Detail::Reasons, phrase(phrases::LOOK_BACK, ask_idx, &[]));
    say(
        Detail::Equations,
        match detail {
            Detail::Equations => format!("{value}."),
            _ => phrase(phrases::FINAL, ask_idx, &[value]),
        },
    );
    question.push(phrase(phrases::ASK, ask_idx, &[]));
    question.extend(detail.instruction().map(str::to_owned));

    WordProblem {
        problem: Problem {
            id,
            question: question.join(" "),
            solution: Some(equations.join(" ")),
            answer: value.to_string(),
            difficulty: Some(n_steps as u32),
            options: Vec::new(),
        },
        think: think.join(" "),
        visible: format!("The answer is \\boxed{{{value}}}."),
    }
}

/// The phrase that goes with phrase number `idx` of another list, which may be longer.
fn nth(options: &[&'static str], idx: usize) -> &'static str {
    options[idx % options.len()]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use extracot_core::label::{Annotator, SolutionAnnotator};
    use extracot_core::{AtomKind, Tokenizer, segment};
    use extracot_models::HfTokenizer;

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
    fn the_chain_of_thought_follows_from_the_question() {
        let mut thoughts = std::collections::HashMap::new();
        let mut n_repeats = 0;
        // Few plans and many wordings: questions come twice.
        for draw in 0..4000 {
            let plan = draw_plan(Split::Train, 1, &OperationMix::STORY, Seed(draw % 8));
            let item = word_problem(&plan, String::new(), Detail::Full, Seed(draw));
            let known = thoughts
                .entry(item.problem.question)
                .or_insert(item.think.clone());
            n_repeats += usize::from(*known == item.think);
            assert_eq!(*known, item.think);
        }
        assert!(n_repeats > thoughts.len());
    }

    /// The tension that the task is made for: level 20 holds what solves problems of up to five
    /// steps, and not all of it at six.
    #[test]
    fn what_solves_a_problem_is_a_fifth_of_the_tokens_and_more_where_it_is_hard() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base");
        let tokenizer = HfTokenizer::load(&folder).unwrap();
        let mut needed: Vec<Vec<f64>> = vec![Vec::new(); MAX_STEPS as usize];
        let (mut n_formula, mut n_all) = (0, 0);
        for item in problem_set(Split::Develop, 600, Seed(1)).unwrap() {
            let cot = segment(&item.think);
            let labels = SolutionAnnotator.annotate(&item.problem, &cot).unwrap();
            let (mut n_needed, mut n_tokens) = (0, 0);
            for (atom_idx, atom) in cot.atoms().iter().enumerate() {
                let cost = tokenizer.n_tokens(cot.atom_text(atom_idx));
                n_tokens += cost;
                n_needed += cost * usize::from(labels.as_slice()[atom_idx]);
                n_formula += cost * usize::from(atom.kind == AtomKind::Formula);
            }
            n_all += n_tokens;
            let steps = item.problem.difficulty.unwrap() as usize;
            needed[steps - 1].push(n_needed as f64 / n_tokens as f64);
        }
        let quantile = |shares: &[f64], q: f64| shares[(q * (shares.len() - 1) as f64) as usize];
        for shares in &mut needed {
            shares.sort_by(f64::total_cmp);
            let [low, mid, high] = [0.1, 0.5, 0.9].map(|q| quantile(shares, q));
            eprintln!("needed: median {mid:.3}, 80 % within {low:.3} to {high:.3}");
        }
        let formulas = n_formula as f64 / n_all as f64;
        let tokens = n_all as f64 / 600.0;
        eprintln!("formulas {formulas:.3} of the tokens, {tokens:.0} think tokens on average");
        assert!((0.17..0.25).contains(&formulas), "{formulas}");
        for (idx, shares) in needed.iter().enumerate() {
            if (idx as u32) < MAX_STEPS - 1 {
                assert!(
                    quantile(shares, 0.75) < 0.2,
                    "{} steps: {shares:?}",
                    idx + 1
                );
            } else {
                assert!(quantile(shares, 0.1) > 0.2, "{} steps: {shares:?}", idx + 1);
            }
        }
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
