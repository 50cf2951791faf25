//! Equality of two answers that were read.

use std::collections::BTreeSet;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Pow, Signed};

use super::answer::{Answer, Kind};
use super::expr::{Equality, FormulaKind, Work, formulas_equal};
use super::interval::{intervals, intervals_equal, is_set_of_reals};
use super::judgement::Method;
use super::text::words_equal;

/// A decimal of fewer digits is meant exactly.
const MIN_ROUNDED_DECIMALS: usize = 6;
/// A decimal of fewer significant digits tells too little: `0.000001` is no rounded 1/1500000.
const MIN_ROUNDED_DIGITS: u32 = 5;
/// Longer collections are compared as text only: each part is compared with each.
const MAX_PARTS: usize = 120;

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Equal(Method),
    Different(Method),
    /// The gold answer has no value that could be compared.
    Unknown,
}

impl Outcome {
    fn of(is_equal: bool, method: Method) -> Self {
        match is_equal {
            true => Self::Equal(method),
            false => Self::Different(method),
        }
    }

    fn is_equal(self) -> bool {
        matches!(self, Self::Equal(_))
    }
}

/// Compares an answer with the gold one; where the two differ in form, the gold one decides.
pub(super) fn compare(answer: &Answer, gold: &Answer, work: &mut Work) -> Outcome {
    if let (Some(a), Some(b)) = (answer.relation(), gold.relation())
        && a.matches(b, work)
    {
        return Outcome::Equal(Method::Relation);
    }
    if let (Some(a), Some(b)) = (&answer.name, &gold.name)
        && a != b
    {
        return Outcome::Different(Method::Kinds);
    }
    if answer.text == gold.text {
        return Outcome::Equal(Method::Text);
    }
    if let (Some(a), Some(b)) = (&answer.unit, &gold.unit)
        && a != b
    {
        return Outcome::Different(Method::Kinds);
    }
    if let (Some(a), Some(b)) = (&answer.number, &gold.number) {
        if a.matches(b) {
            return Outcome::Equal(Method::ExactNumber);
        }
        let is_rounded = rounds(answer, b.value()) || rounds(gold, a.value());
        return match is_rounded && a.is_percent() == b.is_percent() {
            true => Outcome::Equal(Method::RoundedNumber),
            false => Outcome::Different(Method::ExactNumber),
        };
    }
    if let Some((digits, base)) = &gold.based {
        let is_same = match &answer.based {
            Some((other, other_base)) => digits == other && base == other_base,
            // The base is part of the question.
            None => *digits == answer.text,
        };
        return Outcome::of(is_same, Method::ExactNumber);
    }
    if is_set_of_reals(answer) || is_set_of_reals(gold) {
        let outcome = compare_sets_of_reals(answer, gold, work);
        if let Some(outcome) = outcome {
            return outcome;
        }
    }
    match (&answer.kind, &gold.kind) {
        (Kind::Both(a), Kind::Both(b)) => Outcome::of(unordered(a, b, work), Method::Unordered),
        // A set of one for its element.
        (Kind::Set(parts), other) | (other, Kind::Set(parts))
            if parts.len() == 1 && !matches!(other, Kind::Set(_) | Kind::List(_)) =>
        {
            match &answer.kind {
                Kind::Set(_) => compare(&parts[0], gold, work),
                _ => compare(answer, &parts[0], work),
            }
        }
        (Kind::List(a) | Kind::Set(a), Kind::List(b) | Kind::Set(b))
            if b.len() > MAX_PARTS && a.len() >= b.len() =>
        {
            Outcome::Unknown
        }
        // The names of the gold parts have an order.
        (Kind::List(a), Kind::List(b))
            if a.iter().all(|part| part.name.is_none()) && are_named_apart(b) =>
        {
            Outcome::of(ordered(a, b, work), Method::Ordered)
        }
        (Kind::List(a) | Kind::Set(a), Kind::List(b) | Kind::Set(b)) => {
            Outcome::of(unordered(a, b, work), Method::Unordered)
        }
        (Kind::Tuple(open_a, close_a, a), Kind::Tuple(open_b, close_b, b)) => {
            let brackets_agree = (open_a, close_a) == (open_b, close_b)
                || (a.len() > 2 && is_vector(*open_a, *close_a) && is_vector(*open_b, *close_b))
                || (is_angled(*open_a) && *open_b == '(')
                || (is_angled(*open_b) && *open_a == '(');
            let is_equal = brackets_agree && ordered(a, b, work);
            Outcome::of(is_equal, Method::Ordered)
        }
        // A list without brackets for a tuple: the order is the tuple's.
        (Kind::List(a), Kind::Tuple(open, close, b)) => {
            let is_tuple = is_vector(*open, *close) && *open != '[';
            Outcome::of(is_tuple && ordered(a, b, work), Method::Ordered)
        }
        // A tuple for a list of values with names.
        (Kind::Tuple('(', ')', a), Kind::List(b)) => {
            let are_named = b.iter().all(|part| part.name.is_some());
            Outcome::of(are_named && ordered(a, b, work), Method::Ordered)
        }
        // A tuple for a column.
        (Kind::Tuple(open, close, a), Kind::Formula(b)) => match b.kind() {
            FormulaKind::Matrix(rows) if is_vector(*open, *close) => {
                let is_column = rows.len() == a.len() && rows.iter().all(|row| row.len() == 1);
                let mut pairs = a.iter().zip(rows.iter().flatten());
                let is_equal = is_column
                    && pairs.all(|(a, b)| {
                        a.formula()
                            .is_some_and(|a| formulas_equal(a, b, work).is_equal())
                    });
                Outcome::of(is_equal, Method::Ordered)
            }
            _ => Outcome::Different(Method::Kinds),
        },
        (Kind::Formula(a), Kind::Formula(b)) => match formulas_equal(a, b, work) {
            Equality::Exact => Outcome::Equal(Method::Algebra),
            Equality::Numeric(n_points) => Outcome::Equal(Method::Numeric(n_points)),
            Equality::Different => {
                let is_rounded = [(answer, gold), (gold, answer)]
                    .into_iter()
                    .any(|(decimal, other)| rounds_value(decimal, other));
                match is_rounded {
                    true => Outcome::Equal(Method::RoundedNumber),
                    false => Outcome::Different(Method::Algebra),
                }
            }
            Equality::Unknown if b.is_defined() => Outcome::Different(Method::Algebra),
            Equality::Unknown => Outcome::Unknown,
        },
        (Kind::Relation(a), Kind::Relation(b)) => Outcome::of(a.matches(b, work), Method::Relation),
        (Kind::Text, Kind::Text) => {
            Outcome::of(words_equal(&answer.text, &gold.text), Method::Words)
        }
        _ => Outcome::Different(Method::Kinds),
    }
}

/// Whether the parts are values of different variables; `x_1` and `x_2` are two values of one.
fn are_named_apart(parts: &[Answer]) -> bool {
    let stem = |part: &Answer| -> Option<String> {
        let name = part.name.as_deref().filter(|_| part.relation().is_none())?;
        Some(name.split('_').next().unwrap_or(name).to_owned())
    };
    let stems: Option<BTreeSet<String>> = parts.iter().map(stem).collect();
    stems.is_some_and(|stems| stems.len() == parts.len())
}

fn is_angled(open: char) -> bool {
    open == '\u{27e8}'
}

fn is_vector(open: char, close: char) -> bool {
    matches!(
        (open, close),
        ('(', ')') | ('[', ']') | ('\u{27e8}', '\u{27e9}')
    )
}

fn compare_sets_of_reals(answer: &Answer, gold: &Answer, work: &mut Work) -> Option<Outcome> {
    // An assignment of a set is no relation between the two.
    let a = intervals(answer, work)?;
    let b = intervals(gold, work)?;
    let is_equal = intervals_equal(&a, &b, work);
    Some(Outcome::of(is_equal, Method::Intervals))
}

fn ordered(a: &[Answer], b: &[Answer], work: &mut Work) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| compare(a, b, work).is_equal())
}

/// Whether every part is one of the gold ones and none of those is missing; a part may be given twice
/// unless the gold answer itself counts how often.
fn unordered(a: &[Answer], b: &[Answer], work: &mut Work) -> bool {
    if a.len() < b.len() || a.len() > MAX_PARTS {
        return false;
    }
    if a.len() == b.len() {
        return pair_up(a, b, work);
    }
    let mut is_found = vec![false; b.len()];
    let are_known = a.iter().all(|part| {
        let found = b
            .iter()
            .position(|gold| compare(part, gold, work).is_equal());
        found.map(|idx| is_found[idx] = true).is_some()
    });
    are_known && is_found.iter().all(|found| *found)
}

/// Whether the parts pair up. Each part takes the first free partner, which finds a pairing whenever
/// equality of the parts is transitive.
fn pair_up(a: &[Answer], b: &[Answer], work: &mut Work) -> bool {
    let mut free: Vec<&Answer> = b.iter().collect();
    a.iter().all(|part| {
        let found = free
            .iter()
            .position(|other| compare(part, other, work).is_equal());
        found.map(|idx| free.swap_remove(idx)).is_some()
    })
}

/// Whether a decimal is this number rounded or cut to its digits.
fn rounds(decimal: &Answer, value: &BigRational) -> bool {
    let (Some(n_decimals), Some(number)) = (decimal.n_decimals, &decimal.number) else {
        return false;
    };
    if n_decimals < MIN_ROUNDED_DECIMALS {
        return false;
    }
    let step = BigRational::new(BigInt::from(1), Pow::pow(BigInt::from(10), n_decimals));
    let least = &step * BigInt::from(10_u32.pow(MIN_ROUNDED_DIGITS - 1));
    number.value().abs() >= least && (number.value() - value).abs() < step
}

/// [`rounds`] for a value that is known as a float only: the float's own error counts for nothing.
fn rounds_value(decimal: &Answer, other: &Answer) -> bool {
    if decimal.n_decimals.is_none_or(|n| n < MIN_ROUNDED_DECIMALS) {
        return false;
    }
    let Some(value) = other.formula().and_then(|formula| formula.real()) else {
        return false;
    };
    // Beyond 15 digits the float is the coarser one.
    let slack = BigRational::from_float(value.abs() * 1e-15);
    let (Some(value), Some(slack)) = (BigRational::from_float(value), slack) else {
        return false;
    };
    rounds(decimal, &value)
        || rounds(decimal, &(&value + &slack))
        || rounds(decimal, &(value - slack))
}

#[cfg(test)]
mod tests;
