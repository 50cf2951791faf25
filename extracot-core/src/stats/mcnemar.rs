//! The paired test of right and wrong answers.

/// Exact two-sided McNemar test: the p-value of "both are right equally often".
///
/// `n_only_a` problems are solved by a alone, `n_only_b` by b alone. Without any the p-value is 1.
/// Takes time linear in the smaller count.
///
/// ```text
/// p = min(1, 2 P(X <= min(n_only_a, n_only_b))),  X ~ Binomial(n_only_a + n_only_b, 1/2)
/// ```
pub fn mcnemar_exact(n_only_a: u64, n_only_b: u64) -> f64 {
    let n = n_only_a + n_only_b;
    let fewer = n_only_a.min(n_only_b);
    // C(n, fewer) / 2^n by factors near 1: a sum of logarithms would lose digits to their size.
    let (mut largest, mut n_halvings) = (1.0_f64, n);
    for k in 1..=fewer {
        largest *= (n - fewer + k) as f64 / k as f64;
        while largest > 1.0 && n_halvings > 0 {
            largest *= 0.5;
            n_halvings -= 1;
        }
    }
    // The tail in units of that largest term.
    let (mut term, mut tail) = (1.0, 1.0);
    for k in (1..=fewer).rev() {
        term *= k as f64 / (n - k + 1) as f64;
        tail += term;
        if term < f64::EPSILON * 1e-3 {
            break;
        }
    }
    let exponent = i32::try_from(n_halvings).unwrap_or(i32::MAX);
    (2.0 * largest * tail * 0.5_f64.powi(exponent)).min(1.0)
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use num_rational::BigRational;
    use num_traits::{One, ToPrimitive};

    use super::*;

    /// The p-value in exact fractions.
    fn exact(fewer: u64, n: u64) -> f64 {
        let (mut choose, mut sum) = (BigUint::one(), BigUint::one());
        for k in 1..=fewer {
            choose = choose * (n - k + 1) / k;
            sum += &choose;
        }
        let p = BigRational::new((sum * 2_u32).into(), (BigUint::one() << n).into());
        p.to_f64().unwrap().min(1.0)
    }

    #[test]
    fn large_counts_agree_with_exact_fractions() {
        for (a, b) in [
            (4990, 5010),
            (2450, 2550),
            (1000, 1200),
            (300, 900),
            (0, 1000),
            (7, 7),
        ] {
            let (found, want) = (mcnemar_exact(a, b), exact(a, a + b));
            assert!(
                (found - want).abs() <= 1e-12 * want,
                "{a}, {b}: {found} {want}"
            );
            assert_eq!(found, mcnemar_exact(b, a));
        }
    }
}
