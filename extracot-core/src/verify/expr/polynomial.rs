//! Polynomials with rational coefficients over symbols, in normal form.
//!
//! Symbols are variables, pi, e, the imaginary unit and square roots; powers of the last two kinds are
//! reduced, so that a polynomial is zero exactly if it has no terms.

use std::collections::BTreeMap;

use num_bigint::{BigInt, BigUint};
use num_rational::BigRational;
use num_traits::{One, Zero};

/// What a polynomial is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Symbol {
    /// A variable or a transcendental number.
    Free(String),
    /// The imaginary unit.
    I,
    /// The square root of a number that is no square.
    Root(BigUint),
}

/// Symbols with their exponents from 1.
type Monomial = BTreeMap<Symbol, u32>;

/// More terms are not kept.
const MAX_TERMS: usize = 200;
/// Higher exponents are not kept.
const MAX_EXPONENT: u32 = 400;
/// Longer coefficients are not kept.
const MAX_COEFFICIENT_BITS: u64 = 20_000;

/// A bound on the work of one judgement, in products of terms weighted by their length.
#[derive(Debug)]
pub(super) struct Budget(u64);

impl Budget {
    /// A few milliseconds.
    pub(super) fn new() -> Self {
        Self(8_000)
    }

    /// Takes some of what is left; `None` if that is too little.
    pub(super) fn spend(&mut self, amount: u64) -> Option<()> {
        self.0 = self.0.checked_sub(amount)?;
        Some(())
    }
}

/// A polynomial; equal ones are the same map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Polynomial {
    terms: BTreeMap<Monomial, BigRational>,
}

impl Polynomial {
    pub(super) fn constant(value: BigRational) -> Self {
        let mut terms = BTreeMap::new();
        if !value.is_zero() {
            terms.insert(Monomial::new(), value);
        }
        Self { terms }
    }

    pub(super) fn one() -> Self {
        Self::constant(BigRational::one())
    }

    pub(super) fn symbol(symbol: Symbol) -> Self {
        Self {
            terms: BTreeMap::from([(Monomial::from([(symbol, 1)]), BigRational::one())]),
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value, if it is a rational number.
    pub(super) fn as_rational(&self) -> Option<BigRational> {
        let mut terms = self.terms.iter();
        match (terms.next(), terms.next()) {
            (None, _) => Some(BigRational::zero()),
            (Some((monomial, value)), None) if monomial.is_empty() => Some(value.clone()),
            _ => None,
        }
    }

    /// Whether it is in free symbols only.
    pub(super) fn is_free(&self) -> bool {
        self.symbols().all(|s| matches!(s, Symbol::Free(_)))
    }

    pub(super) fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.terms.keys().flat_map(BTreeMap::keys)
    }

    fn insert(&mut self, monomial: Monomial, value: BigRational) {
        let sum = match self.terms.remove(&monomial) {
            Some(old) => old + value,
            None => value,
        };
        if !sum.is_zero() {
            self.terms.insert(monomial, sum);
        }
    }

    fn within_bounds(self) -> Option<Self> {
        let is_small = self.terms.len() <= MAX_TERMS
            && self.terms.iter().all(|(monomial, value)| {
                value.numer().bits() + value.denom().bits() <= MAX_COEFFICIENT_BITS
                    && monomial.values().all(|e| *e <= MAX_EXPONENT)
            });
        is_small.then_some(self)
    }

    pub(super) fn plus(&self, other: &Self, budget: &mut Budget) -> Option<Self> {
        let mut sum = self.clone();
        for (monomial, value) in &other.terms {
            budget.spend(1 + weight(value) / 4)?;
            sum.insert(monomial.clone(), value.clone());
        }
        sum.within_bounds()
    }

    pub(super) fn scaled(&self, factor: &BigRational) -> Self {
        let terms = self.terms.iter();
        let mut product = Self {
            terms: BTreeMap::new(),
        };
        for (monomial, value) in terms {
            product.insert(monomial.clone(), value * factor);
        }
        product
    }

    pub(super) fn negated(&self) -> Self {
        self.scaled(&-BigRational::one())
    }

    pub(super) fn times(&self, other: &Self, budget: &mut Budget) -> Option<Self> {
        let mut product = Self {
            terms: BTreeMap::new(),
        };
        for (left, a) in &self.terms {
            for (right, b) in &other.terms {
                budget.spend(1 + weight(a) * weight(b))?;
                let (monomial, factor) = multiply(left, right);
                product.insert(monomial, a * b * factor);
            }
            if product.terms.len() > MAX_TERMS {
                return None;
            }
        }
        product.within_bounds()
    }

    pub(super) fn power(&self, exponent: u32, budget: &mut Budget) -> Option<Self> {
        if exponent > MAX_EXPONENT * 25 {
            return None;
        }
        let mut result = Self::one();
        let mut square = self.clone();
        let mut left = exponent;
        while left > 0 {
            if left % 2 == 1 {
                result = result.times(&square, budget)?;
            }
            left /= 2;
            if left > 0 {
                square = square.times(&square, budget)?;
            }
        }
        Some(result)
    }

    /// The factor c with `self = c * other`; `None` if there is none that is a rational number.
    pub(super) fn multiple_of(&self, other: &Self) -> Option<BigRational> {
        let (_, a) = self.terms.first_key_value()?;
        let (_, b) = other.terms.first_key_value()?;
        let factor = a / b;
        (*self == other.scaled(&factor)).then_some(factor)
    }
}

/// Words of 64 bits in a coefficient, from 0 for small ones.
fn weight(value: &BigRational) -> u64 {
    (value.numer().bits() + value.denom().bits()) / 64
}

/// The product of two monomials and what the reduction of its roots leaves.
fn multiply(left: &Monomial, right: &Monomial) -> (Monomial, BigRational) {
    let mut product = left.clone();
    let mut factor = BigInt::one();
    for (symbol, exponent) in right {
        let total = product.get(symbol).copied().unwrap_or(0) + exponent;
        let kept = match symbol {
            Symbol::Free(_) => total,
            Symbol::I => {
                if total / 2 % 2 == 1 {
                    factor = -factor;
                }
                total % 2
            }
            Symbol::Root(radicand) => {
                if total >= 2 {
                    factor *= BigInt::from(radicand.clone());
                }
                total % 2
            }
        };
        if kept == 0 {
            product.remove(symbol);
        } else {
            product.insert(symbol.clone(), kept);
        }
    }
    (product, BigRational::from_integer(factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: i64) -> Polynomial {
        Polynomial::constant(BigRational::from_integer(value.into()))
    }

    fn x() -> Polynomial {
        Polynomial::symbol(Symbol::Free("x".to_owned()))
    }

    #[test]
    fn products_are_in_normal_form() {
        let mut budget = Budget::new();
        let plus = x().plus(&number(1), &mut budget).unwrap();
        let minus = x().plus(&number(-1), &mut budget).unwrap();
        // (x+1)(x-1) = x^2 - 1
        let product = plus.times(&minus, &mut budget).unwrap();
        let square = x().power(2, &mut budget).unwrap();
        assert_eq!(product, square.plus(&number(-1), &mut budget).unwrap());
        assert!(x().plus(&x().negated(), &mut budget).unwrap().is_zero());
        assert_eq!(
            plus.scaled(&BigRational::from_integer(3.into()))
                .multiple_of(&plus),
            Some(BigRational::from_integer(3.into()))
        );
        assert_eq!(plus.multiple_of(&minus), None);
    }

    #[test]
    fn roots_and_the_imaginary_unit_are_reduced() {
        let mut budget = Budget::new();
        let root = Polynomial::symbol(Symbol::Root(3_u32.into()));
        let i = Polynomial::symbol(Symbol::I);
        assert_eq!(root.times(&root, &mut budget), Some(number(3)));
        assert_eq!(i.power(2, &mut budget), Some(number(-1)));
        assert_eq!(i.power(4, &mut budget), Some(number(1)));
        assert!(!root.is_free() && x().is_free());
    }

    #[test]
    fn work_is_bounded() {
        let mut budget = Budget::new();
        let sum = x().plus(
            &Polynomial::symbol(Symbol::Free("y".to_owned())),
            &mut budget,
        );
        assert_eq!(sum.unwrap().power(300, &mut budget), None);
        let mut budget = Budget::new();
        assert_eq!(x().power(1_000_000, &mut budget), None);
        assert_eq!(number(7).power(10_000, &mut budget), None);
    }
}
