//! Colors, marks and dashes: one per arm, the same in every plot.
//!
//! The colors are those of Okabe and Ito (2008), which stay apart for color-blind readers; marks
//! and dashes tell arms apart in black and white. The values are CSS variables in `style.css`, so
//! that dark mode can lighten them.

use super::marks::{Mark, mark_path};
use super::text::escape;
use crate::summary::{RowKind, Summary, TableRow};

/// Colors of `style.css` for arms.
const N_COLORS: usize = 6;
const MARKS: [Mark; 6] = [
    Mark::Disc,
    Mark::Square,
    Mark::Triangle,
    Mark::Diamond,
    Mark::Wedge,
    Mark::Plus,
];

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Class of `style.css` that sets the color.
    pub(super) color: &'static str,
    /// Class of `style.css` that sets the dashes of lines.
    pub(super) dash: &'static str,
    /// The mark of points.
    pub(super) mark: Mark,
}

/// The arms of a summary in order, which is what their looks depend on.
#[derive(Debug)]
pub(super) struct Palette {
    arms: Vec<String>,
}

impl Palette {
    /// Arms of the table first, then arms that only have curves.
    pub(super) fn new(summary: &Summary) -> Self {
        let of_table = summary.rows.iter().filter(|row| row.kind == RowKind::Arm);
        let names = of_table.map(|row| &row.name);
        let mut arms: Vec<String> = Vec::new();
        for name in names.chain(summary.curves.iter().map(|curve| &curve.arm)) {
            if !arms.contains(name) {
                arms.push(name.clone());
            }
        }
        Self { arms }
    }

    /// The look of an arm.
    pub(super) fn arm(&self, name: &str) -> Look {
        const COLORS: [&str; N_COLORS] = ["c0", "c1", "c2", "c3", "c4", "c5"];
        const DASHES: [&str; 5] = ["d0", "d1", "d2", "d3", "d4"];
        let idx = self
            .arms
            .iter()
            .position(|arm| arm == name)
            .unwrap_or(self.arms.len());
        Look {
            color: COLORS[idx % N_COLORS],
            dash: DASHES[idx % DASHES.len()],
            mark: MARKS[idx % MARKS.len()],
        }
    }

    /// The look of a row of the table.
    pub(super) fn row(&self, row: &TableRow) -> Look {
        match row.kind {
            RowKind::Base => Look {
                color: "cbase",
                dash: "d0",
                mark: Mark::Cross,
            },
            RowKind::FixedLevel => Look {
                color: "cfixed",
                dash: "d0",
                mark: Mark::Ring,
            },
            RowKind::SftPolicy => Look {
                color: "csft",
                dash: "d0",
                mark: Mark::Star,
            },
            RowKind::Arm => self.arm(&row.name),
        }
    }

    /// The legend of curves, one entry per arm.
    pub(super) fn legend<'a>(&self, arms: impl Iterator<Item = &'a str>) -> String {
        let entries: String = arms.map(|arm| self.legend_entry(arm)).collect();
        format!("<ul class=\"legend\">{entries}</ul>\n")
    }

    fn legend_entry(&self, arm: &str) -> String {
        let Look { color, dash, mark } = self.arm(arm);
        format!(
            "<li><svg viewBox=\"0 0 40 14\" width=\"40\" height=\"14\" aria-hidden=\"true\">\
             <path class=\"curve {color} {dash}\" d=\"M1 7H39\"/>{}</svg> {}</li>",
            mark_path(mark, (20.0, 7.0), 4.0, color),
            escape(arm),
        )
    }
}
