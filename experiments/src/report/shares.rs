//! The levels that arms choose over steps, as stacked areas.

use extracot_core::KeepLevel;

use super::bars::level_legend;
use super::series::{share_key, step_axis, thinned};
use super::svg::{About, Axis, PANEL, Plot, figure};
use super::text::{escape, note, percent};
use crate::summary::{ArmCurve, PolicyStep, Summary};

/// The share of each chosen level, one panel per arm.
pub(super) fn level_shares(summary: &Summary) -> String {
    let mut panels = String::new();
    for (i, curve) in summary.curves.iter().enumerate() {
        panels.push_str(&share_panel(i, curve).unwrap_or_default());
    }
    if panels.is_empty() {
        return note("No arm recorded which levels it chose.");
    }
    format!("{}<div class=\"grid\">\n{panels}</div>\n", level_legend())
}

/// Shares of the five levels in a step; `None` if the step says nothing about levels.
fn of_step(step: &PolicyStep) -> Option<[f64; 5]> {
    let share = |level| {
        step.metrics
            .get(&share_key(level))
            .filter(|share| share.is_finite())
    };
    let shares = KeepLevel::ALL.map(share);
    let is_known = shares.iter().any(Option::is_some);
    is_known.then(|| shares.map(|share| share.copied().unwrap_or(0.0)))
}

fn share_panel(idx: usize, curve: &ArmCurve) -> Option<String> {
    let steps: Vec<(f64, [f64; 5])> = curve
        .steps
        .iter()
        .filter_map(|step| Some((step.step as f64, of_step(step)?)))
        .collect();
    let x = step_axis(steps.iter().map(|(step, _)| *step))?;
    let y = Axis {
        label: "share (%)",
        low: 0.0,
        high: 100.0,
        n_ticks: 4,
        min_step: 0.0,
    };
    let title = format!("Levels chosen by {} over steps", curve.arm);
    let about = About {
        id: &format!("shares-{idx}"),
        title: &title,
        desc: &ends(curve),
    };
    let mut plot = Plot::new(about, PANEL, &x, &y);
    // The share below each of the five levels and below "no level", which fills up to 100.
    let edge = |n_below: usize| -> Vec<(f64, f64)> {
        let sum = |shares: &[f64; 5]| match shares.get(..n_below) {
            Some(below) => (100.0 * below.iter().sum::<f64>()).min(100.0),
            None => 100.0,
        };
        let edge: Vec<_> = steps
            .iter()
            .map(|(step, shares)| (*step, sum(shares)))
            .collect();
        widened(&thinned(&edge), &x)
    };
    for color in 0..6 {
        let mut around = edge(color + 1);
        around.extend(edge(color).into_iter().rev());
        plot.area(&around, &format!("l{color}"));
    }
    Some(figure(&escape(&curve.arm), "", &plot.finish()))
}

/// First and last shares, for the description.
fn ends(curve: &ArmCurve) -> String {
    let describe = |step: &PolicyStep| {
        let shares: Vec<String> = KeepLevel::ALL
            .into_iter()
            .zip(of_step(step)?)
            .map(|(level, share)| format!("{level}: {} %", percent(share, 0)))
            .collect();
        Some(format!("Step {}: {}.", step.step, shares.join(", ")))
    };
    let ends = [curve.steps.first(), curve.steps.last()];
    ends.into_iter()
        .flatten()
        .filter_map(describe)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A single step is drawn as wide as the panel.
fn widened(points: &[(f64, f64)], x: &Axis<'_>) -> Vec<(f64, f64)> {
    match points {
        [(_, share)] => vec![(x.low, *share), (x.high, *share)],
        _ => points.to_vec(),
    }
}
