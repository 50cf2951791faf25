//! Whether two formulas have one value: exactly if that can be told, else at several points.

use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};

use super::approx::Approx;
use super::exact::Evaluator;
use super::matrix::{Resolved, resolve};
use super::numeric::{LogReading, N_POINTS, PointEvaluator};
use super::polynomial::{Budget, Polynomial, Symbol};
use super::transcendental::differ_by_form;
use super::{Constant, Expr, Function};

/// Formulas with variables have to agree at this many points.
pub(super) const MIN_POINTS: usize = 3;

/// A bound on the work of one judgement.
#[derive(Debug)]
pub(in crate::verify) struct Work {
    pub(super) budget: Budget,
    steps: u32,
}

impl Work {
    pub(in crate::verify) fn new() -> Self {
        Self {
            budget: Budget::new(),
            steps: 60_000,
        }
    }
}

/// What is known of two formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verify) enum Equality {
    /// Equal by exact algebra.
    Exact,
    /// Equal at this many points, up to rounding.
    Numeric(usize),
    Different,
    /// Neither could be told.
    Unknown,
}

impl Equality {
    pub(in crate::verify) fn is_equal(self) -> bool {
        matches!(self, Self::Exact | Self::Numeric(_))
    }
}

/// A formula with its values at the points, so that many comparisons are cheap.
#[derive(Debug)]
pub(in crate::verify) struct Formula {
    pub(super) expr: Expr,
    pub(super) kind: FormulaKind,
}

/// What a formula comes to.
#[derive(Debug)]
pub(in crate::verify) enum FormulaKind {
    Scalar(Values),
    Matrix(Vec<Vec<Formula>>),
}

/// Values at the points; one where there are no unknowns.
#[derive(Debug)]
pub(in crate::verify) struct Values {
    pub(super) natural: Vec<Option<Approx>>,
    /// With `\log` to the base 10, if there is a `\log`.
    decimal: Option<Vec<Option<Approx>>>,
    has_unknowns: bool,
    /// Points at which the formula is not real all through.
    left_reals: Vec<bool>,
    /// Whether complex values are meant.
    is_complex: bool,
}

impl Formula {
    /// `None` if matrices stand where none can.
    pub(in crate::verify) fn new(expr: Expr, work: &mut Work) -> Option<Self> {
        let kind = match resolve(&expr)? {
            Resolved::Scalar(_) => FormulaKind::Scalar(Values::new(&expr, work)),
            Resolved::Matrix(rows) => {
                let rows = rows.into_iter().map(|row| {
                    let cells = row.into_iter().map(|cell| Self::new(cell, work));
                    cells.collect::<Option<Vec<_>>>()
                });
                FormulaKind::Matrix(rows.collect::<Option<Vec<_>>>()?)
            }
        };
        Some(Self { expr, kind })
    }

    /// A rational number.
    pub(in crate::verify) fn number(value: BigRational) -> Self {
        let value_at = value.to_f64().filter(|v| v.is_finite()).map(Approx::real);
        Self {
            expr: Expr::Number(value),
            kind: FormulaKind::Scalar(Values {
                natural: vec![value_at],
                decimal: None,
                has_unknowns: false,
                left_reals: Vec::new(),
                is_complex: false,
            }),
        }
    }

    pub(in crate::verify) fn expr(&self) -> &Expr {
        &self.expr
    }

    pub(in crate::verify) fn kind(&self) -> &FormulaKind {
        &self.kind
    }

    /// The value as a float, if it is one real number.
    pub(in crate::verify) fn real(&self) -> Option<f64> {
        if let Some(sign) = self.expr.infinity_sign() {
            return Some(f64::INFINITY * f64::from(sign));
        }
        match &self.kind {
            FormulaKind::Scalar(values) if !values.has_unknowns => {
                let value = (*values.natural.first()?)?;
                value.is_real().then_some(value.value.re)
            }
            _ => None,
        }
    }

    /// Whether it has a value at some point that is precise enough to compare.
    pub(in crate::verify) fn is_defined(&self) -> bool {
        match &self.kind {
            FormulaKind::Scalar(values) => {
                let is_sharp = |value: &Option<Approx>| value.is_some_and(|v| v.is_sharp());
                self.expr.infinity_sign().is_some() || values.natural.iter().any(is_sharp)
            }
            FormulaKind::Matrix(rows) => rows.iter().flatten().all(Self::is_defined),
        }
    }
}

impl Values {
    fn new(expr: &Expr, work: &mut Work) -> Self {
        let has_unknowns = expr.has_unknowns();
        let n_points = if has_unknowns { N_POINTS } else { 1 };
        let mut left_reals = vec![false; n_points];
        let mut at_points = |log| {
            let mut value = |point: usize| {
                let mut evaluator = PointEvaluator::new(point, log, work.steps);
                let value = evaluator.evaluate(expr);
                work.steps = evaluator.steps_left();
                left_reals[point] |= evaluator.left_reals();
                value
            };
            (0..n_points).map(&mut value).collect::<Vec<_>>()
        };
        let has_log = expr.any(&|part| matches!(part, Expr::Call(Function::Log, _)));
        let natural = at_points(LogReading::Natural);
        let decimal = has_log.then(|| at_points(LogReading::Decimal));
        Self {
            natural,
            decimal,
            has_unknowns,
            left_reals,
            is_complex: expr.any(&|part| *part == Expr::Constant(Constant::I)),
        }
    }

    fn reading(&self, log: LogReading) -> &[Option<Approx>] {
        match (&self.decimal, log) {
            (Some(decimal), LogReading::Decimal) => decimal,
            _ => &self.natural,
        }
    }
}

/// Compares an answer with the gold one.
pub(in crate::verify) fn formulas_equal(
    answer: &Formula,
    gold: &Formula,
    work: &mut Work,
) -> Equality {
    match (&answer.kind, &gold.kind) {
        (FormulaKind::Matrix(a), FormulaKind::Matrix(b)) => matrices_equal(a, b, work),
        (FormulaKind::Scalar(a), FormulaKind::Scalar(b)) => scalars_equal(answer, a, gold, b, work),
        _ => Equality::Different,
    }
}

fn matrices_equal(a: &[Vec<Formula>], b: &[Vec<Formula>], work: &mut Work) -> Equality {
    if a.len() != b.len() || a.iter().zip(b).any(|(a, b)| a.len() != b.len()) {
        return Equality::Different;
    }
    let mut all = Equality::Exact;
    for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
        match formulas_equal(a, b, work) {
            Equality::Exact => {}
            Equality::Numeric(n) => all = Equality::Numeric(n),
            other => return other,
        }
    }
    all
}

fn scalars_equal(
    answer: &Formula,
    answer_values: &Values,
    gold: &Formula,
    gold_values: &Values,
    work: &mut Work,
) -> Equality {
    if answer.expr == gold.expr {
        return Equality::Exact;
    }
    let signs = (answer.expr.infinity_sign(), gold.expr.infinity_sign());
    if signs != (None, None) {
        return match signs.0 == signs.1 {
            true => Equality::Exact,
            false => Equality::Different,
        };
    }
    let has_log = answer_values.decimal.is_some() || gold_values.decimal.is_some();
    let mut outcome = compare_values(answer_values, gold_values, LogReading::Natural);
    if has_log && outcome == Equality::Different {
        outcome = compare_values(answer_values, gold_values, LogReading::Decimal);
    }
    if outcome == Equality::Different {
        return outcome;
    }
    match exact_difference(&answer.expr, &gold.expr, &mut work.budget) {
        Some(difference) if difference.is_zero() => Equality::Exact,
        Some(difference) if is_independent(&difference) => Equality::Different,
        Some(_) => outcome,
        None if outcome.is_equal() && differ_by_form(&answer.expr, &gold.expr) => {
            Equality::Different
        }
        None if outcome.is_equal() && differ_by_a_number(&answer.expr, &gold.expr, work) => {
            Equality::Different
        }
        None => outcome,
    }
}

/// Whether the two differ by a number other than 0, parts without a normal form taken as they stand:
/// `e^{99} + 1` and `e^{99}` agree in all digits that a float has.
fn differ_by_a_number(a: &Expr, b: &Expr, work: &mut Work) -> bool {
    let [a, b] = [a, b].map(|expr| opaque(expr, &mut work.budget));
    let difference = exact_difference(&a, &b, &mut work.budget);
    let number = difference.and_then(|difference| difference.as_rational());
    number.is_some_and(|number| !number.is_zero())
}

/// The formula with a name for each part that has no normal form.
fn opaque(expr: &Expr, budget: &mut Budget) -> Expr {
    let mut all = |parts: &[Expr]| parts.iter().map(|part| opaque(part, budget)).collect();
    match expr {
        Expr::Sum(parts) => Expr::Sum(all(parts)),
        Expr::Product(parts) => Expr::Product(all(parts)),
        other if Evaluator::new(budget).evaluate(other).is_some() => other.clone(),
        // No variable has such a name.
        other => Expr::Variable(format!("{other:?}")),
    }
}

fn compare_values(answer: &Values, gold: &Values, log: LogReading) -> Equality {
    let has_unknowns = answer.has_unknowns || gold.has_unknowns;
    let n_points = if has_unknowns { N_POINTS } else { 1 };
    let (answer_at, gold_at) = (answer.reading(log), gold.reading(log));
    let at = |values: &[Option<Approx>], point: usize| {
        // A number has one value, at any point.
        values.get(point).or(values.first()).copied().flatten()
    };
    // Answers without an imaginary unit are meant where they are real.
    let is_real =
        |values: &Values, point: usize| !values.left_reals.get(point).copied().unwrap_or(false);
    let count = |only_real: bool| {
        let mut n_agree = 0;
        for point in 0..n_points {
            let (Some(a), Some(b)) = (at(answer_at, point), at(gold_at, point)) else {
                continue;
            };
            if !a.is_sharp() || !b.is_sharp() {
                // Near zero nothing is sharp; agreement there counts for nothing.
                if a.error.max(b.error) > 1e-9 || !(a.agrees(&b)) {
                    continue;
                }
            }
            if only_real && !(is_real(answer, point) && is_real(gold, point)) {
                continue;
            }
            if !a.agrees(&b) {
                return None;
            }
            n_agree += 1;
        }
        Some(n_agree)
    };
    let needed = if has_unknowns { MIN_POINTS } else { 1 };
    let only_real = has_unknowns && !gold.is_complex && !answer.is_complex;
    let n_agree = match count(only_real) {
        Some(n) if n < needed && only_real => count(false),
        counted => counted,
    };
    match n_agree {
        None => Equality::Different,
        Some(n) if n >= needed => Equality::Numeric(n),
        Some(_) => Equality::Unknown,
    }
}

fn exact_difference(a: &Expr, b: &Expr, budget: &mut Budget) -> Option<Polynomial> {
    let mut evaluator = Evaluator::new(budget);
    let a = evaluator.evaluate(a)?;
    let b = evaluator.evaluate(b)?;
    a.difference(&b, budget)
}

/// Whether the symbols of a polynomial that is not zero are known to be independent, so that its value
/// is not zero: no two big radicands share a factor.
fn is_independent(polynomial: &Polynomial) -> bool {
    let mut radicands: Vec<_> = polynomial
        .symbols()
        .filter_map(|symbol| match symbol {
            Symbol::Root(radicand) => Some(radicand.clone()),
            _ => None,
        })
        .collect();
    radicands.sort();
    radicands.dedup();
    let n_big = radicands.iter().filter(|r| r.bits() > 22).count();
    n_big <= 1
}

#[cfg(test)]
mod tests;
