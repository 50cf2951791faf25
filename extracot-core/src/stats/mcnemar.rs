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
    let n = n_only_a as f64 + n_only_b as f64;
    let fewer = n_only_a.min(n_only_b);
    // ln C(n, fewer), and the tail in units of that largest term: no term over- or underflows.
    let mut ln_choose = 0.0;
    for k in 0..fewer {
        ln_choose += ((n - k as f64) / (k as f64 + 1.0)).ln();
    }
    let (mut term, mut tail) = (1.0, 1.0);
    for k in (1..=fewer).rev() {
        term *= k as f64 / (n - k as f64 + 1.0);
        tail += term;
        if term < f64::EPSILON * 1e-3 {
            break;
        }
    }
    let ln_p = std::f64::consts::LN_2 * (1.0 - n) + ln_choose + f64::ln(tail);
    ln_p.exp().min(1.0)
}
