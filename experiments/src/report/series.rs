//! A metric over steps as a line.

use extracot_core::KeepLevel;

use super::svg::{Axis, bounds};
use crate::summary::ArmCurve;

/// Lines with more points are also drawn as running means.
pub(super) const MAX_UNSMOOTHED: usize = 40;
/// Points of a line; longer runs are averaged over neighboring steps.
pub(super) const MAX_POINTS: usize = 200;

/// Steps and finite values of a metric.
pub(super) fn points(curve: &ArmCurve, key: &str) -> Vec<(f64, f64)> {
    let steps = curve.steps.iter();
    steps
        .filter_map(|step| Some((step.step as f64, *step.metrics.get(key)?)))
        .filter(|point| point.1.is_finite())
        .collect()
}

/// Means over runs of neighbours, so that at most [`MAX_POINTS`] are left.
pub(super) fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let run = points.len().div_ceil(MAX_POINTS).max(1);
    let mean = |run: &[(f64, f64)]| {
        let n = run.len() as f64;
        let (x, y) = run
            .iter()
            .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (x / n, y / n)
    };
    points.chunks(run).map(mean).collect()
}

/// Centered means over a fifteenth of the line; a short line stays as it is. At the ends the window
/// is cut, so that the last value is a mean too and not the noise of one step.
pub(super) fn smoothed(line: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if line.len() <= MAX_UNSMOOTHED {
        return line.to_vec();
    }
    let reach = line.len() / 30 + 1;
    let mean = |(i, point): (usize, &(f64, f64))| {
        let window = &line[i.saturating_sub(reach)..line.len().min(i + reach + 1)];
        let sum: f64 = window.iter().map(|point| point.1).sum();
        (point.0, sum / window.len() as f64)
    };
    line.iter().enumerate().map(mean).collect()
}

/// The axis of steps; `None` without steps.
pub(super) fn step_axis(steps: impl Iterator<Item = f64>) -> Option<Axis<'static>> {
    let (low, high) = bounds(steps, 0.0)?;
    Some(Axis {
        label: "step",
        low,
        high,
        n_ticks: 5,
        min_step: 1.0,
    })
}

/// Metric of the share of rollouts that choose a level, such as `level/40_share`.
pub(super) fn share_key(level: KeepLevel) -> String {
    format!("level/{level}_share")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_courses_become_means() {
        let line: Vec<(f64, f64)> = (0..400).map(|i| (f64::from(i), f64::from(i % 2))).collect();
        let thin = thinned(&line);
        assert_eq!((thin.len(), thin[0]), (200, (0.5, 0.5)));
        assert_eq!(thinned(&line[..7]), &line[..7]);
    }

    #[test]
    fn running_means_are_cut_at_the_ends() {
        // 60 points reach 3 to each side; values are 0, 1, 2, ..
        let line: Vec<(f64, f64)> = (0..60).map(|i| (f64::from(i), f64::from(i))).collect();
        let smooth = smoothed(&line);
        assert_eq!(
            [smooth[0].1, smooth[1].1, smooth[30].1, smooth[59].1],
            [1.5, 2.0, 30.0, 57.5]
        );
        assert_eq!(smoothed(&line[..40]), &line[..40]);
    }
}
