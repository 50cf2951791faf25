//! Teacher budgets: how short a problem can be answered reliably.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{CoreError, KeepLevel};

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

    fn passes_mostly(&self) -> bool {
        2 * self.n_correct > self.n
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
    /// The smallest level of whose samples more than half are right.
    Majority,
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
        BudgetRule::Majority => sorted.iter().find(|o| o.passes_mostly()).map(|o| o.level),
    }
}

/// The most that is taken of every teacher budget; problems without one are a bucket too.
///
/// Written as a number for every bucket (`800`), as buckets (`20=800,none=500`; others have no limit),
/// or as both (`800,none=500`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LevelQuotas {
    of_others: Option<usize>,
    of: BTreeMap<Option<KeepLevel>, usize>,
}

impl LevelQuotas {
    /// The quota of a bucket; `None` where there is no limit.
    pub fn of(&self, budget: Option<KeepLevel>) -> Option<usize> {
        self.of.get(&budget).copied().or(self.of_others)
    }
}

impl From<usize> for LevelQuotas {
    fn from(quota: usize) -> Self {
        Self {
            of_others: Some(quota),
            of: BTreeMap::new(),
        }
    }
}

impl FromStr for LevelQuotas {
    type Err = CoreError;
    fn from_str(text: &str) -> Result<Self, CoreError> {
        let refused = || CoreError::Setting {
            key: "quota",
            found: text.to_owned(),
            allowed: "a number, buckets such as 20=800,none=500, or a number and buckets, none twice",
        };
        let bucket = |name: &str| match name {
            "none" => Some(None),
            name => Some(Some(KeepLevel::try_new(name.parse().ok()?).ok()?)),
        };
        let mut quotas = Self::default();
        for part in text.split(',') {
            let (name, quota) = match part.split_once('=') {
                Some((name, quota)) => (Some(name), quota),
                None => (None, part),
            };
            let quota: usize = quota.parse().map_err(|_| refused())?;
            let earlier = match name {
                None => quotas.of_others.replace(quota),
                Some(name) => quotas.of.insert(bucket(name).ok_or_else(refused)?, quota),
            };
            if earlier.is_some() {
                return Err(refused());
            }
        }
        Ok(quotas)
    }
}

impl TryFrom<String> for LevelQuotas {
    type Error = CoreError;
    fn try_from(text: String) -> Result<Self, CoreError> {
        text.parse()
    }
}

impl From<LevelQuotas> for String {
    fn from(quotas: LevelQuotas) -> String {
        let of_others = quotas.of_others.map(|quota| quota.to_string());
        let of = quotas.of.iter().map(|(budget, quota)| match budget {
            Some(level) => format!("{level}={quota}"),
            None => format!("none={quota}"),
        });
        of_others
            .into_iter()
            .chain(of)
            .collect::<Vec<_>>()
            .join(",")
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
    within_quotas(budgets, &LevelQuotas::from(quota))
}

/// As [`within_quota`], with a quota for every budget.
pub fn within_quotas(budgets: &[Option<KeepLevel>], quotas: &LevelQuotas) -> Vec<usize> {
    let mut taken: BTreeMap<Option<KeepLevel>, usize> = BTreeMap::new();
    let has_room = |(_, budget): &(usize, &Option<KeepLevel>)| {
        let n_taken = taken.entry(**budget).or_default();
        *n_taken += 1;
        quotas.of(**budget).is_none_or(|quota| *n_taken <= quota)
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
    fn a_majority_is_more_than_half_of_the_samples() {
        let level = |percent| KeepLevel::try_new(percent).ok();
        // The paper's figure again: two of three at 60 are a majority, one of three at 40 is none.
        let figure = outcomes([0, 1, 2, 3, 3]);
        assert_eq!(teacher_budget(&figure, BudgetRule::Majority), level(60));
        let half = |n_correct| LevelOutcome {
            level: KeepLevel::FULL,
            n_correct,
            n: 4,
        };
        assert_eq!(teacher_budget(&[half(2)], BudgetRule::Majority), None);
        assert_eq!(teacher_budget(&[half(3)], BudgetRule::Majority), level(100));
        let none = LevelOutcome { n: 0, ..half(0) };
        assert_eq!(teacher_budget(&[none], BudgetRule::Majority), None);
    }

    #[test]
    fn every_bucket_gives_its_first_problems() {
        let [twenty, forty, ..] = KeepLevel::ALL;
        let budgets = [Some(twenty), None, Some(twenty), Some(forty), Some(twenty)];
        assert_eq!(within_quota(&budgets, 2), [0, 1, 2, 3]);
        assert_eq!(within_quota(&budgets, 1), [0, 1, 3]);
        assert!(within_quota(&budgets, 0).is_empty());
        let quotas = |text: &str| within_quotas(&budgets, &text.parse().unwrap());
        assert_eq!(quotas("20=1,none=0"), [0, 3]);
        assert_eq!(quotas("1,20=2"), [0, 1, 2, 3]);
        assert_eq!(within_quotas(&budgets, &LevelQuotas::default()).len(), 5);
    }

    #[test]
    fn quotas_are_written_as_they_are_read() {
        for text in ["800", "20=800,none=500", "5,100=0"] {
            let quotas: LevelQuotas = text.parse().unwrap();
            assert_eq!(
                String::from(quotas.clone()).parse::<LevelQuotas>().unwrap(),
                quotas
            );
        }
        for text in ["", "x", "50=1", "20=1,20=2", "1,2", "20=", "-1"] {
            assert!(text.parse::<LevelQuotas>().is_err(), "{text}");
        }
    }
}
