use proptest::prelude::*;

use super::*;
use crate::Seed;

pub(super) fn close(found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{found} is not {expected}"
    );
}

#[test]
fn means_and_quantiles_by_hand() {
    close(mean(&[1.0, 2.0, 6.0]).unwrap(), 3.0, 0.0);
    // h = 3 * 0.25 = 0.75, between 1 and 2.
    close(quantile(&[4.0, 1.0, 3.0, 2.0], 0.25).unwrap(), 1.75, 1e-15);
    close(quantile(&[4.0, 1.0, 3.0, 2.0], 0.5).unwrap(), 2.5, 1e-15);
    close(quantile(&[5.0], 0.9).unwrap(), 5.0, 0.0);
    close(quantile(&[3.0, 1.0], 1.0).unwrap(), 3.0, 0.0);
}

#[test]
fn wilson_by_hand() {
    // (0.8 + 0.19208 -+ 1.96 sqrt(0.016 + 0.009604)) / 1.38416, with 1.96^2 = 3.8416.
    let interval = wilson_interval(8, 10, 1.96).unwrap();
    close(interval.estimate, 0.8, 0.0);
    close(interval.low, 0.4902, 5e-5);
    close(interval.high, 0.9433, 5e-5);
    // At 0 of 10 the bounds are 0 and z^2 / (n + z^2) = 3.8416 / 13.8416.
    let none = wilson_interval(0, 10, 1.96).unwrap();
    close(none.low, 0.0, 0.0);
    close(none.high, 3.8416 / 13.8416, 1e-12);
    close(wilson_interval(10, 10, 1.96).unwrap().high, 1.0, 0.0);
}

#[test]
fn mcnemar_by_hand() {
    // 2 (C(10,0) + C(10,1)) / 2^10 = 22 / 1024.
    close(mcnemar_exact(1, 9), 0.021_484_375, 1e-14);
    close(mcnemar_exact(9, 1), 0.021_484_375, 1e-14);
    close(mcnemar_exact(0, 5), 0.0625, 1e-15);
    close(mcnemar_exact(0, 0), 1.0, 0.0);
    close(mcnemar_exact(7, 7), 1.0, 0.0);
}

#[test]
fn mcnemar_is_stable_for_thousands() {
    // Normal approximation with continuity correction: z = (|5100 - 4900| - 1) / 100 = 1.99,
    // two-sided 0.046591.
    close(mcnemar_exact(4900, 5100), 0.046_591, 1e-5);
    // Far below the smallest term that 2^-n could hold.
    assert!(mcnemar_exact(0, 5000) < 1e-300);
    close(mcnemar_exact(500_000, 500_000), 1.0, 0.0);
}

#[test]
fn mcnemar_is_the_binomial_sum() {
    for n in 0..=40_u64 {
        // Row n of Pascal's triangle, exact in 64 bits.
        let row: Vec<u64> = (0..n).fold(vec![1], |row: Vec<u64>, _| {
            let inner = row.windows(2).map(|pair| pair[0] + pair[1]);
            std::iter::once(1)
                .chain(inner)
                .chain(std::iter::once(1))
                .collect()
        });
        for a in 0..=n {
            let tail: u64 = row[..=a.min(n - a) as usize].iter().sum();
            let expected = (2.0 * tail as f64 / 2_f64.powi(n as i32)).min(1.0);
            close(mcnemar_exact(a, n - a), expected, 1e-12);
        }
    }
    // Agresti, Categorical Data Analysis, approval of the prime minister: 150 against 86 of 236.
    // chi^2 = 64^2 / 236 = 17.36, p about 3e-5; exact is a little larger.
    let p = mcnemar_exact(86, 150);
    assert!((3e-5..5e-5).contains(&p), "{p}");
}

#[test]
fn one_share_per_problem_is_the_plain_interval() {
    let shares = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
    assert_eq!(
        clustered_wilson_interval(&shares, 1, Z_95).unwrap(),
        wilson_interval(5, 7, Z_95).unwrap()
    );
}

#[test]
fn samples_that_agree_count_once() {
    // All 4 samples of a problem agree: v = 10 * 0.25 / 90, p (1 - p) / v = 9, so n = 10.
    let all_agree = [[1.0; 5], [0.0; 5]].concat();
    assert_eq!(
        clustered_wilson_interval(&all_agree, 4, 1.96).unwrap(),
        wilson_interval(5, 10, 1.96).unwrap()
    );
    // Every problem has 2 of 4: nothing differs between problems, n = 40.
    assert_eq!(
        clustered_wilson_interval(&[0.5; 10], 4, 1.96).unwrap(),
        wilson_interval(20, 40, 1.96).unwrap()
    );
    // Shares 1/4 and 3/4: v = 10 * 0.0625 / 90 = 1 / 144, n = 0.25 * 144 = 36.
    let half_agree = [[0.25; 5], [0.75; 5]].concat();
    let found = clustered_wilson_interval(&half_agree, 4, 1.96).unwrap();
    let expected = wilson_interval(18, 36, 1.96).unwrap();
    close(found.low, expected.low, 1e-12);
    close(found.high, expected.high, 1e-12);
    // All right: 10 problems say no more than 10 samples.
    assert_eq!(
        clustered_wilson_interval(&[1.0; 10], 4, 1.96).unwrap(),
        wilson_interval(10, 10, 1.96).unwrap()
    );
    assert_eq!(
        clustered_wilson_interval(&[0.5], 2, 1.96).unwrap().estimate,
        0.5
    );
}

#[test]
fn a_clear_difference_is_found_and_none_is_not() {
    let noise: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 100) / 100.0).collect();
    let shifted: Vec<f64> = noise.iter().map(|x| x + 0.5).collect();
    let found = paired_bootstrap(&shifted, &noise, 999, Seed(1)).unwrap();
    close(found.mean, 0.5, 1e-12);
    close(found.low, 0.5, 1e-12);
    close(found.high, 0.5, 1e-12);
    // No resample on the other side: 2 * (0 + 1) / (999 + 1).
    close(found.p_two_sided, 0.002, 1e-15);
    let same = paired_bootstrap(&noise, &noise, 999, Seed(1)).unwrap();
    close(same.p_two_sided, 1.0, 0.0);
}

#[test]
fn the_paired_interval_has_the_width_of_the_standard_error() {
    // Half the differences are +1, half -1: standard deviation 1, standard error 0.05, so the
    // interval is close to -+1.96 * 0.05 = 0.098.
    let a: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
    let b: Vec<f64> = a.iter().map(|x| 1.0 - x).collect();
    let found = paired_bootstrap(&a, &b, 4000, Seed(5)).unwrap();
    close(found.mean, 0.0, 0.0);
    close(found.low, -0.098, 0.01);
    close(found.high, 0.098, 0.01);
    assert!(found.p_two_sided > 0.5);
    assert_eq!(found, paired_bootstrap(&a, &b, 4000, Seed(5)).unwrap());
    assert_ne!(found, paired_bootstrap(&a, &b, 4000, Seed(6)).unwrap());
}

#[test]
fn the_ratio_is_one_of_means_not_a_mean_of_ratios() {
    // (1 + 30) / (10 + 40) = 0.62; the mean of ratios would be 0.425.
    let found = ratio_of_means_bootstrap(&[1.0, 30.0], &[10.0, 40.0], 2000, Seed(3)).unwrap();
    close(found.estimate, 0.62, 1e-15);
    // One resample in four is the first problem alone, one in four the second alone.
    close(found.low, 0.1, 1e-15);
    close(found.high, 0.75, 1e-15);
    let constant = ratio_of_means_bootstrap(&[1.0, 3.0], &[2.0, 6.0], 50, Seed(3)).unwrap();
    assert_eq!((constant.low, constant.high), (0.5, 0.5));
}

#[test]
fn a_problem_counts_with_the_mean_of_its_samples() {
    let a = [vec![1.0, 0.0], vec![1.0], vec![0.0, 0.0, 1.0, 1.0]];
    let b = [vec![0.0], vec![1.0, 0.0, 1.0, 0.0], vec![0.0]];
    assert_eq!(
        clustered_paired_bootstrap(&a, &b, 99, Seed(8)).unwrap(),
        paired_bootstrap(&[0.5, 1.0, 0.5], &[0.0, 0.5, 0.0], 99, Seed(8)).unwrap()
    );
    let lengths = [vec![4.0], vec![2.0, 6.0], vec![8.0]];
    assert_eq!(
        clustered_ratio_bootstrap(&a, &lengths, 99, Seed(8)).unwrap(),
        ratio_of_means_bootstrap(&[0.5, 1.0, 0.5], &[4.0, 4.0, 8.0], 99, Seed(8)).unwrap()
    );
}

#[test]
fn resamples_without_a_denominator_are_drawn_again() {
    let found = ratio_of_means_bootstrap(&[1.0, 2.0], &[0.0, 4.0], 200, Seed(4)).unwrap();
    close(found.estimate, 0.75, 1e-15);
    assert!(found.low >= 0.5 && found.high <= 0.75);
}

#[test]
fn bad_samples_are_errors() {
    let empty = |error| assert!(matches!(error, CoreError::EmptySample { .. }), "{error}");
    empty(mean(&[]).unwrap_err());
    empty(quantile(&[], 0.5).unwrap_err());
    empty(wilson_interval(0, 0, 1.96).unwrap_err());
    empty(paired_bootstrap(&[], &[], 10, Seed(0)).unwrap_err());
    empty(ratio_of_means_bootstrap(&[], &[], 10, Seed(0)).unwrap_err());
    assert_eq!(
        mean(&[1.0, f64::NAN]).unwrap_err().to_string(),
        "value 1 of the sample for the mean is not finite or too large"
    );
    assert!(mean(&[f64::MAX, f64::MAX]).is_err());
    assert_eq!(
        paired_bootstrap(&[1.0], &[1.0, 2.0], 10, Seed(0))
            .unwrap_err()
            .to_string(),
        "paired bootstrap of samples of 1 and 2 values"
    );
    assert!(paired_bootstrap(&[1.0], &[1.0], 0, Seed(0)).is_err());
    assert!(quantile(&[1.0], 1.5).is_err());
    assert!(quantile(&[1.0], f64::NAN).is_err());
    assert!(wilson_interval(3, 2, 1.96).is_err());
    assert!(wilson_interval(1, 2, f64::NAN).is_err());
    assert!(ratio_of_means_bootstrap(&[1.0], &[0.0], 10, Seed(0)).is_err());
    assert!(ratio_of_means_bootstrap(&[1.0, 1.0], &[-1.0, 3.0], 10, Seed(0)).is_err());
    assert!(ratio_of_means_bootstrap(&[1e300], &[1e-300], 10, Seed(0)).is_err());
}

proptest! {
    #[test]
    fn wilson_holds_its_estimate(n in 1_u64..100_000, share in 0.0_f64..=1.0) {
        let interval = wilson_interval((n as f64 * share) as u64, n, 1.96).unwrap();
        prop_assert!(0.0 <= interval.low && interval.low <= interval.estimate);
        prop_assert!(interval.estimate <= interval.high && interval.high <= 1.0);
    }

    #[test]
    fn mcnemar_is_a_symmetric_probability(a in 0_u64..3000, b in 0_u64..3000) {
        let p = mcnemar_exact(a, b);
        prop_assert!((0.0..=1.0).contains(&p));
        prop_assert_eq!(p, mcnemar_exact(b, a));
    }

    #[test]
    fn quantiles_rise(mut values in prop::collection::vec(-1e6_f64..1e6, 1..50)) {
        let at = |q| quantile(&values, q).unwrap();
        prop_assert!(at(0.0) <= at(0.3) && at(0.3) <= at(0.7) && at(0.7) <= at(1.0));
        let top = at(1.0);
        values.sort_by(f64::total_cmp);
        prop_assert_eq!(top, values[values.len() - 1]);
    }
}
