//! What numbers of a sweep come to, in sentences.

use extracot_core::report::{ControlFidelity, StepFinding};

use crate::report::text::{number, p_phrase, percent_interval, ratio_interval, signed};
use crate::sweep::{SweepRow, SweepSummary};

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

/// What came out, in one sentence: the level that saves most tokens without evidence of a loss, which
/// is one whose interval of the difference of accuracies is not all below zero.
pub(super) fn headline(summary: &SweepSummary) -> String {
    let is_no_worse = |row: &&SweepRow| {
        let versus = row.versus_baseline.as_ref();
        versus.is_some_and(|found| found.comparison.accuracy.high >= 0.0)
    };
    let ratio = |row: &&SweepRow| row.summary.act_ratio.estimate;
    let is_shorter = |row: &&SweepRow| row.summary.act_ratio.high < 1.0;
    let saving = summary.rows.iter().filter(is_no_worse).filter(is_shorter);
    let best = saving.min_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    match (best, summary.rows.as_slice()) {
        (Some(row), _) => sentence(row, summary),
        (None, [row]) => format!(
            "{} answers {} % of {} samples right at level {}, with {} think tokens on average.",
            summary.model,
            percent_interval(&row.summary.accuracy),
            row.summary.n,
            row.level,
            number(row.summary.think_tokens, 1)
        ),
        (None, _) => format!(
            "No level of {} thinks shorter than {} without evidence of a loss of accuracy.",
            summary.model, summary.baseline
        ),
    }
}

fn sentence(row: &SweepRow, summary: &SweepSummary) -> String {
    let difference = row.versus_baseline.as_ref().map_or(String::new(), |found| {
        let accuracy = &found.comparison.accuracy;
        let [mean, low, high] =
            [accuracy.mean, accuracy.low, accuracy.high].map(|share| signed(100.0 * share, 1));
        format!(
            ", a difference of {mean} points [{low}, {high}], {} after Holm",
            p_phrase(found.p_accuracy_holm)
        )
    });
    format!(
        "Of all levels without evidence of a loss {} is the shortest: {} of the tokens of {}; {} % \
         right{difference}.",
        row.level,
        ratio_interval(&row.summary.act_ratio),
        summary.baseline,
        percent_interval(&row.summary.accuracy),
    )
}
