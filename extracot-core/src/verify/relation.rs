//! Equations and inequalities.

use super::canonical::canonical_text;
use super::expr::{Expr, Formula, Work, differences_agree, formulas_equal, parse};
use super::interval::{End, Interval};
use super::scan::Op;

/// One side of a relation.
#[derive(Debug)]
struct Side {
    text: String,
    formula: Option<Formula>,
}

/// Sides with what relates them; `>` is turned around to `<` where all point one way.
#[derive(Debug)]
pub(super) struct Relation {
    sides: Vec<Side>,
    ops: Vec<Op>,
    /// Left minus right, where there are two sides.
    difference: Option<Formula>,
}

impl Relation {
    /// Reads the sides of a relation; there is one more than `ops`.
    pub(super) fn read(sides: &[&str], ops: &[Op], work: &mut Work) -> Self {
        let mut ops = ops.to_vec();
        let exprs: Vec<Option<Expr>> = sides.iter().map(|side| parse(side)).collect();
        let difference = match exprs.as_slice() {
            [Some(left), Some(right)] => {
                let is_turned = matches!(ops[0], Op::Greater | Op::GreaterEqual);
                let (left, right) = if is_turned {
                    (right, left)
                } else {
                    (left, right)
                };
                let minus = Expr::minus(left.clone(), right.clone());
                Formula::new(minus, work)
            }
            _ => None,
        };
        let sides = sides.iter().zip(exprs).map(|(side, expr)| Side {
            text: canonical_text(side),
            formula: expr.and_then(|expr| Formula::new(expr, work)),
        });
        let mut sides: Vec<Side> = sides.collect();
        if ops
            .iter()
            .all(|op| matches!(op, Op::Greater | Op::GreaterEqual | Op::Equal))
            && ops.iter().any(|op| *op != Op::Equal)
        {
            sides.reverse();
            ops.reverse();
            for op in &mut ops {
                *op = match op {
                    Op::Greater => Op::Less,
                    Op::GreaterEqual => Op::LessEqual,
                    Op::Equal => Op::Equal,
                    _ => continue,
                };
            }
        }
        Self {
            sides,
            ops,
            difference,
        }
    }

    /// The variable that is related to numbers, if there is just one.
    pub(super) fn variable(&self) -> Option<String> {
        self.bounds().map(|(name, _)| name)
    }

    /// The intervals that the variable lies in.
    pub(super) fn intervals(&self) -> Option<Vec<Interval<'_>>> {
        self.bounds().map(|(_, intervals)| intervals)
    }

    fn bounds(&self) -> Option<(String, Vec<Interval<'_>>)> {
        let name = |side: &Side| {
            let formula = side.formula.as_ref()?;
            formula.expr().as_variable().map(str::to_owned)
        };
        let end = |side: &'_ Side, op: Op| -> Option<bool> {
            side.formula.as_ref()?.real()?;
            match op {
                Op::Less => Some(false),
                Op::LessEqual => Some(true),
                _ => None,
            }
        };
        match (self.sides.as_slice(), self.ops.as_slice()) {
            ([left, right], [Op::NotEqual]) => {
                let (variable, hole) = match (name(left), name(right)) {
                    (Some(variable), None) => (variable, right),
                    (None, Some(variable)) => (variable, left),
                    _ => return None,
                };
                let hole = End::of(hole.formula.as_ref()?, false)?;
                let below = Interval::new(End::minus_infinity(), hole);
                Some((variable, vec![below, Interval::new(hole, End::infinity())]))
            }
            ([left, right], [op]) => match (name(left), name(right)) {
                (Some(variable), None) => {
                    let high = End::of(right.formula.as_ref()?, end(right, *op)?)?;
                    Some((variable, vec![Interval::new(End::minus_infinity(), high)]))
                }
                (None, Some(variable)) => {
                    let low = End::of(left.formula.as_ref()?, end(left, *op)?)?;
                    Some((variable, vec![Interval::new(low, End::infinity())]))
                }
                _ => None,
            },
            ([left, middle, right], [first, second]) => {
                let low = End::of(left.formula.as_ref()?, end(left, *first)?)?;
                let high = End::of(right.formula.as_ref()?, end(right, *second)?)?;
                Some((name(middle)?, vec![Interval::new(low, high)]))
            }
            _ => None,
        }
    }

    /// Whether two relations say the same.
    pub(super) fn matches(&self, gold: &Self, work: &mut Work) -> bool {
        if self.ops != gold.ops {
            return false;
        }
        let is_symmetric = matches!(self.ops.as_slice(), [Op::Equal | Op::NotEqual]);
        if let (Some(a), Some(b)) = (&self.difference, &gold.difference)
            && (is_symmetric || matches!(self.ops[0], Op::Less | Op::LessEqual))
        {
            return differences_agree(a, b, !is_symmetric, work);
        }
        let mut sides = self.sides.iter().zip(&gold.sides);
        sides.all(|(a, b)| {
            a.text == b.text
                || matches!((&a.formula, &b.formula), (Some(a), Some(b))
                    if formulas_equal(a, b, work).is_equal())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: (&[&str], &[Op]), b: (&[&str], &[Op])) -> bool {
        let mut work = Work::new();
        let a = Relation::read(a.0, a.1, &mut work);
        let b = Relation::read(b.0, b.1, &mut work);
        a.matches(&b, &mut work)
    }

    #[test]
    fn relations_may_be_turned_around() {
        use Op::{Equal, Greater, Less, LessEqual};
        assert!(same((&["x", "5y"], &[Less]), (&["5y", "x"], &[Greater])));
        assert!(!same((&["x", "5y"], &[Less]), (&["x", "5y"], &[Greater])));
        assert!(!same((&["x", "5y"], &[Less]), (&["x", "5y"], &[LessEqual])));
        assert!(same(
            (&["2x+4y-3", "0"], &[Equal]),
            (&["4y", "3-2x"], &[Equal])
        ));
        assert!(!same((&["x+y", "1"], &[Equal]), (&["x-y", "1"], &[Equal])));
        assert!(same(
            (&["f(2)", "f(1)", "f(4)"], &[Less, Less]),
            (&["f(4)", "f(1)", "f(2)"], &[Greater, Greater])
        ));
    }

    #[test]
    fn bounds_of_a_variable_are_intervals() {
        let mut work = Work::new();
        let between = Relation::read(&["-2", "x", "7"], &[Op::LessEqual, Op::Less], &mut work);
        assert_eq!(between.variable().as_deref(), Some("x"));
        assert_eq!(between.intervals().unwrap().len(), 1);
        let not = Relation::read(&["x", "3"], &[Op::NotEqual], &mut work);
        assert_eq!(not.intervals().unwrap().len(), 2);
        let other = Relation::read(&["x+y", "3"], &[Op::Less], &mut work);
        assert_eq!(other.variable(), None);
    }
}
