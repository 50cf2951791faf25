//! p-values of several comparisons at once.

/// p-values adjusted for being several, in the order given: one below 0.05 holds although all were
/// looked at.
///
/// ```text
/// sorted: p_1 <= .. <= p_m;  adjusted_i = max over j <= i of min(1, (m - j + 1) p_j)
/// ```
///
/// A value that is no number counts as 1: it is no evidence.
///
/// # Examples
///
/// ```
/// // 0.01 x 4, 0.005 x 5, then never below the one before.
/// let adjusted = extracot_core::stats::holm(&[0.01, 0.005, 0.03, 0.02, 0.04]);
/// assert_eq!(adjusted, [0.04, 0.025, 0.06, 0.06, 0.06]);
/// ```
///
/// # Source
///
/// Holm, Scandinavian Journal of Statistics 6 (1979); adjusted p-values: Wright, Biometrics 48 (1992).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let m = p_values.len();
    let value = |idx: usize| {
        let p = p_values[idx];
        if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) }
    };
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|a, b| value(*a).total_cmp(&value(*b)));
    let mut adjusted = vec![1.0; m];
    let mut at_least = 0.0_f64;
    for (rank, idx) in order.into_iter().enumerate() {
        at_least = at_least.max((m - rank) as f64 * value(idx)).min(1.0);
        adjusted[idx] = at_least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::close;
    use super::*;

    #[test]
    fn holm_by_hand() {
        // Holm (1979) with 4 tests: 0.01 x 4, 0.02 x 3, 0.02 x 2 = 0.04 below 0.06, 0.3 x 1.
        let adjusted = holm(&[0.02, 0.3, 0.01, 0.02]);
        for (found, expected) in adjusted.iter().zip([0.06, 0.3, 0.04, 0.06]) {
            close(*found, expected, 1e-15);
        }
        assert_eq!(holm(&[0.7, 0.6]), [1.0, 1.0]);
        assert_eq!(holm(&[f64::NAN, 0.04]), [1.0, 0.08]);
        assert!(holm(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn holm_keeps_the_order_and_never_lowers(p in prop::collection::vec(0.0_f64..=1.0, 0..20)) {
            let adjusted = holm(&p);
            for (i, a) in p.iter().enumerate() {
                prop_assert!(adjusted[i] >= *a && adjusted[i] <= 1.0);
                for (j, b) in p.iter().enumerate() {
                    prop_assert!(a > b || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
