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
