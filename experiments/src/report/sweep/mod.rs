//! The report of a sweep over levels: tables for terminal and paper, and one HTML file.

mod page;
mod samples;
mod tables;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
mod timing;
mod verdicts;
mod versus;

use crate::sweep::{ComparedLevel, Prediction, SweepSummary, Timing};

use super::terminal::grid;
use super::text::escape;
pub use page::render_sweep_html;
use tables::{SweepTables, TextTable};
use versus::comparison_tables;

/// What is reported of a sweep: the summary, and by level times and samples.
#[derive(Debug)]
pub struct SweepReport<'a> {
    /// All numbers that are the same every time.
    pub summary: &'a SweepSummary,
    /// Times of the levels, in the order of the rows.
    pub timings: Vec<&'a Timing>,
    /// Samples of the levels, in the order of the rows.
    pub samples: Vec<&'a [Prediction]>,
    /// The resolved settings.
    pub config: &'a str,
    /// Where the numbers come from, by name: device, revision, system.
    pub provenance: Vec<(&'static str, String)>,
}

/// The tables as plain text.
pub fn render_sweep_table(report: &SweepReport<'_>) -> String {
    plain(&SweepTables::new(report).all())
}

/// The tables in Markdown.
pub fn render_sweep_markdown(report: &SweepReport<'_>) -> String {
    markdown(&SweepTables::new(report).all())
}

/// Two runs, level by level, as plain text. `names` are those of the first and the second one,
/// `remarks` what is not compared.
pub fn render_comparison_table(
    names: (&str, &str),
    levels: &[ComparedLevel],
    remarks: &[String],
) -> String {
    plain(&comparison_tables(names, levels, remarks))
}

/// Two runs, level by level, in Markdown.
pub fn render_comparison_markdown(
    names: (&str, &str),
    levels: &[ComparedLevel],
    remarks: &[String],
) -> String {
    markdown(&comparison_tables(names, levels, remarks))
}

fn plain(tables: &[TextTable]) -> String {
    let table = |table: &TextTable| {
        let mut out = format!("{}\n", table.title);
        if !table.lines.is_empty() {
            out += &grid(&table.head, &table.lines);
        }
        for note in &table.notes {
            out += &format!("  {note}\n");
        }
        out
    };
    let tables: Vec<String> = tables.iter().map(table).collect();
    tables.join("\n")
}

fn markdown(tables: &[TextTable]) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| markdown_text(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let table = |table: &TextTable| {
        let mut out = format!("### {}\n\n", markdown_text(&table.title));
        if !table.lines.is_empty() {
            let rule = std::iter::once("---").chain(std::iter::repeat("---:"));
            let rule: Vec<&str> = rule.take(table.head.len()).collect();
            out += &line(&table.head);
            out += &format!("| {} |\n", rule.join(" | "));
            out.extend(table.lines.iter().map(|cells| line(cells)));
            out.push('\n');
        }
        for note in &table.notes {
            out += &format!("{}\n\n", markdown_text(note));
        }
        out
    };
    let tables: Vec<String> = tables.iter().map(table).collect();
    format!("{}\n", tables.concat().trim_end())
}

/// A text in Markdown: names of files and models are no markup.
fn markdown_text(text: &str) -> String {
    escape(text)
        .replace('|', "\\|")
        .replace('_', "\\_")
        .replace('*', "\\*")
}
