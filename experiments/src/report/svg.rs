//! Hand-written SVG: scales, axes with round ticks, lines, marks, error bars.

use super::marks::{Mark, mark_path};
use super::text::{escape, number};
use super::ticks::ticks;

/// Size of a plot that stands alone.
pub(super) const LARGE: (f64, f64) = (400.0, 360.0);
/// Size of a panel among others.
pub(super) const PANEL: (f64, f64) = (300.0, 180.0);

/// An axis: its label with unit and its bounds.
#[derive(Debug, Clone)]
pub(super) struct Axis<'a> {
    pub(super) label: &'a str,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Ticks wanted; there may be a few more or less.
    pub(super) n_ticks: usize,
    /// Least distance of ticks: 1 for whole numbers, else 0.
    pub(super) min_step: f64,
}

/// What a plot is about: `id` is unique on the page, `title` and `desc` are read to the blind.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    pub(super) desc: &'a str,
}

/// A plot with two axes; points are given in data units.
#[derive(Debug)]
pub(super) struct Plot {
    out: String,
    x: Scale,
    y: Scale,
}

/// A linear map from data to pixels.
#[derive(Debug, Clone, Copy)]
struct Scale {
    low: f64,
    per_unit: f64,
    origin: f64,
}

impl Scale {
    fn new(axis: &Axis<'_>, from: f64, to: f64) -> Self {
        Self {
            low: axis.low,
            per_unit: (to - from) / (axis.high - axis.low),
            origin: from,
        }
    }

    fn at(&self, value: f64) -> f64 {
        self.origin + (value - self.low) * self.per_unit
    }
}

impl Plot {
    /// Frame, grid, ticks and labels in a drawing of `size`.
    pub(super) fn new(about: About<'_>, size: (f64, f64), x: &Axis<'_>, y: &Axis<'_>) -> Self {
        let (width, height) = size;
        let (x_ticks, y_ticks) = (ticks(x), ticks(y));
        let chars = y_ticks
            .iter()
            .map(|(_, text)| text.len())
            .max()
            .unwrap_or(1);
        let (left, right) = (26.0 + 6.2 * chars as f64, width - 10.0);
        let (top, bottom) = (8.0, height - 36.0);
        let mut plot = Self {
            out: open(about, size),
            x: Scale::new(x, left, right),
            y: Scale::new(y, bottom, top),
        };
        for (value, text) in x_ticks {
            let at = plot.x.at(value);
            plot.segment("grid", (at, top), (at, bottom));
            // A label at the end of the axis is not cut by the edge of the drawing.
            let middle = at.min(width - 3.1 * text.len() as f64);
            plot.text((middle, bottom + 14.0), "middle", "tick", &text);
        }
        for (value, text) in y_ticks {
            let at = plot.y.at(value);
            plot.segment("grid", (left, at), (right, at));
            plot.text((left - 5.0, at + 4.0), "end", "tick", &text);
        }
        plot.segment("axis", (left, bottom), (right, bottom));
        plot.segment("axis", (left, top), (left, bottom));
        plot.text(
            ((left + right) / 2.0, height - 5.0),
            "middle",
            "axis-label",
            x.label,
        );
        let middle = (top + bottom) / 2.0;
        plot.out.push_str(&format!(
            "<text class=\"axis-label\" text-anchor=\"middle\" transform=\"translate(13 {}) \
             rotate(-90)\">{}</text>",
            px(middle),
            escape(y.label)
        ));
        plot
    }

    /// Pixels of a point.
    pub(super) fn at(&self, point: (f64, f64)) -> (f64, f64) {
        (self.x.at(point.0), self.y.at(point.1))
    }

    /// A line through points in data units.
    pub(super) fn curve(&mut self, points: &[(f64, f64)], class: &str) {
        let path = self.path(points);
        self.out
            .push_str(&format!("<path class=\"curve {class}\" d=\"{path}\"/>"));
    }

    /// A filled area around points in data units.
    pub(super) fn area(&mut self, points: &[(f64, f64)], class: &str) {
        let path = self.path(points);
        self.out
            .push_str(&format!("<path class=\"area {class}\" d=\"{path}Z\"/>"));
    }

    /// A point in data units.
    pub(super) fn mark(&mut self, point: (f64, f64), mark: Mark, size: f64, class: &str) {
        let at = self.at(point);
        self.out.push_str(&mark_path(mark, at, size, class));
    }

    /// A bar with caps between two points in data units that share an x or a y.
    pub(super) fn error_bar(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let ((x0, y0), (x1, y1)) = (self.at(from), self.at(to));
        let cap = 3.0;
        let (dx, dy) = if (x1 - x0).abs() > (y1 - y0).abs() {
            (0.0, cap)
        } else {
            (cap, 0.0)
        };
        let class = format!("error {class}");
        self.segment(&class, (x0, y0), (x1, y1));
        for (x, y) in [(x0, y0), (x1, y1)] {
            self.segment(&class, (x - dx, y - dy), (x + dx, y + dy));
        }
    }

    /// A straight line in pixels.
    pub(super) fn segment(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.out.push_str(&segment(class, from, to));
    }

    /// Text in pixels.
    pub(super) fn text(&mut self, at: (f64, f64), anchor: &str, class: &str, text: &str) {
        self.out.push_str(&text_at(at, anchor, class, text));
    }

    /// The drawing.
    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</svg>");
        self.out
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        for (i, point) in points.iter().enumerate() {
            let (x, y) = self.at(*point);
            path.push_str(&format!(
                "{}{} {}",
                if i == 0 { 'M' } else { 'L' },
                px(x),
                px(y)
            ));
        }
        path
    }
}

/// Opens a drawing; `</svg>` closes it.
pub(super) fn open(about: About<'_>, (width, height): (f64, f64)) -> String {
    let About { id, title, desc } = about;
    format!(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        px(width),
        px(height),
        escape(title),
        escape(desc)
    )
}

/// A plot under its visible title and an explanation, both HTML.
pub(super) fn figure(title: &str, explanation: &str, drawing: &str) -> String {
    format!("<figure><figcaption><b>{title}</b> {explanation}</figcaption>{drawing}</figure>\n")
}

/// A straight line.
pub(super) fn segment(class: &str, (x0, y0): (f64, f64), (x1, y1): (f64, f64)) -> String {
    let [x0, y0, x1, y1] = [x0, y0, x1, y1].map(px);
    format!("<path class=\"{class}\" d=\"M{x0} {y0}L{x1} {y1}\"/>")
}

/// Text at its baseline.
pub(super) fn text_at((x, y): (f64, f64), anchor: &str, class: &str, text: &str) -> String {
    format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>",
        px(x),
        px(y),
        escape(text)
    )
}

/// Bounds of finite values, widened by `pad` of their distance; never empty, `None` without values.
pub(super) fn bounds(values: impl Iterator<Item = f64>, pad: f64) -> Option<(f64, f64)> {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite.fold(None, |found: Option<(f64, f64)>, value| {
        Some(found.map_or((value, value), |(low, high)| {
            (low.min(value), high.max(value))
        }))
    })?;
    let distance = high - low;
    let tiny = 1e-9 * low.abs().max(high.abs());
    if distance <= tiny {
        let around = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
        return Some((low - around, high + around));
    }
    Some((low - pad * distance, high + pad * distance))
}

/// A length in pixels, to a tenth.
pub(super) fn px(value: f64) -> String {
    let text = number(value, 1);
    text.strip_suffix(".0").map_or(text.clone(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_never_empty() {
        assert_eq!(bounds([f64::NAN].into_iter(), 0.1), None);
        assert_eq!(bounds([0.0, 0.0].into_iter(), 0.1), Some((-1.0, 1.0)));
        assert_eq!(
            bounds([0.0, 10.0, f64::NAN].into_iter(), 0.1),
            Some((-1.0, 11.0))
        );
    }
}
