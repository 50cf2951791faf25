//! The table for the terminal: plain text, aligned columns.

use super::rows::{
    COLUMNS, COMPARISON_COLUMNS, cells, comparisons, difficulties, difficulty_shares, part, remarks,
};
use super::text::{MISSING, percent};
use crate::summary::{Summary, TableRow};

/// Difficulties side by side before a block continues below.
const DIFFICULTIES_PER_BLOCK: usize = 5;

/// The table as plain text, about 110 columns wide: all rows, the same by difficulty, and the
/// comparisons with the base model and with the full method.
pub fn render_table(summary: &Summary) -> String {
    let Summary {
        experiment,
        preset,
        seed,
        problems,
        config_hash,
        ..
    } = summary;
    let mut out = format!(
        "{experiment}  preset {preset}  seed {seed}  config {config_hash}\nproblems: {problems}\n\n"
    );
    if summary.rows.is_empty() {
        out.push_str("The summary has no rows.\n");
        return out;
    }
    let head: Vec<String> = COLUMNS.map(String::from).to_vec();
    out.push_str(&grid(
        &head,
        &summary.rows.iter().map(cells).collect::<Vec<_>>(),
    ));
    for remark in remarks(summary) {
        out.push_str(&format!("  {remark}\n"));
    }
    by_difficulty(summary, &mut out);
    for (title, lines) in comparisons(summary) {
        out.push_str(&format!("\n{title}\n"));
        if lines.is_empty() {
            out.push_str("  no comparison in the summary\n");
        } else {
            out.push_str(&grid(&COMPARISON_COLUMNS.map(String::from), &lines));
        }
    }
    out.push_str("p-values are two-sided and not corrected for the number of comparisons.\n");
    if !summary.aims.is_empty() {
        out.push_str("\nAims\n");
    }
    for aim in &summary.aims {
        let word = if aim.reached {
            "reached"
        } else {
            "NOT REACHED"
        };
        out.push_str(&format!("  {word:<12} {}: {}\n", aim.aim, aim.found));
    }
    out
}

fn by_difficulty(summary: &Summary, out: &mut String) {
    let difficulties = difficulties(summary);
    if difficulties.is_empty() {
        out.push_str("\nNo difficulty is known, so there is nothing by difficulty.\n");
    }
    for block in difficulties.chunks(DIFFICULTIES_PER_BLOCK) {
        let accuracy = |row: &TableRow, difficulty| {
            part(row, difficulty).map(|part| percent(part.accuracy.estimate, 1))
        };
        out.push_str("\nAcc@all % by difficulty\n");
        out.push_str(&matrix(summary, block, accuracy));
        let levels = |row: &TableRow, difficulty| {
            let shares = difficulty_shares(row, part(row, difficulty)?)?;
            Some(shares.slashes())
        };
        out.push_str("\nChosen levels by difficulty, % at 20/40/60/80/100\n");
        out.push_str(&matrix(summary, block, levels));
    }
}

fn matrix(
    summary: &Summary,
    difficulties: &[u32],
    cell: impl Fn(&TableRow, u32) -> Option<String>,
) -> String {
    let mut head = vec!["row".to_owned()];
    head.extend(difficulties.iter().map(|difficulty| {
        let n = summary
            .rows
            .iter()
            .find_map(|row| part(row, *difficulty))
            .map_or(0, |part| part.n);
        format!("d={difficulty} (n={n})")
    }));
    let lines: Vec<Vec<String>> = summary
        .rows
        .iter()
        .map(|row| {
            let mut line = vec![row.name.clone()];
            line.extend(
                difficulties
                    .iter()
                    .map(|difficulty| cell(row, *difficulty).unwrap_or_else(|| MISSING.into())),
            );
            line
        })
        .collect();
    grid(&head, &lines)
}

/// Lines under a head and a rule; the first column is flush left, the others are flush right.
pub(super) fn grid(head: &[String], lines: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let write = |line: &[String]| {
        let mut text = String::new();
        for (i, (cell, width)) in line.iter().zip(&widths).enumerate() {
            if i == 0 {
                text.push_str(&format!("{cell:<width$}"));
            } else {
                text.push_str(&format!("  {cell:>width$}"));
            }
        }
        format!("{}\n", text.trim_end())
    };
    let rule = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
    let mut out = write(head);
    out.push_str(&format!("{}\n", "-".repeat(rule)));
    lines.iter().for_each(|line| out.push_str(&write(line)));
    out
}
