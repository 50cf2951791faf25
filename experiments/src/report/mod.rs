//! The report of a run: a [`Summary`] goes in, a table for the terminal or one HTML file comes out.
//!
//! The HTML file stands alone: style and plots are inline, there are no scripts and no addresses.
//! Every text that a model or a data file wrote is escaped. The same summary gives the same bytes.

mod bars;
mod compressors;
mod curves;
mod headline;
mod labels;
mod lengths;
mod marks;
mod palette;
mod pareto;
mod pooled;
mod rows;
mod samples;
mod series;
mod shares;
mod svg;
mod sweep;
mod tables;
mod target;
mod terminal;
mod text;
mod ticks;
mod training;

#[cfg(test)]
pub(crate) mod example;
#[cfg(test)]
mod tests;

pub use compressors::{render_compressor_html, render_compressor_table};
pub use headline::headline;
pub use lengths::render_lengths_plot;
pub use pooled::{PooledPair, PooledRow, render_pooled_markdown};
pub use sweep::{
    SweepReport, render_comparison_markdown, render_comparison_table, render_sweep_html,
    render_sweep_markdown, render_sweep_table,
};
pub use terminal::render_table;
pub(crate) use text::p_phrase;
pub use training::{TrainingReport, render_training_html};

use crate::summary::Summary;
use palette::Palette;
use text::escape;

/// What ActRatio of an ablation is against.
const BASE_MODEL: &str = "base model";

const STYLE: &str = include_str!("style.css");

/// One part of the page.
struct Section {
    id: &'static str,
    title: &'static str,
    body: String,
}

/// The report as one self-contained HTML file.
///
/// # Examples
///
/// ```no_run
/// # fn write(summary: &experiments::summary::Summary) -> std::io::Result<()> {
/// std::fs::write("report.html", experiments::report::render_html(summary))
/// # }
/// ```
pub fn render_html(summary: &Summary) -> String {
    let kicker = format!(
        "{}: {}, seed {}",
        summary.experiment, summary.preset, summary.seed
    );
    page(
        &kicker,
        &headline(summary),
        headline::CAUTION,
        &sections(summary),
    )
}

/// The frame of every report: `caution` is HTML, the other texts are escaped.
fn page(kicker: &str, headline: &str, caution: &str, sections: &[Section]) -> String {
    let toc: String = sections
        .iter()
        .map(|part| format!("<li><a href=\"#{}\">{}</a></li>", part.id, part.title))
        .collect();
    let body: String = sections
        .iter()
        .map(|part| {
            let Section { id, title, body } = part;
            format!("<section id=\"{id}\">\n<h2>{title}</h2>\n{body}</section>\n")
        })
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{kicker}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header>\n<p class=\"kicker\">{kicker}</p>\n<h1>{headline}</h1>\n\
         <p class=\"muted\">{caution}</p>\n</header>\n\
         <nav aria-label=\"Contents\"><ul>{toc}</ul></nav>\n{body}</main>\n</body>\n</html>\n",
        kicker = escape(kicker),
        headline = escape(headline),
    )
}

fn sections(summary: &Summary) -> Vec<Section> {
    let palette = Palette::new(summary);
    let section = |id, title, body| Section { id, title, body };
    vec![
        section("aims", "Aims", headline::aims(summary)),
        section("table", "Table", tables::main(summary)),
        section(
            "pareto",
            "Accuracy against tokens",
            pareto::html(summary, &palette, BASE_MODEL),
        ),
        section(
            "target",
            "Target against realized ratio",
            target::html(summary, BASE_MODEL),
        ),
        section(
            "curves",
            "Course of the training",
            curves::metrics(summary, &palette),
        ),
        section(
            "shares",
            "Chosen levels over steps",
            shares::level_shares(summary),
        ),
        section(
            "levels",
            "Chosen level by difficulty",
            bars::chosen(summary),
        ),
        section(
            "accuracy",
            "Accuracy by difficulty",
            tables::accuracy(summary),
        ),
        section(
            "budgets",
            "Teacher budgets by difficulty",
            bars::budgets(summary),
        ),
        section("samples", "Sample rollouts", samples::html(summary)),
        section(
            "counts",
            "Counts by stage and reason",
            tables::counts(summary),
        ),
        section("provenance", "Provenance", tables::provenance(summary)),
    ]
}
