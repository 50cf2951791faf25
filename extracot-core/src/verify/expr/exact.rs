//! Exact evaluation: formulas of rational numbers, square roots, the imaginary unit and variables to
//! quotients of polynomials.

mod integer;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::polynomial::{Budget, Polynomial, Symbol};
use super::radical::{perfect_root, square_root};
use super::{Constant, Expr, Function};

/// A quotient of two polynomials, not reduced; the second is not zero.
#[derive(Debug, Clone)]
pub(super) struct Fraction {
    pub(super) numerator: Polynomial,
    pub(super) denominator: Polynomial,
}

impl Fraction {
    fn polynomial(numerator: Polynomial) -> Self {
        Self {
            numerator,
            denominator: Polynomial::one(),
        }
    }

    fn rational(value: BigRational) -> Self {
        Self::polynomial(Polynomial::constant(value))
    }

    /// The value, if it is a rational number.
    pub(super) fn as_rational(&self) -> Option<BigRational> {
        let denominator = self.denominator.as_rational()?;
        Some(self.numerator.as_rational()? / denominator)
    }

    /// `self - other` over a common denominator; only its numerator.
    pub(super) fn difference(&self, other: &Self, budget: &mut Budget) -> Option<Polynomial> {
        if self.denominator == other.denominator {
            return self.numerator.plus(&other.numerator.negated(), budget);
        }
        let left = self.numerator.times(&other.denominator, budget)?;
        let right = other.numerator.times(&self.denominator, budget)?;
        left.plus(&right.negated(), budget)
    }

    fn plus(&self, other: &Self, budget: &mut Budget) -> Option<Self> {
        if self.denominator == other.denominator {
            return Some(Self {
                numerator: self.numerator.plus(&other.numerator, budget)?,
                denominator: self.denominator.clone(),
            });
        }
        let left = self.numerator.times(&other.denominator, budget)?;
        let right = other.numerator.times(&self.denominator, budget)?;
        Some(Self {
            numerator: left.plus(&right, budget)?,
            denominator: self.denominator.times(&other.denominator, budget)?,
        })
    }

    fn times(&self, other: &Self, budget: &mut Budget) -> Option<Self> {
        Some(Self {
            numerator: self.numerator.times(&other.numerator, budget)?,
            denominator: self.denominator.times(&other.denominator, budget)?,
        })
    }

    fn recip(self) -> Option<Self> {
        (!self.numerator.is_zero()).then_some(Self {
            numerator: self.denominator,
            denominator: self.numerator,
        })
    }

    fn power(&self, exponent: i64, budget: &mut Budget) -> Option<Self> {
        let size = u32::try_from(exponent.unsigned_abs()).ok()?;
        let base = if exponent < 0 {
            self.clone().recip()?
        } else {
            self.clone()
        };
        Some(Self {
            numerator: base.numerator.power(size, budget)?,
            denominator: base.denominator.power(size, budget)?,
        })
    }
}

/// The values of bound variables, and the bound on all work.
pub(super) struct Evaluator<'a> {
    pub(super) budget: &'a mut Budget,
    bound: Vec<(String, BigRational)>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(budget: &'a mut Budget) -> Self {
        Self {
            budget,
            bound: Vec::new(),
        }
    }

    /// The exact value; `None` if the formula is of no such kind, undefined, or too much work.
    pub(super) fn evaluate(&mut self, expr: &Expr) -> Option<Fraction> {
        self.budget.spend(1)?;
        match expr {
            Expr::Number(value) => Some(Fraction::rational(value.clone())),
            Expr::Variable(name) => {
                let bound = self.bound.iter().rev().find(|(bound, _)| bound == name);
                Some(match bound {
                    Some((_, value)) => Fraction::rational(value.clone()),
                    None => Fraction::polynomial(Polynomial::symbol(Symbol::Free(name.clone()))),
                })
            }
            Expr::Constant(constant) => {
                // Names of commands hold no blank: these are no variables.
                let symbol = match constant {
                    Constant::Pi => Symbol::Free("pi ".to_owned()),
                    Constant::E => Symbol::Free("e ".to_owned()),
                    Constant::I => match self.bound.iter().rev().find(|(name, _)| name == "i") {
                        Some((_, value)) => return Some(Fraction::rational(value.clone())),
                        None => Symbol::I,
                    },
                    Constant::Infinity => return None,
                };
                Some(Fraction::polynomial(Polynomial::symbol(symbol)))
            }
            Expr::Sum(terms) => {
                let mut sum = Fraction::rational(BigRational::zero());
                for term in terms {
                    let term = self.evaluate(term)?;
                    sum = sum.plus(&term, self.budget)?;
                }
                Some(sum)
            }
            Expr::Product(factors) => {
                let mut product = Fraction::rational(BigRational::one());
                for factor in factors {
                    let factor = self.evaluate(factor)?;
                    product = product.times(&factor, self.budget)?;
                }
                Some(product)
            }
            Expr::Quotient(a, b) => {
                let divisor = self.evaluate(b)?.recip()?;
                self.evaluate(a)?.times(&divisor, self.budget)
            }
            Expr::Power(base, exponent) => {
                let exponent = self.rational(exponent)?;
                let base = self.evaluate(base)?;
                self.power(&base, &exponent)
            }
            Expr::Call(function, arguments) => self.call(function, arguments),
            Expr::Matrix(_) => None,
        }
    }

    fn rational(&mut self, expr: &Expr) -> Option<BigRational> {
        self.evaluate(expr)?.as_rational()
    }

    fn power(&mut self, base: &Fraction, exponent: &BigRational) -> Option<Fraction> {
        let numerator = exponent.numer().to_i64()?;
        let degree = exponent.denom().to_u32()?;
        if degree == 1 {
            // 0^0 is left open.
            let is_open = numerator == 0 && base.numerator.is_zero();
            return (!is_open).then(|| base.power(numerator, self.budget))?;
        }
        let root = self.root(&base.as_rational()?, degree)?;
        root.power(numerator, self.budget)
    }

    /// The real root, or the principal square root of a negative number.
    fn root(&mut self, value: &BigRational, degree: u32) -> Option<Fraction> {
        let size = value.abs();
        if degree == 2 {
            // sqrt(a/b) = sqrt(ab) / b
            let radicand = (size.numer() * size.denom()).to_biguint()?;
            self.budget.spend(radicand.bits() / 16)?;
            let radical = square_root(&radicand)?;
            let outside = BigRational::new(BigInt::from(radical.outside), size.denom().clone());
            let mut root = Polynomial::constant(outside);
            for radicand in radical.radicands {
                root = root.times(&Polynomial::symbol(Symbol::Root(radicand)), self.budget)?;
            }
            if value.is_negative() {
                root = root.times(&Polynomial::symbol(Symbol::I), self.budget)?;
            }
            return Some(Fraction::polynomial(root));
        }
        if value.is_negative() && degree.is_multiple_of(2) {
            return None;
        }
        self.budget
            .spend((size.numer().bits() + size.denom().bits()) / 16)?;
        let root = |n: &BigInt| perfect_root(n.magnitude(), degree).map(BigInt::from);
        let root = BigRational::new(root(size.numer())?, root(size.denom())?);
        let signed = if value.is_negative() { -root } else { root };
        Some(Fraction::rational(signed))
    }

    fn call(&mut self, function: &Function, arguments: &[Expr]) -> Option<Fraction> {
        if let (Function::Root, [radicand, degree]) = (function, arguments) {
            let degree = self.rational(degree)?;
            let degree = degree.is_integer().then(|| degree.numer().to_u32())??;
            let radicand = self.rational(radicand)?;
            return (degree > 0).then(|| self.root(&radicand, degree))?;
        }
        if let (Function::SumOver | Function::ProductOver, [variable, first, last, part]) =
            (function, arguments)
        {
            return self.over_range(function, variable, (first, last), part);
        }
        let values = arguments
            .iter()
            .map(|argument| self.rational(argument))
            .collect::<Option<Vec<_>>>()?;
        integer::call(function, &values, self.budget).map(Fraction::rational)
    }

    fn over_range(
        &mut self,
        function: &Function,
        variable: &Expr,
        (first, last): (&Expr, &Expr),
        part: &Expr,
    ) -> Option<Fraction> {
        let first = self.rational(first)?;
        let last = self.rational(last)?;
        if !first.is_integer() || !last.is_integer() {
            return None;
        }
        let (first, last) = (first.numer().to_i64()?, last.numer().to_i64()?);
        let is_sum = *function == Function::SumOver;
        let mut result = Fraction::rational(BigRational::from_integer(BigInt::from(!is_sum as u8)));
        for index in first..=last {
            self.budget.spend(4)?;
            let value = BigRational::from_integer(index.into());
            self.bound.push((variable.as_variable()?.to_owned(), value));
            let part = self.evaluate(part);
            self.bound.pop();
            result = match is_sum {
                true => result.plus(&part?, self.budget)?,
                false => result.times(&part?, self.budget)?,
            };
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests;
