//! Time by length as a drawing that stands alone.

use super::svg::{About, Axis, Plot};
use super::text::number;

const SIZE: (f64, f64) = (480.0, 300.0);
/// The drawing has no page around it that would give it colors.
const STYLE: &str = "<style>svg { background: #ffffff; font: 11px sans-serif; color: #0072b2; } \
     path { fill: none; } .grid { stroke: #d4d9df; } .axis { stroke: #57606a; } \
     .curve { stroke: currentColor; stroke-width: 1.8; }</style>";

/// Milliseconds by tokens as an SVG file; points rise.
pub fn render_lengths_plot(points: &[(f64, f64)]) -> String {
    let last = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(1.0, f64::max);
    let axis = |label, high| Axis {
        label,
        low: 0.0,
        high,
        n_ticks: 5,
        min_step: 0.0,
    };
    let said: Vec<String> = points
        .iter()
        .map(|(tokens, ms)| format!("{} tokens: {} ms.", number(*tokens, 0), number(*ms, 1)))
        .collect();
    let about = About {
        id: "lengths-plot",
        title: "Time of compression by length",
        desc: &said.join(" "),
    };
    let (x, y) = (axis("tokens", last(|p| p.0)), axis("ms", last(|p| p.1)));
    let mut plot = Plot::new(about, SIZE, &x, &y);
    plot.curve(points, "");
    let drawing = plot.finish();
    let head = format!("{STYLE}\n<title ");
    drawing
        .replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1)
        .replacen("<title ", &head, 1)
}
