//! Realized against target ratio of the fixed levels.

use extracot_core::stats::Interval;

use super::marks::Mark;
use super::rows;
use super::svg::{About, Axis, LARGE, Plot, figure};
use super::text::{note, number};
use crate::summary::{RowKind, Summary, TableRow};

/// End of the axis of target ratios: beyond 1, so that numbers beside points have room.
const TARGET_END: f64 = 1.15;

/// Realized ActRatio of the fixed levels against what was asked; `baseline` names what ActRatio is
/// against.
pub(super) fn html(summary: &Summary, baseline: &str) -> String {
    let mut levels: Vec<(f64, &TableRow)> = summary
        .rows
        .iter()
        .filter(|row| row.kind == RowKind::FixedLevel && rows::is_drawable(row))
        .filter_map(|row| Some((row.target_ratio?, row)))
        .collect();
    levels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let highs = levels.iter().map(|(_, row)| row.summary.act_ratio.high);
    let high = 1.08 * highs.fold(TARGET_END / 1.08, f64::max);
    if levels.is_empty() {
        return note("No fixed level was evaluated, so there is no curve.");
    }
    let title = "Realized against target ratio";
    let y_label = format!("realized ActRatio (think tokens / {baseline}'s)");
    let axis = |label, high| Axis {
        label,
        low: 0.0,
        high,
        n_ticks: 6,
        min_step: 0.0,
    };
    let desc = describe(&levels);
    let mut plot = Plot::new(
        About {
            id: "target-plot",
            title,
            desc: &desc,
        },
        LARGE,
        &axis("target ratio (asked by the control token)", TARGET_END),
        &axis(&y_label, high),
    );
    plot.curve(&[(0.0, 0.0), (TARGET_END, TARGET_END)], "diagonal");
    let curve: Vec<(f64, f64)> = levels
        .iter()
        .map(|(asked, row)| (*asked, row.summary.act_ratio.estimate))
        .collect();
    plot.curve(&curve, "cfixed");
    for (asked, row) in &levels {
        draw_level(&mut plot, *asked, &row.summary.act_ratio);
    }
    let explanation = "Fixed levels with 95 % intervals. On the dashed line the model thinks \
                       exactly as long as asked.";
    figure(title, explanation, &plot.finish())
}

/// A level with its interval and its number, beside the diagonal.
fn draw_level(plot: &mut Plot, asked: f64, realized: &Interval) {
    let Interval {
        estimate,
        low,
        high,
    } = *realized;
    plot.error_bar((asked, low), (asked, high), "cfixed");
    plot.mark((asked, estimate), Mark::Ring, 5.0, "cfixed");
    let (x, y) = plot.at((asked, estimate));
    // Away from the diagonal, so that the line does not run through the text.
    let (dx, anchor) = if estimate >= asked {
        (-9.0, "end")
    } else {
        (9.0, "start")
    };
    plot.text((x + dx, y + 4.0), anchor, "name", &number(estimate, 3));
}

fn describe(levels: &[(f64, &TableRow)]) -> String {
    let describe = |(asked, row): &(f64, &TableRow)| {
        let realized = number(row.summary.act_ratio.estimate, 3);
        format!("Asked {}, realized {realized}.", number(*asked, 2))
    };
    levels.iter().map(describe).collect::<Vec<_>>().join(" ")
}
