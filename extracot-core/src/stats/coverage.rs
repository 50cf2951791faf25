//! How often a 95 % interval holds the truth, in simulated tables.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::Seed;

const N_TABLES: u64 = 2000;
const N_RESAMPLES: usize = 400;

/// Share of the first `n_tables` tables whose interval holds the truth.
fn coverage(n_tables: u64, holds: impl Fn(Seed) -> bool) -> f64 {
    let held = (0..n_tables).filter(|table| holds(Seed(11).derive("table", *table)));
    held.count() as f64 / n_tables as f64
}

fn assert_covers(truth: f64, interval_of: impl Fn(Seed) -> (f64, f64)) {
    let share = coverage(N_TABLES, |seed| {
        let (low, high) = interval_of(seed);
        low <= truth && truth <= high
    });
    assert!((0.93..=0.97).contains(&share), "covers {share}");
}

/// A problem's chance of a right answer: half of the problems are hard.
fn chance(rng: &mut ChaCha8Rng) -> f64 {
    if rng.random_bool(0.5) {
        rng.random_range(0.1..0.3)
    } else {
        rng.random_range(0.6..1.0)
    }
}

fn flips(rng: &mut ChaCha8Rng, chance: f64, n: usize) -> Vec<f64> {
    (0..n)
        .map(|_| f64::from(u8::from(rng.random_bool(chance))))
        .collect()
}

#[test]
fn wilson_covers_on_average_over_proportions() {
    // The proportion of every table is another one, so the coverage is averaged.
    let share = coverage(N_TABLES, |seed| {
        let mut rng = seed.rng();
        let p: f64 = rng.random_range(0.05..0.95);
        let right = (0..60).filter(|_| rng.random_bool(p)).count() as u64;
        let found = wilson_interval(right, 60, Z_95).unwrap();
        found.low <= p && p <= found.high
    });
    assert!((0.93..=0.97).contains(&share), "covers {share}");
}

#[test]
fn clustered_wilson_covers_where_plain_wilson_does_not() {
    // Chances 0.2 and 0.8 on average: 0.5.
    const N: usize = 80;
    const K: usize = 8;
    let shares = |seed: Seed| -> Vec<f64> {
        let mut rng = seed.rng();
        (0..N)
            .map(|_| {
                let chance = chance(&mut rng);
                flips(&mut rng, chance, K).iter().sum::<f64>() / K as f64
            })
            .collect()
    };
    assert_covers(0.5, |seed| {
        let found = clustered_wilson_interval(&shares(seed), K, Z_95).unwrap();
        (found.low, found.high)
    });
    let share = coverage(N_TABLES, |seed| {
        let right = shares(seed).iter().sum::<f64>() * K as f64;
        let found = wilson_interval(right.round() as u64, (N * K) as u64, Z_95).unwrap();
        found.low <= 0.5 && 0.5 <= found.high
    });
    assert!(
        share < 0.75,
        "samples taken as independent cover {share}: the test is too weak"
    );
}

#[test]
fn the_paired_bootstrap_covers() {
    // One sample each; b is right 0.1 less often: the difference is 0.1.
    assert_covers(0.1, |seed| {
        let mut rng = seed.rng();
        let (mut a, mut b) = (vec![], vec![]);
        for _ in 0..150 {
            let chance = chance(&mut rng);
            a.extend(flips(&mut rng, chance, 1));
            b.extend(flips(&mut rng, chance - 0.1, 1));
        }
        let found = paired_bootstrap(&a, &b, N_RESAMPLES, seed).unwrap();
        (found.low, found.high)
    });
}

#[test]
fn the_clustered_bootstrap_covers_where_resampling_samples_does_not() {
    // How much better a is differs from problem to problem: 0.4 or -0.2, so 0.1 on average.
    let table = |seed: Seed| {
        let mut rng = seed.rng();
        let mut problem = || {
            let gain = if rng.random_bool(0.5) { 0.4 } else { -0.2 };
            (flips(&mut rng, 0.4 + gain, 8), flips(&mut rng, 0.4, 8))
        };
        (0..60).map(|_| problem()).unzip::<_, _, Vec<_>, Vec<_>>()
    };
    assert_covers(0.1, |seed| {
        let (a, b) = table(seed);
        let found = clustered_paired_bootstrap(&a, &b, N_RESAMPLES, seed).unwrap();
        (found.low, found.high)
    });
    let share = coverage(200, |seed| {
        let (a, b) = table(seed);
        let found = paired_bootstrap(&a.concat(), &b.concat(), N_RESAMPLES, seed).unwrap();
        found.low <= 0.1 && 0.1 <= found.high
    });
    assert!(
        share < 0.85,
        "samples resampled alone cover {share}: the test is too weak"
    );
}

#[test]
fn the_ratio_bootstrap_covers() {
    // Lengths of b: 50 to 450, mean 250; of a: 0.3 of it and up to 50 more: 0.3 + 25 / 250 = 0.4.
    assert_covers(0.4, |seed| {
        let mut rng = seed.rng();
        let (mut a, mut b) = (vec![], vec![]);
        for _ in 0..120 {
            let length: f64 = rng.random_range(50.0..450.0);
            let mut sample = || 0.3 * length + rng.random_range(0.0..50.0);
            a.push(vec![sample(), sample(), sample()]);
            b.push(vec![length]);
        }
        let found = clustered_ratio_bootstrap(&a, &b, N_RESAMPLES, seed).unwrap();
        (found.low, found.high)
    });
}
