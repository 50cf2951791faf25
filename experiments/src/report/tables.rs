//! The tables of the page.

use super::rows::{COLUMNS, COMPARISON_COLUMNS, cells, comparisons, difficulties, part, remarks};
use super::text::{MISSING, escape, note, number, percent};
use crate::summary::{RowKind, Summary, TableRow};

/// A table that scrolls sideways where it does not fit; everything is escaped.
pub(super) fn table(caption: &str, head: &[&str], lines: &[Vec<String>]) -> String {
    let head: String = head
        .iter()
        .map(|cell| format!("<th scope=\"col\">{}</th>", escape(cell)))
        .collect();
    let body: String = lines.iter().map(|line| table_line(line)).collect();
    format!(
        "<div class=\"scroll\"><table><caption>{}</caption><thead><tr>{head}</tr></thead>\n\
         <tbody>\n{body}</tbody></table></div>\n",
        escape(caption)
    )
}

fn table_line(line: &[String]) -> String {
    let cells: String = line
        .iter()
        .enumerate()
        .map(|(i, cell)| match i {
            0 => format!("<th scope=\"row\">{}</th>", escape(cell)),
            _ => format!("<td>{}</td>", escape(cell)),
        })
        .collect();
    format!("<tr>{cells}</tr>\n")
}

/// The main table, its remarks, and the comparisons.
pub(super) fn main(summary: &Summary) -> String {
    if summary.rows.is_empty() {
        return note("The summary has no rows.");
    }
    let lines: Vec<Vec<String>> = summary.rows.iter().map(cells).collect();
    let mut out = table("Every model on the same problems", &COLUMNS, &lines);
    for remark in remarks(summary) {
        out.push_str(&note(&remark));
    }
    out.push_str(
        "<p class=\"muted\">Tokens: mean think tokens; a think text that is missing, unclosed or repeated \
         counts every token. Total: mean generated tokens. ActRatio: Tokens / Tokens of the base model. Acc@all: right \
         / all. Trunc: cut at the limit. NoAns: without an answer. 20/40/60/80/100: share of \
         samples that state each level.</p>\n",
    );
    for (title, lines) in comparisons(summary) {
        if lines.is_empty() {
            out.push_str(&note(&format!("{title}: no comparison in the summary.")));
        } else {
            out.push_str(&table(&title, &COMPARISON_COLUMNS, &lines));
        }
    }
    out.push_str(
        "<p class=\"muted\">Same problems, paired. p-values are two-sided and not corrected for \
         the number of comparisons.</p>\n",
    );
    out
}

/// Accuracy by difficulty, shaded.
pub(super) fn accuracy(summary: &Summary) -> String {
    let difficulties = difficulties(summary);
    if difficulties.is_empty() {
        return note("No difficulty is known.");
    }
    let head: String = difficulties
        .iter()
        .map(|difficulty| format!("<th scope=\"col\">difficulty {difficulty}</th>"))
        .collect();
    let body: String = summary
        .rows
        .iter()
        .map(|row| {
            let cells: String = difficulties
                .iter()
                .map(|difficulty| heat_cell(row, *difficulty))
                .collect();
            format!(
                "<tr><th scope=\"row\">{}</th>{cells}</tr>\n",
                escape(&row.name)
            )
        })
        .collect();
    format!(
        "<p class=\"muted\">Acc@all in percent with its 95 % interval, samples, mean think tokens. The \
         stronger the color, the more answers are right.</p>\n\
         <div class=\"scroll\"><table class=\"heat\"><caption>Acc@all %</caption><thead><tr><th scope=\"col\">row</th>{head}</tr></thead>\n\
         <tbody>\n{body}</tbody></table></div>\n"
    )
}

fn heat_cell(row: &TableRow, difficulty: u32) -> String {
    let Some(part) = part(row, difficulty) else {
        return format!("<td>{MISSING}</td>");
    };
    let accuracy = &part.accuracy;
    format!(
        "<td style=\"background:rgba(86,180,233,{})\"><b>{}</b><small>[{}, {}]<br>n={}, {} \
         tokens</small></td>",
        number(0.6 * accuracy.estimate.powi(2), 3).replace(MISSING, "0"),
        percent(accuracy.estimate, 1),
        percent(accuracy.low, 1),
        percent(accuracy.high, 1),
        part.n,
        number(part.think_tokens, 1),
    )
}

/// What every stage took and dropped.
pub(super) fn counts(summary: &Summary) -> String {
    if summary.counts.is_empty() {
        return note("No stage reported counts.");
    }
    let mut lines = Vec::new();
    for stage in &summary.counts {
        if stage.counts.is_empty() {
            lines.push(vec![
                stage.stage.clone(),
                "nothing counted".into(),
                MISSING.into(),
            ]);
        }
        for (reason, count) in &stage.counts {
            lines.push(vec![stage.stage.clone(), reason.clone(), count.to_string()]);
        }
    }
    let table = table(
        "Rows by what became of them",
        &["stage", "reason", "rows"],
        &lines,
    );
    format!("<div class=\"counts\">{table}</div>")
}

/// Where the numbers come from.
pub(super) fn provenance(summary: &Summary) -> String {
    let n_arms = summary
        .rows
        .iter()
        .filter(|row| row.kind == RowKind::Arm)
        .count();
    let facts = [
        ("experiment", summary.experiment.clone()),
        ("preset", summary.preset.clone()),
        ("seed", summary.seed.to_string()),
        ("config hash", summary.config_hash.clone()),
        ("problems", summary.problems.clone()),
        ("rows", format!("{} ({n_arms} arms)", summary.rows.len())),
        ("accuracy intervals", "Wilson, 95 %".into()),
        (
            "token and ratio intervals",
            "paired bootstrap over problems, 95 %".into(),
        ),
        ("accuracy test", "exact two-sided McNemar".into()),
    ];
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(value)))
        .collect();
    format!("<dl>\n{facts}</dl>\n")
}
