//! What numbers of a sweep come to, in sentences.

use extracot_core::report::{ControlFidelity, StepFinding};

use crate::report::text::{number, p_phrase, percent_interval, ratio_interval};
use crate::sweep::{SweepRow, SweepSummary};

/// p-values from here on are no evidence of a difference.
const SIGNIFICANCE: f64 = 0.05;

/// Whether lengths follow levels.
pub(super) fn fidelity_verdict(found: &ControlFidelity) -> String {
    let tau = found
        .kendall
        .as_ref()
        .map_or("undefined: all lengths are equal".to_owned(), |tau| {
            number(tau.tau_b, 2)
        });
    let finding = |wanted: StepFinding| {
        let steps = found
            .steps
            .iter()
            .filter(move |step| step.finding == wanted);
        let names: Vec<String> = steps
            .map(|s| format!("{} to {}", s.lower, s.upper))
            .collect();
        names.join(", ")
    };
    let (collapsed, falls) = (finding(StepFinding::Collapsed), finding(StepFinding::Falls));
    let verdict = match (collapsed.as_str(), falls.as_str()) {
        ("", "") => "Every level takes more tokens than the next smaller one.".to_owned(),
        (collapsed, "") => format!(
            "COLLAPSE: {collapsed} make no difference that can be told from none; with few problems \
             that says little."
        ),
        ("", falls) => format!("COLLAPSE: tokens fall from {falls}."),
        (collapsed, falls) => {
            format!("COLLAPSE: tokens fall from {falls}; {collapsed} make no difference seen.")
        }
    };
    format!(
        "Slope of ActRatio over the level {} (1: in proportion), Kendall tau {tau}. {verdict}",
        number(found.slope, 3)
    )
}

/// What came out, in one sentence: the row that saves most tokens without evidence of a loss.
pub(super) fn headline(summary: &SweepSummary) -> String {
    let is_no_worse = |row: &&SweepRow| {
        row.versus_baseline.as_ref().is_some_and(|found| {
            let is_loss = found.comparison.accuracy.mean < 0.0;
            !(is_loss && found.p_accuracy_holm < SIGNIFICANCE)
        })
    };
    let ratio = |row: &&SweepRow| row.summary.act_ratio.estimate;
    let best = summary.rows.iter().filter(is_no_worse);
    let best = best.min_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let Some(row) = best.filter(|row| row.summary.act_ratio.estimate < 1.0) else {
        return match summary.rows.as_slice() {
            [row] => format!(
                "{} answers {} % of {} samples right at level {}, with {} think tokens on average.",
                summary.model,
                percent_interval(&row.summary.accuracy),
                row.summary.n,
                row.level,
                number(row.summary.think_tokens, 1)
            ),
            _ => format!(
                "No level of {} thinks shorter than {} without evidence of a loss of accuracy.",
                summary.model, summary.baseline
            ),
        };
    };
    let versus = row.versus_baseline.as_ref();
    let p = versus.map_or(1.0, |found| found.p_accuracy_holm);
    let points = versus.map_or(0.0, |found| 100.0 * found.comparison.accuracy.mean);
    let change = match (p < SIGNIFICANCE, points) {
        (_, 0.0) => "as many right answers".to_owned(),
        (true, points) => format!("{} points more", number(points, 1)),
        (false, points) => {
            let side = if points < 0.0 { "fewer" } else { "more" };
            format!("{} points {side}, not significant", number(points.abs(), 1))
        }
    };
    format!(
        "Level {} thinks with {} of the tokens of {} and is right in {} % ({change}, {} after Holm).",
        row.level,
        ratio_interval(&row.summary.act_ratio),
        summary.baseline,
        percent_interval(&row.summary.accuracy),
        p_phrase(p)
    )
}
