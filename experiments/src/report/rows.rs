//! The numbers of the table as text: one source for the terminal and for the page.

use std::collections::{BTreeMap, BTreeSet};

use extracot_core::KeepLevel;
use extracot_core::report::{Comparison, DifficultyRow, EvalSummary};

use super::text::{MISSING, number, p_value, percent, percent_interval, ratio_interval, signed};
use crate::summary::{RowKind, Summary, TableRow};

/// Head of the main table.
pub(super) const COLUMNS: [&str; 9] = [
    "row",
    "n",
    "Tokens",
    "Total",
    "ActRatio [95% CI]",
    "Acc@all % [95% CI]",
    "Trunc%",
    "NoAns%",
    "20/40/60/80/100",
];

/// Head of a comparison.
pub(super) const COMPARISON_COLUMNS: [&str; 6] = [
    "row",
    "Acc diff, points [95% CI]",
    "only this/only other",
    "McNemar p",
    "Token diff [95% CI]",
    "p (tokens)",
];

/// Shares of the five levels, smallest first, and of no level; they sum to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LevelShares(pub(super) [f64; 6]);

impl LevelShares {
    /// `None` without samples.
    fn of(chosen: &BTreeMap<KeepLevel, usize>, n: usize) -> Option<Self> {
        let counts = KeepLevel::ALL.map(|level| chosen.get(&level).copied().unwrap_or(0));
        let stated: usize = counts.iter().sum();
        let n = n.max(stated);
        let share = |count: usize| count as f64 / n as f64;
        let [a, b, c, d, e] = counts.map(share);
        (n > 0).then(|| Self([a, b, c, d, e, share(n - stated)]))
    }

    /// `12/30/40/18/0`: percent of the five levels.
    pub(super) fn slashes(&self) -> String {
        let cells: Vec<String> = self.0[..5].iter().map(|share| percent(*share, 0)).collect();
        cells.join("/")
    }
}

/// Shares over all samples; `None` for a model that is asked for no level.
pub(super) fn overall_shares(row: &TableRow) -> Option<LevelShares> {
    if row.kind == RowKind::Base {
        return None;
    }
    LevelShares::of(&row.summary.chosen, row.summary.n)
}

/// Shares over the samples of one difficulty.
pub(super) fn difficulty_shares(row: &TableRow, part: &DifficultyRow) -> Option<LevelShares> {
    if row.kind == RowKind::Base {
        None
    } else {
        LevelShares::of(&part.chosen, part.n)
    }
}

/// The cells of a row, in the order of [`COLUMNS`].
pub(super) fn cells(row: &TableRow) -> Vec<String> {
    let summary = &row.summary;
    let mut cells = vec![row.name.clone(), summary.n.to_string()];
    if summary.n == 0 {
        cells.resize(COLUMNS.len(), MISSING.into());
        return cells;
    }
    cells.extend([
        number(summary.think_tokens, 1),
        number(summary.total_tokens, 1),
        ratio_interval(&summary.act_ratio),
        percent_interval(&summary.accuracy),
        percent(summary.truncation_rate, 1),
        percent(summary.no_answer_rate, 1),
        overall_shares(row).map_or_else(|| MISSING.into(), |shares| shares.slashes()),
    ]);
    cells
}

/// The cells of a comparison, in the order of [`COMPARISON_COLUMNS`].
pub(super) fn comparison_cells(name: &str, comparison: &Comparison) -> Vec<String> {
    let (accuracy, tokens) = (&comparison.accuracy, &comparison.think_tokens);
    let [points, low, high] =
        [accuracy.mean, accuracy.low, accuracy.high].map(|share| signed(100.0 * share, 1));
    vec![
        name.into(),
        format!("{points} [{low}, {high}]"),
        comparison.mcnemar.map_or_else(
            || MISSING.into(),
            |found| format!("{}/{}", found.n_only_this, found.n_only_other),
        ),
        comparison
            .mcnemar
            .map_or_else(|| MISSING.into(), |found| p_value(found.p_two_sided)),
        format!(
            "{} [{}, {}]",
            signed(tokens.mean, 1),
            signed(tokens.low, 1),
            signed(tokens.high, 1)
        ),
        p_value(tokens.p_two_sided),
    ]
}

/// The comparisons that a page shows: what is compared with, and one line per row that has one.
pub(super) fn comparisons(summary: &Summary) -> Vec<(String, Vec<Vec<String>>)> {
    let lines = |of: fn(&TableRow) -> Option<&Comparison>| -> Vec<Vec<String>> {
        let rows = summary.rows.iter();
        rows.filter_map(|row| Some(comparison_cells(&row.name, of(row)?)))
            .collect()
    };
    let full = full_arm(summary).map_or("the first arm", |row| row.name.as_str());
    let base = base(summary).map_or("base", |row| row.name.as_str());
    vec![
        (
            format!("Versus {base}"),
            lines(|row| row.versus_base.as_ref()),
        ),
        (
            format!("Versus {full}"),
            lines(|row| row.versus_full.as_ref()),
        ),
    ]
}

/// The first arm, which is the full method.
pub(super) fn full_arm(summary: &Summary) -> Option<&TableRow> {
    summary.rows.iter().find(|row| row.kind == RowKind::Arm)
}

/// The base model.
pub(super) fn base(summary: &Summary) -> Option<&TableRow> {
    summary.rows.iter().find(|row| row.kind == RowKind::Base)
}

/// All difficulties of the table, rising.
pub(super) fn difficulties(summary: &Summary) -> Vec<u32> {
    let parts = summary
        .rows
        .iter()
        .flat_map(|row| &row.summary.by_difficulty);
    parts
        .map(|part| part.difficulty)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

/// What a row says of one difficulty.
pub(super) fn part(row: &TableRow, difficulty: u32) -> Option<&DifficultyRow> {
    row.summary
        .by_difficulty
        .iter()
        .find(|part| part.difficulty == difficulty && part.n > 0)
}

/// Whether a row has numbers that a plot can show.
pub(super) fn is_drawable(row: &TableRow) -> bool {
    let (ratio, accuracy) = (row.summary.act_ratio, row.summary.accuracy);
    let numbers = [
        ratio.estimate,
        ratio.low,
        ratio.high,
        accuracy.estimate,
        accuracy.low,
        accuracy.high,
    ];
    row.summary.n > 0 && numbers.iter().all(|number| number.is_finite())
}

/// What the columns do not say: rows without samples, undecided answers, completions without level.
pub(super) fn remarks(summary: &Summary) -> Vec<String> {
    let mut remarks = Vec::new();
    let list = |share: fn(&EvalSummary) -> f64| {
        let rows = summary.rows.iter().filter(|row| row.summary.n > 0);
        let of_row = |row: &TableRow| {
            let share = share(&row.summary);
            (share > 0.0).then(|| format!("{} {}", row.name, percent(share, 1)))
        };
        let listed: Vec<String> = rows.filter_map(of_row).collect();
        (!listed.is_empty()).then(|| listed.join(", "))
    };
    let empty: Vec<&str> = summary
        .rows
        .iter()
        .filter(|row| row.summary.n == 0)
        .map(|row| row.name.as_str())
        .collect();
    if !empty.is_empty() {
        remarks.push(format!("no samples: {}", empty.join(", ")));
    }
    if let Some(rows) = list(|row| row.undecided_rate) {
        remarks.push(format!(
            "answers that could not be judged, counted as not right, %: {rows}"
        ));
    }
    if let Some(rows) = list(|row| row.no_level_rate) {
        remarks.push(format!("completions that state no level, %: {rows}"));
    }
    remarks
}
