//! The arithmetic of a problem: a start value and one operation per step, all results exact.

use rand::RngExt;
use rand::seq::IndexedRandom;

use super::phrases::{self, StepPhrases};

/// Largest intermediate value.
const MAX_VALUE: u32 = 99;
/// Numbers that are added or subtracted: single digits and round tens, so that a model of this size
/// learns the arithmetic from few examples.
const TERMS: [u32; 12] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40];

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Adds a number.
    Add(u32),
    /// Subtracts a number.
    Subtract(u32),
    /// Multiplies by a small number.
    Multiply(u32),
    /// Keeps one part out of so many.
    Fraction(u32),
    /// Keeps a percentage.
    Percent(u32),
}

impl Operation {
    /// The value after the step.
    pub fn apply(self, value: u32) -> u32 {
        match self {
            Self::Add(n) => value + n,
            Self::Subtract(n) => value - n,
            Self::Multiply(n) => value * n,
            Self::Fraction(n) => value / n,
            Self::Percent(n) => value * n / 100,
        }
    }

    /// The number in the step's sentence.
    pub fn operand(self) -> u32 {
        match self {
            Self::Add(n)
            | Self::Subtract(n)
            | Self::Multiply(n)
            | Self::Fraction(n)
            | Self::Percent(n) => n,
        }
    }

    /// The step as LaTeX, without delimiters.
    pub fn equation(self, value: u32) -> String {
        let result = self.apply(value);
        match self {
            Self::Add(n) => format!("{value}+{n}={result}"),
            Self::Subtract(n) => format!("{value}-{n}={result}"),
            Self::Multiply(n) => format!("{value}\\times {n}={result}"),
            Self::Fraction(n) => format!("{value}\\div {n}={result}"),
            Self::Percent(n) => format!("{value}\\times {n}\\%={result}"),
        }
    }

    pub(super) fn phrases(self) -> &'static StepPhrases {
        match self {
            Self::Add(_) => &phrases::ADD,
            Self::Subtract(_) => &phrases::SUBTRACT,
            Self::Multiply(_) => &phrases::MULTIPLY,
            Self::Fraction(_) => &phrases::FRACTION,
            Self::Percent(_) => &phrases::PERCENT,
        }
    }

    /// An operation that keeps `value` exact and in range.
    fn draw(value: u32, mix: &OperationMix, rng: &mut impl RngExt) -> Self {
        let [add, subtract, multiply, fraction, _] = mix.0;
        let multiply_from = add + subtract;
        let fraction_from = multiply_from + multiply;
        let percent_from = fraction_from + fraction;
        loop {
            let drawn = rng.random_range(0..mix.0.iter().sum::<u32>());
            let operation = if drawn < add {
                one_of(&TERMS, rng, |n| value + n <= MAX_VALUE).map(Self::Add)
            } else if drawn < multiply_from {
                one_of(&TERMS, rng, |n| value >= n + 2).map(Self::Subtract)
            } else if drawn < fraction_from {
                one_of(&[2, 3, 4, 5], rng, |n| value * n <= MAX_VALUE).map(Self::Multiply)
            } else if drawn < percent_from {
                let fits = |n: u32| value.is_multiple_of(n) && value / n >= 2;
                one_of(&[2, 3, 4, 5], rng, fits).map(Self::Fraction)
            } else {
                let fits = |n: u32| (value * n).is_multiple_of(100) && value * n >= 200;
                one_of(&[10, 20, 25, 50], rng, fits).map(Self::Percent)
            };
            if let Some(operation) = operation {
                return operation;
            }
        }
    }
}

/// How often each kind of operation is drawn: add, subtract, multiply, fraction, percent. What does
/// not fit the value is drawn again, so the last three come out rarer.
#[derive(Debug, Clone, Copy)]
pub struct OperationMix([u32; 5]);

impl OperationMix {
    /// Of word problems.
    pub const STORY: Self = Self([34, 32, 14, 11, 9]);
    /// Of drills: more of the kinds that are rare in word problems, which are learned last.
    pub const DRILL: Self = Self([20, 24, 12, 24, 20]);
}

/// One of the numbers that fit, if any does.
fn one_of(numbers: &[u32], rng: &mut impl RngExt, fits: impl Fn(u32) -> bool) -> Option<u32> {
    let fitting: Vec<u32> = numbers.iter().copied().filter(|n| fits(*n)).collect();
    fitting.choose(rng).copied()
}

/// The arithmetic of one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The value at the start.
    pub start: u32,
    /// One operation per step.
    pub operations: Vec<Operation>,
}

impl Plan {
    /// A random plan.
    pub fn draw(n_steps: u32, mix: &OperationMix, rng: &mut impl RngExt) -> Self {
        let start = rng.random_range(5..=90);
        let mut value = start;
        let operations = (0..n_steps)
            .map(|_| {
                let operation = Operation::draw(value, mix, rng);
                value = operation.apply(value);
                operation
            })
            .collect();
        Self { start, operations }
    }

    /// A text that is the same for the same arithmetic only.
    pub fn key(&self) -> String {
        let mut key = self.start.to_string();
        for operation in &self.operations {
            let sign = match operation {
                Operation::Add(_) => '+',
                Operation::Subtract(_) => '-',
                Operation::Multiply(_) => '*',
                Operation::Fraction(_) => '/',
                Operation::Percent(_) => '%',
            };
            key.push(sign);
            key.push_str(&operation.operand().to_string());
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use extracot_core::Seed;

    use super::*;

    #[test]
    fn equations_are_exact_and_in_range() {
        let mut rng = Seed(1).rng();
        for draw in 0..2000 {
            let mix = [OperationMix::STORY, OperationMix::DRILL][draw % 2];
            let plan = Plan::draw(6, &mix, &mut rng);
            let mut value = plan.start;
            for operation in &plan.operations {
                let exact = match *operation {
                    Operation::Fraction(n) => value.is_multiple_of(n),
                    Operation::Percent(n) => (value * n).is_multiple_of(100),
                    _ => true,
                };
                assert!(exact, "{operation:?} of {value}");
                value = operation.apply(value);
                assert!((2..=MAX_VALUE).contains(&value), "{plan:?}");
            }
        }
    }

    #[test]
    fn equations_are_written_as_latex() {
        assert_eq!(Operation::Add(14).equation(23), "23+14=37");
        assert_eq!(Operation::Fraction(3).equation(36), "36\\div 3=12");
        assert_eq!(Operation::Percent(25).equation(36), "36\\times 25\\%=9");
    }
}
