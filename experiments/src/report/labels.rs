//! Places labels beside points so that they cover neither each other nor the data.

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Rect {
    /// The rectangle around a point.
    pub(super) fn around((x, y): (f64, f64), half: (f64, f64)) -> Self {
        Self {
            left: x - half.0,
            right: x + half.0,
            top: y - half.1,
            bottom: y + half.1,
        }
    }

    /// The rectangle with two opposite corners, widened by `pad`.
    pub(super) fn between(a: (f64, f64), b: (f64, f64), pad: f64) -> Self {
        Self {
            left: a.0.min(b.0) - pad,
            right: a.0.max(b.0) + pad,
            top: a.1.min(b.1) - pad,
            bottom: a.1.max(b.1) + pad,
        }
    }

    fn area(&self) -> f64 {
        (self.right - self.left).max(0.0) * (self.bottom - self.top).max(0.0)
    }

    fn overlap(&self, other: &Self) -> f64 {
        let shared = Self {
            left: self.left.max(other.left),
            right: self.right.min(other.right),
            top: self.top.max(other.top),
            bottom: self.bottom.min(other.bottom),
        };
        if shared.left < shared.right && shared.top < shared.bottom {
            shared.area()
        } else {
            0.0
        }
    }
}

/// A label that wants a place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Label {
    /// Pixels of the point.
    pub(super) at: (f64, f64),
    /// Lines of text.
    pub(super) lines: Vec<String>,
}

/// Height of a line of text in pixels.
pub(super) const LINE_HEIGHT: f64 = 12.5;
const CHAR_WIDTH: f64 = 6.1;

impl Label {
    fn half(&self) -> (f64, f64) {
        let chars = self
            .lines
            .iter()
            .map(|line| line.chars().count())
            .max()
            .unwrap_or(0);
        (
            CHAR_WIDTH * chars as f64 / 2.0,
            LINE_HEIGHT * self.lines.len() as f64 / 2.0,
        )
    }
}

/// A rectangle for each label, in order: the cheapest of a fixed set of places, given the labels
/// before it. Inside `frame` if it fits; `obstacles` are covered only if nothing else is left.
pub(super) fn place(labels: &[Label], obstacles: &[Rect], frame: Rect) -> Vec<Rect> {
    let mut placed: Vec<Rect> = Vec::new();
    let mut leaders: Vec<Rect> = Vec::new();
    for label in labels {
        let mut best: Option<(f64, Rect)> = None;
        for (rect, gap) in candidates(label) {
            let leader: Vec<Rect> = leader(label.at, &rect).collect();
            let outside = rect.area() - rect.overlap(&frame);
            let covered = 40.0 * shared(&[rect], &placed)
                + 10.0 * shared(&[rect], &leaders)
                + 3.0 * shared(&[rect], obstacles)
                + 10.0 * shared(&leader, &placed)
                + shared(&leader, obstacles);
            let cost = 100.0 * outside + covered + 1.5 * gap;
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, rect));
            }
        }
        if let Some((_, rect)) = best {
            placed.push(rect);
            leaders.extend(leader(label.at, &rect));
        }
    }
    placed
}

/// Area that two sets of rectangles share.
fn shared(some: &[Rect], others: &[Rect]) -> f64 {
    let of_one = |one: &Rect| others.iter().map(|other| one.overlap(other)).sum::<f64>();
    some.iter().map(of_one).sum()
}

/// The line from a point to its label, without the part on the point's own mark.
fn leader(at: (f64, f64), rect: &Rect) -> impl Iterator<Item = Rect> {
    let own = Rect::around(at, (10.0, 10.0));
    along(at, nearest(rect, at)).filter(move |dot| dot.overlap(&own) == 0.0)
}

/// Places around the point: near before far, the right side first.
fn candidates(label: &Label) -> impl Iterator<Item = (Rect, f64)> {
    let (x, y) = label.at;
    let half = label.half();
    [8.0, 14.0, 22.0, 32.0, 46.0, 62.0, 80.0]
        .into_iter()
        .flat_map(move |gap| {
            (0..16).map(move |turn| {
                let angle = std::f64::consts::TAU * f64::from(turn) / 16.0;
                let center = (
                    x + angle.cos() * (gap + half.0),
                    y - angle.sin() * (gap + half.1),
                );
                (Rect::around(center, half), gap)
            })
        })
}

/// The point of a rectangle that is nearest to `at`.
pub(super) fn nearest(rect: &Rect, (x, y): (f64, f64)) -> (f64, f64) {
    (
        x.clamp(rect.left, rect.right),
        y.clamp(rect.top, rect.bottom),
    )
}

/// Small rectangles along a line.
pub(super) fn along(from: (f64, f64), to: (f64, f64)) -> impl Iterator<Item = Rect> {
    let n = ((to.0 - from.0).hypot(to.1 - from.1) / 6.0).ceil().max(1.0);
    (0..=n as usize).map(move |i| {
        let t = i as f64 / n;
        let at = (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1));
        Rect::around(at, (2.5, 2.5))
    })
}

/// `text` in lines of at most `width` characters, unless a word is longer.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_one_spot_do_not_overlap() {
        let label = Label {
            at: (100.0, 100.0),
            lines: vec!["a long name".into()],
        };
        let frame = Rect {
            left: 0.0,
            top: 0.0,
            right: 300.0,
            bottom: 300.0,
        };
        let placed = place(
            &vec![label; 6],
            &[Rect::around((100.0, 100.0), (5.0, 5.0))],
            frame,
        );
        for (i, one) in placed.iter().enumerate() {
            assert_eq!(one.overlap(&frame), one.area());
            assert!(
                placed[i + 1..]
                    .iter()
                    .all(|other| one.overlap(other) == 0.0),
                "{placed:?}"
            );
        }
    }

    #[test]
    fn text_wraps_at_words() {
        assert_eq!(
            wrap("without R_mode and R_ctrl", 14),
            ["without R_mode", "and R_ctrl"]
        );
        assert_eq!(wrap("", 14), Vec::<String>::new());
    }
}
