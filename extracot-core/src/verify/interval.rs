//! Sets of real numbers as intervals with exact ends.

use super::answer::{Answer, Kind};
use super::expr::{Formula, Work, formulas_equal};

/// An end of an interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct End<'a> {
    value: f64,
    /// The exact value; `None` for an infinity of a relation.
    formula: Option<&'a Formula>,
    is_closed: bool,
}

impl<'a> End<'a> {
    /// `None` if the formula is not one real number or infinity.
    pub(super) fn of(formula: &'a Formula, is_closed: bool) -> Option<Self> {
        let value = formula.real()?;
        Some(Self {
            value,
            formula: Some(formula),
            is_closed: is_closed && value.is_finite(),
        })
    }

    pub(super) fn infinity() -> Self {
        Self {
            value: f64::INFINITY,
            formula: None,
            is_closed: false,
        }
    }

    pub(super) fn minus_infinity() -> Self {
        Self {
            value: f64::NEG_INFINITY,
            ..Self::infinity()
        }
    }

    fn is_at(&self, other: &Self, work: &mut Work) -> bool {
        if self.value.is_infinite() || other.value.is_infinite() {
            return self.value == other.value;
        }
        // Far apart: no algebra is needed.
        let scale = 1.0 + self.value.abs() + other.value.abs();
        if (self.value - other.value).abs() > 1e-6 * scale {
            return false;
        }
        match (self.formula, other.formula) {
            (Some(a), Some(b)) => formulas_equal(a, b, work).is_equal(),
            _ => false,
        }
    }
}

/// An interval; a point is one with equal closed ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval<'a> {
    low: End<'a>,
    high: End<'a>,
}

impl<'a> Interval<'a> {
    pub(super) fn new(low: End<'a>, high: End<'a>) -> Self {
        Self { low, high }
    }
}

/// Whether an answer can be nothing but a set of real numbers; a pair in brackets can be a point.
pub(super) fn is_set_of_reals(answer: &Answer) -> bool {
    match &answer.kind {
        Kind::Union(_) | Kind::Both(_) | Kind::Without(..) => true,
        Kind::Relation(relation) => relation.variable().is_some(),
        _ => answer.text == r"\mathbb{R}" || answer.text == r"\mathbbR",
    }
}

/// The intervals of an answer, sorted and joined where they touch; `None` if it is no set of reals.
pub(super) fn intervals<'a>(answer: &'a Answer, work: &mut Work) -> Option<Vec<Interval<'a>>> {
    let mut parts = raw_intervals(answer, work)?;
    parts.sort_by(|a, b| a.low.value.total_cmp(&b.low.value));
    let mut joined: Vec<Interval<'a>> = Vec::new();
    for part in parts {
        let Some(last) = joined.last_mut() else {
            joined.push(part);
            continue;
        };
        let touches = last.high.is_at(&part.low, work);
        let overlaps = part.low.value < last.high.value && !touches;
        if overlaps || (touches && (last.high.is_closed || part.low.is_closed)) {
            if last.low.is_at(&part.low, work) {
                last.low.is_closed |= part.low.is_closed;
            }
            if last.high.is_at(&part.high, work) {
                last.high.is_closed |= part.high.is_closed;
            } else if part.high.value > last.high.value {
                last.high = part.high;
            }
        } else {
            joined.push(part);
        }
    }
    Some(joined)
}

fn raw_intervals<'a>(answer: &'a Answer, work: &mut Work) -> Option<Vec<Interval<'a>>> {
    let point = |part: &'a Answer| {
        let end = End::of(part.formula()?, true)?;
        Some(Interval::new(end, end))
    };
    match &answer.kind {
        Kind::Relation(relation) => relation.intervals(),
        Kind::Tuple(open, close, parts) if parts.len() == 2 => {
            let is_interval = "([".contains(*open) && ")]".contains(*close);
            let low = End::of(parts[0].formula()?, *open == '[')?;
            let high = End::of(parts[1].formula()?, *close == ']')?;
            (is_interval && low.value < high.value).then(|| vec![Interval::new(low, high)])
        }
        Kind::Set(parts) => parts.iter().map(point).collect(),
        Kind::Both(parts) => intersection(parts, work),
        // Whether inequalities in a list hold at once is not known.
        Kind::List(parts)
            if parts
                .iter()
                .any(|part| matches!(part.kind, Kind::Relation(_))) =>
        {
            None
        }
        Kind::Union(parts) | Kind::List(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(raw_intervals(part, work)?);
            }
            Some(all)
        }
        Kind::Without(whole, hole) => {
            let mut left = raw_intervals(whole, work)?;
            for hole in raw_intervals(hole, work)? {
                left = without_point(left, hole, work)?;
            }
            Some(left)
        }
        _ if is_set_of_reals(answer) => {
            Some(vec![Interval::new(End::minus_infinity(), End::infinity())])
        }
        _ => None,
    }
}

/// Where all parts hold; `None` if that is nowhere or not known.
pub(super) fn intersection<'a>(parts: &'a [Answer], work: &mut Work) -> Option<Vec<Interval<'a>>> {
    let mut common = vec![Interval::new(End::minus_infinity(), End::infinity())];
    for part in parts {
        let others = raw_intervals(part, work)?;
        let mut next = Vec::new();
        for a in &common {
            for b in &others {
                next.extend(overlap(a, b, work));
            }
        }
        common = next;
    }
    (!common.is_empty()).then_some(common)
}

fn overlap<'a>(a: &Interval<'a>, b: &Interval<'a>, work: &mut Work) -> Option<Interval<'a>> {
    let mut inner = |a: End<'a>, b: End<'a>, takes_first: bool| match a.is_at(&b, work) {
        true => End {
            is_closed: a.is_closed && b.is_closed,
            ..a
        },
        false if takes_first => a,
        false => b,
    };
    let low = inner(a.low, b.low, a.low.value > b.low.value);
    let high = inner(a.high, b.high, a.high.value < b.high.value);
    let is_kept = match low.is_at(&high, work) {
        true => low.is_closed && high.is_closed,
        false => low.value < high.value,
    };
    is_kept.then(|| Interval::new(low, high))
}

/// `None` if what is taken out is not a point.
fn without_point<'a>(
    parts: Vec<Interval<'a>>,
    hole: Interval<'a>,
    work: &mut Work,
) -> Option<Vec<Interval<'a>>> {
    if !hole.low.is_at(&hole.high, work) {
        return None;
    }
    let open = End {
        is_closed: false,
        ..hole.low
    };
    let mut left = Vec::with_capacity(parts.len() + 1);
    for part in parts {
        let is_at_low = part.low.is_at(&open, work);
        let is_at_high = part.high.is_at(&open, work);
        if is_at_low && is_at_high {
            continue;
        }
        if is_at_low {
            left.push(Interval::new(open, part.high));
        } else if is_at_high {
            left.push(Interval::new(part.low, open));
        } else if part.low.value < open.value && open.value < part.high.value {
            left.push(Interval::new(part.low, open));
            left.push(Interval::new(open, part.high));
        } else {
            left.push(part);
        }
    }
    Some(left)
}

/// Whether two normalized sets are the same.
pub(super) fn intervals_equal(a: &[Interval<'_>], b: &[Interval<'_>], work: &mut Work) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| {
            [(a.low, b.low), (a.high, b.high)]
                .iter()
                .all(|(a, b)| a.is_closed == b.is_closed && a.is_at(b, work))
        })
}
