//! How well think lengths follow the level that is asked for.

use serde::{Deserialize, Serialize};

use super::EvalRecord;
use super::comparison::token_difference;
use super::samples::Samples;
use crate::stats::{KendallTau, PairedDifference, holm, kendall_tau_b, least_squares_slope, mean};
use crate::{CoreError, KeepLevel, Seed};

/// A step whose adjusted p-value is not below this is not told from none.
const SIGNIFICANCE: f64 = 0.05;

/// Asked against realized lengths of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlFidelity {
    /// What was asked and what came, smallest level first.
    pub points: Vec<LevelPoint>,
    /// Slope of the least-squares line of ActRatio over the target ratio; 1 if lengths follow levels
    /// in proportion, 0 if they do not follow.
    pub slope: f64,
    /// Agreement of the order of levels with the order of ActRatios; `None` if all are equal.
    pub kendall: Option<KendallTau>,
    /// Every level against the next smaller one.
    pub steps: Vec<LevelStep>,
}

/// One level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LevelPoint {
    /// The level that was asked for.
    pub level: KeepLevel,
    /// Its ratio.
    pub target_ratio: f64,
    /// Mean think tokens / the base model's on the same problems.
    pub act_ratio: f64,
}

/// Two neighboring levels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LevelStep {
    /// The smaller level.
    pub lower: KeepLevel,
    /// The larger level.
    pub upper: KeepLevel,
    /// Think tokens at the larger level minus those at the smaller, paired bootstrap over problems.
    pub think_tokens: PairedDifference,
    /// Its p-value, adjusted for the number of steps ([`holm`]).
    pub p_holm: f64,
    /// What follows from them.
    pub finding: StepFinding,
}

/// What a step of the level does to the think tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepFinding {
    /// More tokens at the larger level.
    Rises,
    /// No difference that can be told from none: the levels may have collapsed into one.
    Collapsed,
    /// Fewer tokens at the larger level.
    Falls,
}

impl ControlFidelity {
    /// Measures the evaluations of one model at several levels, in any order, against the base
    /// model's records of the same problems.
    ///
    /// A step counts as [`StepFinding::Collapsed`] unless its adjusted p-value is below 0.05: with few
    /// problems that says little, so read it with the interval of the difference.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if there are fewer than two levels, a level comes twice, or the base
    /// model never thinks; else as [`Comparison::try_new`](super::Comparison::try_new).
    pub fn try_new(
        levels: &[(KeepLevel, &[EvalRecord])],
        base: &[EvalRecord],
        seed: Seed,
    ) -> Result<Self, CoreError> {
        let mut sorted = levels.to_vec();
        sorted.sort_by_key(|(level, _)| *level);
        if sorted.len() < 2 || sorted.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            let found: Vec<String> = sorted.iter().map(|(level, _)| level.to_string()).collect();
            return Err(setting(
                "levels",
                found.join(", "),
                "at least two different levels",
            ));
        }
        let base = Samples::try_new(base)?;
        let mut aligned = Vec::new();
        for (level, records) in sorted {
            aligned.push((level, base.align(Samples::try_new(records)?)?));
        }
        let base_length = mean(&base.means(EvalRecord::length))?;
        if base_length == 0.0 {
            let key = "mean think tokens of the base model";
            return Err(setting(key, "0".to_owned(), "above 0"));
        }
        let point = |(level, samples): &(KeepLevel, Samples<'_>)| {
            Ok(LevelPoint {
                level: *level,
                target_ratio: level.ratio().value(),
                act_ratio: mean(&samples.means(EvalRecord::length))? / base_length,
            })
        };
        let points: Vec<LevelPoint> = aligned
            .iter()
            .map(point)
            .collect::<Result<_, CoreError>>()?;
        let asked: Vec<f64> = points.iter().map(|point| point.target_ratio).collect();
        let found: Vec<f64> = points.iter().map(|point| point.act_ratio).collect();
        Ok(Self {
            slope: least_squares_slope(&asked, &found)?,
            kendall: match kendall_tau_b(&asked, &found) {
                Err(CoreError::ConstantSample { .. }) => None,
                tau => Some(tau?),
            },
            points,
            steps: steps(&aligned, seed)?,
        })
    }

    /// Whether every level takes more tokens than the next smaller one, none collapsed.
    pub fn is_ordered(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.all(|step| step.finding == StepFinding::Rises)
    }
}

fn setting(key: &'static str, found: String, allowed: &'static str) -> CoreError {
    CoreError::Setting {
        key,
        found,
        allowed,
    }
}

fn steps(levels: &[(KeepLevel, Samples<'_>)], seed: Seed) -> Result<Vec<LevelStep>, CoreError> {
    let mut differences = Vec::new();
    for (idx, pair) in levels.windows(2).enumerate() {
        let seed = seed.derive("level-step", idx as u64);
        differences.push(token_difference(&pair[1].1, &pair[0].1, seed)?);
    }
    let p_values: Vec<f64> = differences.iter().map(|found| found.p_two_sided).collect();
    let tested = differences.into_iter().zip(holm(&p_values));
    let steps = levels.windows(2).zip(tested);
    let step = steps.map(|(pair, (think_tokens, p_holm))| LevelStep {
        lower: pair[0].0,
        upper: pair[1].0,
        think_tokens,
        p_holm,
        finding: finding(think_tokens.mean, p_holm),
    });
    Ok(step.collect())
}

fn finding(difference: f64, p_holm: f64) -> StepFinding {
    if p_holm >= SIGNIFICANCE {
        StepFinding::Collapsed
    } else if difference > 0.0 {
        StepFinding::Rises
    } else {
        StepFinding::Falls
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;
    use crate::Verdict;

    /// 40 problems with two samples; lengths `mean` and up to 9 around it.
    fn at(mean: usize) -> Vec<EvalRecord> {
        let record = |idx: usize| {
            let (id, length) = (format!("p{}", idx / 2), mean - 9 + idx * 37 % 19);
            sample(&id, idx % 2, Verdict::Correct, length)
        };
        (0..80).map(record).collect()
    }

    fn fidelity(lengths: &[(i64, usize)]) -> ControlFidelity {
        let records: Vec<_> = lengths.iter().map(|(_, mean)| at(*mean)).collect();
        let levels: Vec<(KeepLevel, &[EvalRecord])> = lengths
            .iter()
            .zip(&records)
            .map(|((percent, _), records)| (KeepLevel::try_new(*percent).unwrap(), &records[..]))
            .collect();
        ControlFidelity::try_new(&levels, &at(1000), Seed(1)).unwrap()
    }

    #[test]
    fn lengths_in_proportion_have_slope_one() {
        let found = fidelity(&[(60, 600), (20, 200), (40, 400), (80, 800), (100, 1000)]);
        // The noise around 1000 is 0.1 percent of it.
        assert!((found.slope - 1.0).abs() < 0.01, "{}", found.slope);
        let kendall = found.kendall.unwrap();
        assert_eq!(kendall.tau_b, 1.0);
        assert!((kendall.p_two_sided.unwrap() - 2.0 / 120.0).abs() < 1e-12);
        assert!(found.is_ordered());
        // 2 / 2001 four times.
        assert!((found.steps[0].p_holm - 8.0 / 2001.0).abs() < 1e-12);
        assert!((found.steps[3].think_tokens.mean - 200.0).abs() < 1e-9);
    }

    #[test]
    fn levels_that_look_alike_are_an_alarm() {
        let found = fidelity(&[(20, 300), (40, 300), (60, 500), (80, 450)]);
        let findings: Vec<_> = found.steps.iter().map(|step| step.finding).collect();
        assert_eq!(
            findings,
            [
                StepFinding::Collapsed,
                StepFinding::Rises,
                StepFinding::Falls
            ]
        );
        assert!(!found.is_ordered());
        // Pairs: 4 concordant, 1 discordant, 1 tied in y: 3 / sqrt(6 * 5).
        let tau = found.kendall.unwrap().tau_b;
        assert!((tau - 3.0 / 30_f64.sqrt()).abs() < 1e-12, "{tau}");
        let flat = fidelity(&[(20, 300), (40, 300)]);
        assert_eq!((flat.slope, flat.kendall), (0.0, None));
    }

    #[test]
    fn one_level_is_no_measure() {
        let records = at(100);
        let level = KeepLevel::FULL;
        let message = |levels: &[(KeepLevel, &[EvalRecord])]| {
            let found = ControlFidelity::try_new(levels, &records, Seed(1));
            found.unwrap_err().to_string()
        };
        assert!(message(&[(level, &records)]).contains("levels = 100 is not allowed"));
        assert!(message(&[(level, &records), (level, &records)]).contains("levels = 100, 100"));
    }
}
