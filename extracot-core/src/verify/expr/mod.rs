//! Formulas as small trees: read from LaTeX or plain text, evaluated exactly where possible, else
//! numerically.

mod approx;
mod elementary;
mod equal;
mod exact;
mod function;
mod gamma;
mod lexer;
mod matrix;
mod multiple;
mod numeric;
mod operand;
mod parser;
mod polynomial;
mod radical;
mod transcendental;

use num_bigint::BigInt;
use num_rational::BigRational;

pub(super) use equal::{Equality, Formula, FormulaKind, Work, formulas_equal};
pub(super) use function::Function;
pub(super) use multiple::differences_agree;
pub(super) use parser::parse;

/// A formula.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    /// An exact number.
    Number(BigRational),
    /// A variable, with its subscript if it has one.
    Variable(String),
    /// A number with a name.
    Constant(Constant),
    /// Terms.
    Sum(Vec<Expr>),
    /// Factors, in the order written, since those of matrices do not commute.
    Product(Vec<Expr>),
    /// Numerator and denominator.
    Quotient(Box<Expr>, Box<Expr>),
    /// Base and exponent.
    Power(Box<Expr>, Box<Expr>),
    /// A function of arguments.
    Call(Function, Vec<Expr>),
    /// Rows of a matrix, all of one length.
    Matrix(Vec<Vec<Expr>>),
}

/// A number with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constant {
    /// Ratio of a circle's circumference to its diameter.
    Pi,
    /// Base of the natural logarithm.
    E,
    /// Imaginary unit.
    I,
    /// Positive infinity; it is compared, never calculated with.
    Infinity,
}

impl Expr {
    fn integer(value: i64) -> Self {
        Self::Number(BigRational::from_integer(BigInt::from(value)))
    }

    fn negated(self) -> Self {
        match self {
            Self::Number(value) => Self::Number(-value),
            other => Self::Product(vec![Self::integer(-1), other]),
        }
    }

    /// `a / b`; of two numbers it is a number.
    fn over(a: Self, b: Self) -> Self {
        match (a, b) {
            (Self::Number(a), Self::Number(b)) if *b.numer() != BigInt::default() => {
                Self::Number(a / b)
            }
            (a, b) => Self::Quotient(Box::new(a), Box::new(b)),
        }
    }

    /// `a - b`.
    pub(super) fn minus(a: Self, b: Self) -> Self {
        Self::Sum(vec![a, b.negated()])
    }

    /// 1 or -1 for an infinity with its sign.
    pub(super) fn infinity_sign(&self) -> Option<i8> {
        match self {
            Self::Constant(Constant::Infinity) => Some(1),
            Self::Product(factors) => match factors.as_slice() {
                [sign, Self::Constant(Constant::Infinity)] if *sign == Self::integer(-1) => {
                    Some(-1)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether any part of the formula is such a part; the depth of a formula is bounded by the parser.
    fn any(&self, test: &impl Fn(&Self) -> bool) -> bool {
        test(self)
            || match self {
                Self::Number(_) | Self::Variable(_) | Self::Constant(_) => false,
                Self::Sum(parts) | Self::Product(parts) | Self::Call(_, parts) => {
                    parts.iter().any(|part| part.any(test))
                }
                Self::Quotient(a, b) | Self::Power(a, b) => a.any(test) || b.any(test),
                Self::Matrix(rows) => rows.iter().flatten().any(|cell| cell.any(test)),
            }
    }

    /// Whether it holds a variable or a function that is not known.
    pub(super) fn has_unknowns(&self) -> bool {
        self.any(&|part| match part {
            Self::Variable(_) => true,
            Self::Call(function, _) => matches!(function, Function::Unknown(_)),
            _ => false,
        })
    }

    /// The name, if it is nothing but a variable.
    pub(super) fn as_variable(&self) -> Option<&str> {
        match self {
            Self::Variable(name) => Some(name),
            _ => None,
        }
    }
}
