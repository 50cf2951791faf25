//! Teacher budgets: how short a problem can be answered reliably.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::KeepLevel;

/// Right answers of the samples at one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelOutcome {
    /// The level that was asked for.
    pub level: KeepLevel,
    /// Samples answered right.
    pub n_correct: usize,
    /// Samples drawn.
    pub n: usize,
}

impl LevelOutcome {
    fn passes(&self) -> bool {
        self.n > 0 && self.n_correct == self.n
    }
}

/// Which levels must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetRule {
    /// The smallest level whose samples are all right.
    #[default]
    Smallest,
    /// The smallest level such that it and every larger one is all right. Long chains of thought
    /// are often the ones that fail, so this leaves hard problems without a budget.
    Strict,
}

/// The teacher budget r*: the smallest level at which all samples are right, `None` if there is
/// none.
///
/// # Source
///
/// Extra-CoT, overview figure (three samples per level); the strict reading is the reference's.
pub fn teacher_budget(outcomes: &[LevelOutcome], rule: BudgetRule) -> Option<KeepLevel> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by_key(|outcome| outcome.level);
    match rule {
        BudgetRule::Smallest => sorted.iter().find(|o| o.passes()).map(|o| o.level),
        BudgetRule::Strict => sorted
            .iter()
            .rev()
            .take_while(|o| o.passes())
            .last()
            .map(|o| o.level),
    }
}

/// Indices of the problems that reinforcement learning takes: the first `quota` of every budget. The
/// problems without a budget are a bucket too. A bucket with fewer problems is not refilled.
///
/// Most problems of an easy set have the smallest budget. Their common push towards it drowns what
/// the few hard ones say, so the policy forgets to look at the problem.
///
/// # Source
///
/// The released data scripts take an equal quota from every bucket and fewer of those that no level
/// solves; one quota for all is our choice (`docs/decisions/0011`).
pub fn within_quota(budgets: &[Option<KeepLevel>], quota: usize) -> Vec<usize> {
    let mut taken: BTreeMap<Option<KeepLevel>, usize> = BTreeMap::new();
    let has_room = |(_, budget): &(usize, &Option<KeepLevel>)| {
        let n_taken = taken.entry(**budget).or_default();
        *n_taken += 1;
        *n_taken <= quota
    };
    let kept = budgets.iter().enumerate().filter(has_room);
    kept.map(|(idx, _)| idx).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(n_correct: [usize; 5]) -> Vec<LevelOutcome> {
        let pairs = KeepLevel::ALL.into_iter().zip(n_correct);
        pairs
            .map(|(level, n_correct)| LevelOutcome {
                level,
                n_correct,
                n: 3,
            })
            .collect()
    }

    #[test]
    fn the_two_rules_differ_where_a_long_level_fails() {
        // The example of the paper's figure: 20: none right, 40: one, 60: two, 80 and 100: all.
        let figure = outcomes([0, 1, 2, 3, 3]);
        let level = |percent| KeepLevel::try_new(percent).ok();
        assert_eq!(teacher_budget(&figure, BudgetRule::Smallest), level(80));
        assert_eq!(teacher_budget(&figure, BudgetRule::Strict), level(80));
        let long_fails = outcomes([0, 3, 3, 3, 2]);
        assert_eq!(teacher_budget(&long_fails, BudgetRule::Smallest), level(40));
        assert_eq!(teacher_budget(&long_fails, BudgetRule::Strict), None);
        assert_eq!(
            teacher_budget(&outcomes([2; 5]), BudgetRule::Smallest),
            None
        );
        assert_eq!(teacher_budget(&[], BudgetRule::Smallest), None);
    }

    #[test]
    fn every_bucket_gives_its_first_problems() {
        let [twenty, forty, ..] = KeepLevel::ALL;
        let budgets = [Some(twenty), None, Some(twenty), Some(forty), Some(twenty)];
        assert_eq!(within_quota(&budgets, 2), [0, 1, 2, 3]);
        assert_eq!(within_quota(&budgets, 1), [0, 1, 3]);
        assert!(within_quota(&budgets, 0).is_empty());
    }
}
