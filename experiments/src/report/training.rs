//! The page of a run of `extracot sft`, `chrpo` or `train-compressor`.

use extracot_train::metrics::MetricRow;

use super::palette::Palette;
use super::text::escape;
use super::{Section, curves, page, shares};
use crate::summary::{ArmCurve, PolicyStep, Summary};

/// What the page shows.
#[derive(Debug, Clone, Copy)]
pub struct TrainingReport<'a> {
    /// The command.
    pub command: &'a str,
    /// Its log.
    pub steps: &'a [MetricRow],
    /// `metrics.json`.
    pub results: &'a str,
    /// `config.toml`.
    pub settings: &'a str,
}

const CAUTION: &str = "Held-out and validation figures choose the weights that come out, so they are better \
    than those on other problems. For figures to report: <code>extracot eval</code> on problems of another \
    file.";

/// The course of a training as one self-contained HTML file.
pub fn render_training_html(report: &TrainingReport<'_>) -> String {
    let summary = as_summary(report);
    let palette = Palette::new(&summary);
    let pre = |text: &str| format!("<pre>{}</pre>\n", escape(text));
    let section = |id, title, body| Section { id, title, body };
    let mut sections = vec![section(
        "curves",
        "Course of the training",
        curves::metrics(&summary, &palette),
    )];
    let has_levels = |row: &MetricRow| row.metrics.keys().any(|key| key.starts_with("level/"));
    if report.steps.iter().any(has_levels) {
        let body = shares::level_shares(&summary);
        sections.push(section("shares", "Chosen levels over steps", body));
    }
    sections.push(section("results", "What came out", pre(report.results)));
    sections.push(section("settings", "Settings", pre(report.settings)));
    let headline = format!("{} steps", report.steps.len());
    page(
        &format!("extracot {}", report.command),
        &headline,
        CAUTION,
        &sections,
    )
}

/// The log in the form that the plots of an ablation draw.
fn as_summary(report: &TrainingReport<'_>) -> Summary {
    let step = |row: &MetricRow| PolicyStep {
        step: row.step,
        metrics: row.metrics.clone(),
    };
    Summary {
        experiment: report.command.to_owned(),
        preset: String::new(),
        seed: 0,
        problems: String::new(),
        config_hash: String::new(),
        rows: vec![],
        budgets: vec![],
        curves: vec![ArmCurve {
            arm: report.command.to_owned(),
            steps: report.steps.iter().map(step).collect(),
        }],
        samples: vec![],
        counts: vec![],
        aims: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_panel_and_settings_are_text() {
        let row = |step: usize| MetricRow {
            stage: "sft".to_owned(),
            step,
            metrics: [("optim/loss", 2.0), ("held_out/loss_nats", 3.0)]
                .map(|(key, value)| (key.to_owned(), value - step as f64))
                .into(),
        };
        let report = TrainingReport {
            command: "sft",
            steps: &[row(0), row(1)],
            results: "{}",
            settings: "a = \"<b>\"",
        };
        let html = render_training_html(&report);
        for text in [
            "curve-optim-loss",
            "curve-held-out-loss-nats",
            "2 steps",
            "&lt;b&gt;",
        ] {
            assert!(html.contains(text), "{text}");
        }
        assert!(!html.contains("Chosen levels") && !html.contains("a = \"<b>"));
    }
}
