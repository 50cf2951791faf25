//! Stacked bars: shares of levels by difficulty.

use std::collections::BTreeMap;

use extracot_core::KeepLevel;

use super::rows::{difficulties, difficulty_shares, part};
use super::svg::{About, figure, open, px, segment, text_at};
use super::tables::table;
use super::text::{escape, note, percent};
use crate::summary::{RowKind, Summary};

const WIDTH: f64 = 340.0;
const BAR: f64 = 22.0;
const GAP: f64 = 6.0;

/// One bar: its label, its samples, and shares of the five levels and of none.
struct Bar {
    label: String,
    n: u64,
    shares: [f64; 6],
}

/// The levels that each model that chooses writes, by difficulty.
pub(super) fn chosen(summary: &Summary) -> String {
    let choosing = summary
        .rows
        .iter()
        .filter(|row| matches!(row.kind, RowKind::SftPolicy | RowKind::Arm));
    let mut panels = String::new();
    for (i, row) in choosing.enumerate() {
        let bars: Vec<Bar> = difficulties(summary)
            .into_iter()
            .filter_map(|difficulty| {
                let part = part(row, difficulty)?;
                let shares = difficulty_shares(row, part)?.0;
                Some(Bar {
                    label: difficulty.to_string(),
                    n: part.n as u64,
                    shares,
                })
            })
            .collect();
        let name = escape(&row.name);
        if bars.is_empty() {
            let missing = note(&format!("{}: no difficulty is known.", row.name));
            panels.push_str(&missing);
            continue;
        }
        let title = format!("Levels chosen by {}", row.name);
        panels.push_str(&figure(
            &name,
            "",
            &stacked(&format!("chosen-{i}"), &title, &bars),
        ));
    }
    if panels.is_empty() {
        return note("No model of this run chooses its level.");
    }
    format!("{}<div class=\"grid\">\n{panels}</div>\n", level_legend())
}

/// The teacher's budgets, as bars and as counts.
pub(super) fn budgets(summary: &Summary) -> String {
    if summary.budgets.is_empty() {
        return note("No teacher budgets were measured.");
    }
    let bars: Vec<Bar> = summary.budgets.iter().filter_map(budget_bar).collect();
    let title = "Teacher budget r* by difficulty";
    let explanation = "Smallest level at which all sampled answers are right; none if no level is.";
    let drawing = if bars.is_empty() {
        note("No problem has a budget.")
    } else {
        figure(title, explanation, &stacked("budgets-plot", title, &bars))
    };
    let head = [
        "difficulty",
        "20",
        "40",
        "60",
        "80",
        "100",
        "none",
        "problems",
    ];
    let lines: Vec<Vec<String>> = summary
        .budgets
        .iter()
        .map(|(label, counts)| {
            let mut line = vec![label.clone()];
            line.extend(budget_counts(counts).map(|count| count.to_string()));
            line.push(budget_counts(counts).iter().sum::<u64>().to_string());
            line
        })
        .collect();
    let counts = table("Problems per budget level", &head, &lines);
    format!(
        "{}<div class=\"pair\">\n{drawing}<div>{counts}</div>\n</div>\n",
        level_legend()
    )
}

fn budget_counts(counts: &BTreeMap<String, u64>) -> [u64; 6] {
    let count = |key: &str| counts.get(key).copied().unwrap_or(0);
    let [a, b, c, d, e] = KeepLevel::ALL.map(|level| count(&level.to_string()));
    [a, b, c, d, e, count("none")]
}

fn budget_bar((label, counts): &(String, BTreeMap<String, u64>)) -> Option<Bar> {
    let counts = budget_counts(counts);
    let n: u64 = counts.iter().sum();
    let shares = counts.map(|count| count as f64 / n as f64);
    (n > 0).then(|| Bar {
        label: label.clone(),
        n,
        shares,
    })
}

/// The colors of levels.
pub(super) fn level_legend() -> String {
    let names = ["level 20", "40", "60", "80", "100", "none stated or found"];
    let entries: String = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            format!(
                "<li><svg viewBox=\"0 0 14 14\" width=\"14\" height=\"14\" aria-hidden=\"true\">\
                 <path class=\"area l{i}\" d=\"M0 0H14V14H0Z\"/></svg> {name}</li>"
            )
        })
        .collect();
    format!("<ul class=\"legend\">{entries}</ul>\n")
}

fn stacked(id: &str, title: &str, bars: &[Bar]) -> String {
    let chars = bars
        .iter()
        .map(|bar| bar.label.chars().count())
        .max()
        .unwrap_or(0);
    let (left, right) = (28.0 + 6.5 * chars as f64, WIDTH - 46.0);
    let bottom = 20.0 + bars.len() as f64 * (BAR + GAP);
    let desc: Vec<String> = bars.iter().map(describe).collect();
    let about = About {
        id,
        title,
        desc: &desc.join(" "),
    };
    let mut out = open(about, (WIDTH, bottom + 38.0));
    out.push_str(&text_at((WIDTH, 12.0), "end", "tick", "n"));
    for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let x = left + tick * (right - left);
        out.push_str(&segment("grid", (x, 18.0), (x, bottom)));
        out.push_str(&text_at(
            (x, bottom + 14.0),
            "middle",
            "tick",
            &percent(tick, 0),
        ));
    }
    for (i, bar) in bars.iter().enumerate() {
        let top = 20.0 + i as f64 * (BAR + GAP);
        let baseline = top + BAR / 2.0 + 4.0;
        out.push_str(&text_at((left - 6.0, baseline), "end", "tick", &bar.label));
        out.push_str(&text_at(
            (WIDTH, baseline),
            "end",
            "tick",
            &bar.n.to_string(),
        ));
        out.push_str(&segments(bar, (left, right), top));
    }
    let middle = (left + right) / 2.0;
    out.push_str(&text_at(
        (middle, bottom + 32.0),
        "middle",
        "axis-label",
        "share (%)",
    ));
    out.push_str(&format!(
        "<text class=\"axis-label\" text-anchor=\"middle\" transform=\"translate(12 {}) \
         rotate(-90)\">difficulty</text></svg>",
        px((20.0 + bottom) / 2.0)
    ));
    out
}

fn segments(bar: &Bar, (left, right): (f64, f64), top: f64) -> String {
    let mut out = String::new();
    let mut from = left;
    for (level, share) in bar.shares.iter().enumerate() {
        let width = share * (right - left);
        if width <= 0.0 {
            continue;
        }
        out.push_str(&format!(
            "<rect class=\"area l{level}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{BAR}\"/>",
            px(from),
            px(top),
            px(width)
        ));
        if width >= 18.0 {
            let at = (from + width / 2.0, top + BAR / 2.0 + 4.0);
            out.push_str(&text_at(
                at,
                "middle",
                &format!("on-l{level}"),
                &percent(*share, 0),
            ));
        }
        from += width;
    }
    out
}

fn describe(bar: &Bar) -> String {
    let names = ["20", "40", "60", "80", "100", "none"];
    let shares: Vec<String> = names
        .iter()
        .zip(bar.shares)
        .map(|(name, share)| format!("{name}: {} %", percent(share, 0)))
        .collect();
    format!("Difficulty {}: {}.", bar.label, shares.join(", "))
}
