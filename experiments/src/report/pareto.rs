//! Accuracy against tokens: every row as a point with error bars.

use extracot_core::stats::Interval;

use super::labels::{LINE_HEIGHT, Label, Rect, along, nearest, place, wrap};
use super::palette::{Look, Palette};
use super::rows;
use super::svg::{About, Axis, LARGE, Plot, bounds, figure};
use super::text::{note, number};
use crate::summary::{RowKind, Summary};

/// Characters of a label line.
const LABEL_WIDTH: usize = 16;

/// A row as a point with error bars.
struct Point {
    name: String,
    x: Interval,
    y: Interval,
    look: Look,
    is_fixed: bool,
}

/// ActRatio against accuracy of every row; `baseline` names what ActRatio is against.
pub(super) fn html(summary: &Summary, palette: &Palette, baseline: &str) -> String {
    let mut points: Vec<Point> = summary
        .rows
        .iter()
        .filter(|row| rows::is_drawable(row))
        .map(|row| Point {
            name: row.name.clone(),
            x: row.summary.act_ratio,
            y: scaled(&row.summary.accuracy, 100.0),
            look: palette.row(row),
            is_fixed: row.kind == RowKind::FixedLevel,
        })
        .collect();
    // Labels are placed in this order, so the rows that the report is about come first.
    points.sort_by_key(|point| point.is_fixed);
    let x_label = format!("ActRatio (think tokens / {baseline}'s)");
    let Some((x, y)) = axes(&points, &x_label) else {
        return note("No row has samples, so there is nothing to draw.");
    };
    let title = "Accuracy against think tokens";
    let desc = describe(&points);
    let mut plot = Plot::new(
        About {
            id: "pareto-plot",
            title,
            desc: &desc,
        },
        LARGE,
        &x,
        &y,
    );
    let obstacles = draw_bars(&mut plot, &points);
    for point in points.iter().rev() {
        plot.mark(center(point), point.look.mark, 5.0, point.look.color);
    }
    let frame = Rect::between(plot.at((x.low, y.low)), plot.at((x.high, y.high)), -2.0);
    name_points(&mut plot, &points, &obstacles, frame);
    let explanation = "Up and to the left is better. Bars are 95 % intervals; the gray line joins \
                       the fixed levels.";
    figure(title, explanation, &plot.finish())
}

fn describe(points: &[Point]) -> String {
    let describe = |point: &Point| {
        let (ratio, accuracy) = (number(point.x.estimate, 3), number(point.y.estimate, 1));
        format!("{}: ActRatio {ratio}, accuracy {accuracy} %.", point.name)
    };
    points.iter().map(describe).collect::<Vec<_>>().join(" ")
}

/// Draws error bars and the line of fixed levels; returns what labels should not cover.
fn draw_bars(plot: &mut Plot, points: &[Point]) -> Vec<Rect> {
    let mut fixed: Vec<(f64, f64)> = points
        .iter()
        .filter(|point| point.is_fixed)
        .map(center)
        .collect();
    fixed.sort_by(|a, b| a.0.total_cmp(&b.0));
    plot.curve(&fixed, "cfixed thin");
    let mut obstacles = vec![];
    for pair in fixed.windows(2) {
        obstacles.extend(along(plot.at(pair[0]), plot.at(pair[1])));
    }
    for point in points {
        let at = center(point);
        let across = ((point.x.low, at.1), (point.x.high, at.1));
        let upright = ((at.0, point.y.low), (at.0, point.y.high));
        for (from, to) in [across, upright] {
            plot.error_bar(from, to, point.look.color);
            obstacles.push(Rect::between(plot.at(from), plot.at(to), 2.0));
        }
        obstacles.push(Rect::around(plot.at(at), (7.0, 7.0)));
    }
    obstacles
}

fn axes<'a>(points: &[Point], x_label: &'a str) -> Option<(Axis<'a>, Axis<'a>)> {
    let ends = |of: fn(&Point) -> &Interval| {
        bounds(
            points
                .iter()
                .map(of)
                .flat_map(|bar| [bar.low, bar.high, bar.estimate]),
            0.08,
        )
    };
    let (x_low, x_high) = ends(|point| &point.x)?;
    let (y_low, y_high) = ends(|point| &point.y)?;
    let axis = |label: &'a str, low, high| Axis {
        label,
        low,
        high,
        n_ticks: 6,
        min_step: 0.0,
    };
    Some((
        axis(x_label, x_low.max(0.0), x_high),
        axis("Acc@all (%)", y_low.max(0.0), y_high.min(100.0)),
    ))
}

fn name_points(plot: &mut Plot, points: &[Point], obstacles: &[Rect], frame: Rect) {
    let labels: Vec<Label> = points
        .iter()
        .map(|point| Label {
            at: plot.at(center(point)),
            lines: wrap(&point.name, LABEL_WIDTH),
        })
        .collect();
    for (label, rect) in labels.iter().zip(place(&labels, obstacles, frame)) {
        let end = nearest(&rect, label.at);
        if (end.0 - label.at.0).hypot(end.1 - label.at.1) > 12.0 {
            plot.segment("leader", label.at, end);
        }
        // Text keeps to the side of its rectangle that faces the point.
        let (x, anchor) = if rect.left >= label.at.0 {
            (rect.left, "start")
        } else if rect.right <= label.at.0 {
            (rect.right, "end")
        } else {
            ((rect.left + rect.right) / 2.0, "middle")
        };
        for (i, line) in label.lines.iter().enumerate() {
            let baseline = rect.top + LINE_HEIGHT * (i as f64 + 0.8);
            plot.text((x, baseline), anchor, "name", line);
        }
    }
}

fn center(point: &Point) -> (f64, f64) {
    (point.x.estimate, point.y.estimate)
}

fn scaled(interval: &Interval, factor: f64) -> Interval {
    Interval {
        estimate: factor * interval.estimate,
        low: factor * interval.low,
        high: factor * interval.high,
    }
}
