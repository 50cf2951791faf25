//! Functions of rational numbers with rational values.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use crate::verify::expr::Function;
use crate::verify::expr::polynomial::Budget;

/// Bigger factorials and binomials are not computed.
const MAX_FACTORIAL: u32 = 500;

/// The value; `None` if it is not rational, undefined, or too much work.
pub(super) fn call(
    function: &Function,
    values: &[BigRational],
    budget: &mut Budget,
) -> Option<BigRational> {
    match (function, values) {
        (Function::Abs, [x]) => Some(x.abs()),
        (Function::Floor, [x]) => Some(x.floor()),
        (Function::Ceil, [x]) => Some(x.ceil()),
        (Function::Factorial, [n]) => {
            let n = small(n)?;
            budget.spend(u64::from(n))?;
            Some(whole((1..=n).map(BigInt::from).product()))
        }
        (Function::Binomial, [n, k]) => {
            let (n, k) = (small(n)?, small(k)?);
            budget.spend(u64::from(n))?;
            if k > n {
                return Some(BigRational::zero());
            }
            let value = (0..k.min(n - k)).fold(BigInt::one(), |value, j| {
                value * BigInt::from(n - j) / BigInt::from(j + 1)
            });
            Some(whole(value))
        }
        (Function::Min, [..]) => values.iter().min().cloned(),
        (Function::Max, [..]) => values.iter().max().cloned(),
        (Function::Gcd, [first, rest @ ..]) => rest
            .iter()
            .try_fold(integer(first)?, |a, b| Some(gcd(a, integer(b)?)))
            .map(whole),
        (Function::Lcm, [first, rest @ ..]) => rest
            .iter()
            .try_fold(integer(first)?, |a, b| {
                let b = integer(b)?;
                let product = (&a * &b).abs();
                let divisor = gcd(a, b);
                Some(if divisor.is_zero() {
                    divisor
                } else {
                    product / divisor
                })
            })
            .map(whole),
        (Function::Mod, [a, m]) if m.is_positive() => {
            let (a, m) = (integer(a)?, integer(m)?);
            Some(whole(((a % &m) + &m) % m))
        }
        _ => None,
    }
}

fn whole(value: BigInt) -> BigRational {
    BigRational::from_integer(value)
}

fn integer(value: &BigRational) -> Option<BigInt> {
    (value.is_integer() && value.numer().bits() <= 512).then(|| value.to_integer())
}

fn small(value: &BigRational) -> Option<u32> {
    integer(value)?.to_u32().filter(|n| *n <= MAX_FACTORIAL)
}

fn gcd(a: BigInt, b: BigInt) -> BigInt {
    let (mut a, mut b) = (a.abs(), b.abs());
    while !b.is_zero() {
        (a, b) = (b.clone(), a % b);
    }
    a
}
