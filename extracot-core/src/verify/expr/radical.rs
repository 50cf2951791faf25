//! Square roots of integers as products of independent ones.

use num_bigint::BigUint;
use num_traits::{One, ToPrimitive, Zero};

/// Primes below this are taken out of a radicand.
const TRIAL_BOUND: u32 = 2_000;
/// Longer radicands are not taken apart.
const MAX_BITS: u64 = 2_000;

/// The square root of an integer: `outside * sqrt(r1) * sqrt(r2) ..`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Radical {
    pub(super) outside: BigUint,
    /// Primes below the trial bound, each once, and at most one bigger factor that is no square.
    pub(super) radicands: Vec<BigUint>,
}

/// Takes the root of `n` apart; `None` if it is too long.
pub(super) fn square_root(n: &BigUint) -> Option<Radical> {
    if n.bits() > MAX_BITS {
        return None;
    }
    if n.is_zero() {
        return Some(Radical {
            outside: BigUint::zero(),
            radicands: Vec::new(),
        });
    }
    let mut rest = n.clone();
    let mut outside = BigUint::one();
    let mut radicands = Vec::new();
    let mut divisor = 2_u32;
    while divisor < TRIAL_BOUND && !rest.is_one() {
        // Small numbers end at their root.
        if rest.to_u64().is_some_and(|r| u64::from(divisor).pow(2) > r) {
            break;
        }
        let mut count = 0;
        while (&rest % divisor).is_zero() {
            rest /= divisor;
            count += 1;
        }
        outside *= BigUint::from(divisor).pow(count / 2);
        if count % 2 == 1 {
            radicands.push(BigUint::from(divisor));
        }
        divisor += if divisor == 2 { 1 } else { 2 };
    }
    let root = rest.sqrt();
    if &root * &root == rest {
        outside *= root;
    } else {
        radicands.push(rest);
    }
    Some(Radical { outside, radicands })
}

/// The exact k-th root of an integer, if it is one.
pub(super) fn perfect_root(n: &BigUint, k: u32) -> Option<BigUint> {
    if k == 0 || n.bits() > MAX_BITS {
        return None;
    }
    let root = n.nth_root(k);
    (root.pow(k) == *n).then_some(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(n: u64) -> (u64, Vec<u64>) {
        let radical = square_root(&BigUint::from(n)).unwrap();
        let radicands = radical.radicands.iter().map(|r| r.to_u64().unwrap());
        (radical.outside.to_u64().unwrap(), radicands.collect())
    }

    #[test]
    fn squares_come_out_of_a_root() {
        assert_eq!(root(72), (6, vec![2]));
        assert_eq!(root(30), (1, vec![2, 3, 5]));
        assert_eq!(root(49), (7, vec![]));
        assert_eq!(root(0), (0, vec![]));
        // 10007 is a prime beyond the bound.
        assert_eq!(root(10_007 * 10_007 * 3), (10_007, vec![3]));
        assert_eq!(root(10_007 * 4), (2, vec![10_007]));
        assert_eq!(square_root(&(BigUint::one() << 2_001_u32)), None);
    }

    #[test]
    fn perfect_roots_are_exact() {
        assert_eq!(perfect_root(&27_u32.into(), 3), Some(3_u32.into()));
        assert_eq!(perfect_root(&28_u32.into(), 3), None);
        assert_eq!(perfect_root(&28_u32.into(), 0), None);
    }
}
