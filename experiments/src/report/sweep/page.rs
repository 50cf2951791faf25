//! The page of a sweep.

use super::SweepReport;
use super::samples;
use super::tables::{SweepTables, TextTable, title};
use super::verdicts::headline;
use crate::report::palette::Palette;
use crate::report::tables::{accuracy, table};
use crate::report::text::{escape, note};
use crate::report::{Section, bars, page, pareto, target};
use crate::summary::{RowKind, Summary, TableRow};
use crate::sweep::{SweepRow, SweepSummary};

const CAUTION: &str = "Brackets are 95 % intervals over the choice of problems; the chance of \
    training is not in them. No evidence of a difference is not evidence of equality. A level that is \
    picked from a table looks better than it is on other problems.";

const COLUMNS: &str = "<p class=\"muted\">Tokens: mean think tokens over all samples; a think text \
    that is missing, unclosed or repeated counts every token. Total: mean generated tokens. ActRatio: \
    Tokens / Tokens of the baseline on the same problems. Acc@all: right / all. Trunc: cut at the \
    limit. NoAns: without an answer. Undec: cannot be judged, counted as not right. Format: the think \
    text is missing, unclosed or repeated. NoLevel: states no level.</p>\n";

/// The report of a sweep as one self-contained HTML file.
pub fn render_sweep_html(report: &SweepReport<'_>) -> String {
    let summary = report.summary;
    let rows = as_table(summary);
    let baseline = summary.baseline.to_string();
    let tables = SweepTables::new(report);
    let repeated = tables.repeated.as_ref().map_or(String::new(), html);
    let steps = tables.fidelity.as_ref().map_or(String::new(), html);
    let section = |id, title, body| Section { id, title, body };
    let palette = Palette::new(&rows);
    let sections = [
        section("table", "Table", html(&tables.main) + COLUMNS),
        section(
            "comparison",
            "Against the baseline",
            html(&tables.versus) + &repeated,
        ),
        section(
            "pareto",
            "Accuracy against tokens",
            pareto::html(&rows, &palette, &baseline),
        ),
        section(
            "fidelity",
            "Control fidelity",
            target::html(&rows, &baseline) + &steps,
        ),
        section("time", "Time", html(&tables.time)),
        section("difficulty", "By difficulty", accuracy(&rows)),
        section("levels", "Stated level by difficulty", bars::chosen(&rows)),
        section("samples", "Samples", samples::html(report)),
        section("provenance", "Provenance", provenance(report)),
    ];
    let kicker = format!("extracot eval: {}", title(summary));
    page(&kicker, &headline(summary), CAUTION, &sections)
}

fn html(text: &TextTable) -> String {
    let names: Vec<&str> = text.head.iter().map(String::as_str).collect();
    let mut out = match text.lines.is_empty() {
        true => format!("<p><b>{}</b></p>\n", escape(&text.title)),
        false => table(&text.title, &names, &text.lines),
    };
    for line in &text.notes {
        let is_alarm = ["COLLAPSE:", "LEAKAGE:", "OPEN:"]
            .iter()
            .any(|word| line.contains(word));
        out += &match is_alarm {
            true => note(line),
            false => format!("<p class=\"muted\">{}</p>\n", escape(line)),
        };
    }
    out
}

/// The rows in the form that the plots of an ablation draw.
fn as_table(summary: &SweepSummary) -> Summary {
    let row = |row: &SweepRow| {
        let percent: Option<f64> = row.level.parse().ok();
        TableRow {
            name: match percent {
                Some(_) => format!("level {}", row.level),
                None => row.level.clone(),
            },
            kind: match (row.level.as_str(), percent) {
                (_, Some(_)) => RowKind::FixedLevel,
                ("policy", _) => RowKind::SftPolicy,
                _ => RowKind::Base,
            },
            target_ratio: percent.map(|percent| percent / 100.0),
            summary: row.summary.clone(),
            versus_base: row.versus_baseline.map(|found| found.comparison),
            versus_full: None,
        }
    };
    Summary {
        experiment: "eval".to_owned(),
        preset: String::new(),
        seed: summary.decoding.seed,
        problems: summary.problems.file.clone(),
        config_hash: summary.config_hash.clone(),
        rows: summary.rows.iter().map(row).collect(),
        budgets: vec![],
        curves: vec![],
        samples: vec![],
        counts: vec![],
        aims: vec![],
    }
}

fn provenance(report: &SweepReport<'_>) -> String {
    let summary = report.summary;
    let facts = [
        ("model", summary.model.clone()),
        ("problems", summary.problems.file.clone()),
        ("SHA-256 of the problems", summary.problems.sha256.clone()),
        (
            "baseline",
            format!("{} ({})", summary.baseline, summary.baseline.chosen_by),
        ),
        ("think tokens in", summary.token_unit.clone()),
        ("config hash", summary.config_hash.clone()),
        ("program", format!("extracot {}", env!("CARGO_PKG_VERSION"))),
        ("accuracy intervals", "Wilson, 95 %".to_owned()),
        (
            "other intervals",
            "paired bootstrap over problems, 95 %".to_owned(),
        ),
    ];
    let facts: String = facts
        .iter()
        .chain(&report.provenance)
        .map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(value)))
        .collect();
    let prompts: String = summary
        .rows
        .iter()
        .map(|row| {
            let (level, hash) = (escape(&row.level), escape(&row.prompts_hash));
            format!("<dt>prompts, {level}</dt><dd>{hash}</dd>\n")
        })
        .collect();
    format!(
        "<dl>\n{facts}{prompts}</dl>\n<p class=\"muted\">The time of the run is in \
         manifest.json. The settings, as in config.toml:</p>\n<pre>{}</pre>\n",
        escape(report.config)
    )
}
