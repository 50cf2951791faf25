//! Marks of points: shapes that stay apart without color.

use super::svg::px;

/// Shapes of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Disc,
    Square,
    Triangle,
    Diamond,
    Wedge,
    Plus,
    Ring,
    Cross,
    Star,
}

const SQUARE: [(f64, f64); 4] = [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)];
const TRIANGLE: [(f64, f64); 3] = [(0.0, -1.15), (1.1, 0.85), (-1.1, 0.85)];
const DIAMOND: [(f64, f64); 4] = [(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)];
const STAR: [(f64, f64); 8] = [
    (0.0, -1.5),
    (0.5, -0.5),
    (1.5, 0.0),
    (0.5, 0.5),
    (0.0, 1.5),
    (-0.5, 0.5),
    (-1.5, 0.0),
    (-0.5, -0.5),
];

/// A mark of half-width `r` around a pixel.
pub(super) fn mark_path(mark: Mark, at: (f64, f64), r: f64, class: &str) -> String {
    let (kind, path) = match mark {
        Mark::Disc => ("solid", circle(at, r)),
        Mark::Ring => ("hollow", circle(at, r)),
        Mark::Square => ("solid", polygon(at, r, &SQUARE)),
        Mark::Triangle => ("solid", polygon(at, r, &TRIANGLE)),
        Mark::Wedge => ("solid", polygon(at, -r, &TRIANGLE)),
        Mark::Diamond => ("solid", polygon(at, r, &DIAMOND)),
        Mark::Star => ("solid", polygon(at, r, &STAR)),
        Mark::Plus => ("strokes", strokes(at, r, [(1.1, 0.0), (0.0, 1.1)])),
        Mark::Cross => ("strokes", strokes(at, r, [(1.0, 1.0), (1.0, -1.0)])),
    };
    format!("<path class=\"mark {kind} {class}\" d=\"{path}\"/>")
}

fn circle((x, y): (f64, f64), r: f64) -> String {
    let [left, y, r, right, back] = [x - r, y, r, 2.0 * r, -2.0 * r].map(px);
    format!("M{left} {y}a{r} {r} 0 1 0 {right} 0a{r} {r} 0 1 0 {back} 0Z")
}

/// The corners times `r`; a negative `r` turns the shape upside down.
fn polygon((x, y): (f64, f64), r: f64, corners: &[(f64, f64)]) -> String {
    let corner = |(dx, dy): &(f64, f64)| format!("{} {}", px(x + dx * r), px(y + dy * r));
    format!(
        "M{}Z",
        corners.iter().map(corner).collect::<Vec<_>>().join("L")
    )
}

/// Two strokes through the middle, given by one end each.
fn strokes((x, y): (f64, f64), r: f64, ends: [(f64, f64); 2]) -> String {
    let stroke = |(dx, dy): (f64, f64)| {
        let [x0, y0, x1, y1] = [x - dx * r, y - dy * r, x + dx * r, y + dy * r].map(px);
        format!("M{x0} {y0}L{x1} {y1}")
    };
    ends.map(stroke).concat()
}
