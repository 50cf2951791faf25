//! The samples, unfolded by a click: no scripts.

use extracot_core::prompt::THINK_OPEN;
use extracot_core::{FinishReason, ThinkState, ThinkText};

use super::SweepReport;
use crate::report::text::{escape, note};
use crate::sweep::{Prediction, VerdictName};

/// Samples shown of every level; `prediction.json` has all.
const MAX_SHOWN: usize = 30;

/// The first samples of every level: those that are not right before the others.
pub(super) fn html(report: &SweepReport<'_>) -> String {
    let mut out = String::from(
        "<p class=\"muted\">Per level the first samples that are not right, then the first right \
         ones. All are in the folder of the level.</p>\n",
    );
    for (row, samples) in report.summary.rows.iter().zip(&report.samples) {
        let mut shown: Vec<&Prediction> = samples.iter().collect();
        shown.sort_by_key(|sample| sample.verdict == VerdictName::Correct);
        // Half of what is shown is right, if there is so much of both.
        let n_wrong = shown
            .iter()
            .filter(|s| s.verdict != VerdictName::Correct)
            .count();
        let n_right =
            (shown.len() - n_wrong).min(MAX_SHOWN.saturating_sub(n_wrong).max(MAX_SHOWN / 2));
        let n_wrong_shown = n_wrong.min(MAX_SHOWN - n_right);
        let right = shown.split_off(n_wrong);
        shown.truncate(n_wrong_shown);
        shown.extend(right.into_iter().take(n_right));
        let items: String = shown.iter().map(|sample| item(sample)).collect();
        out += &format!(
            "<details class=\"level\"><summary><b>level {}</b>: {} of {} samples</summary>\n{items}</details>\n",
            escape(&row.level),
            shown.len(),
            samples.len()
        );
    }
    if report.samples.is_empty() {
        return note("There are no samples.");
    }
    out
}

fn item(sample: &Prediction) -> String {
    let verdict = sample.verdict.as_str().replace('_', " ");
    let why = why(sample);
    let level = sample
        .chosen
        .map_or(String::new(), |level| format!(", states {level}"));
    format!(
        "<details class=\"sample\"><summary><span class=\"verdict {class}\">{verdict}</span> \
         {id} <span class=\"muted\">{think} think, {total} total tokens{level}</span></summary>\n\
         <p>{question}</p>\n{text}\n<p class=\"muted\">{why}</p></details>\n",
        class = sample.verdict.as_str(),
        id = escape(&sample.id),
        think = sample.think_tokens,
        total = sample.total_tokens,
        question = escape(&sample.question),
        text = completion(&sample.text),
        why = escape(&why),
    )
}

/// Why the verdict is what it is.
fn why(sample: &Prediction) -> String {
    let found = match (&sample.extracted, sample.rule) {
        (Some(answer), Some(rule)) => {
            let rule = serde_json::to_string(&rule).unwrap_or_default();
            format!("answer `{answer}` (found by {})", rule.trim_matches('"'))
        }
        (Some(answer), None) => format!("answer `{answer}`"),
        (None, _) if sample.is_open() => "no completion".to_owned(),
        (None, _) => "no answer behind the think text".to_owned(),
    };
    let reason = sample
        .reason
        .as_ref()
        .map_or(String::new(), |reason| format!("; {reason}"));
    let again = match sample.think_state {
        ThinkState::Repeated => "; thinks again behind its think text",
        _ => "",
    };
    let cut = match sample.finish {
        FinishReason::MaxTokens if !sample.is_open() => "; cut at the limit of tokens",
        _ => "",
    };
    format!("{found}, gold `{}`{reason}{again}{cut}", sample.gold)
}

/// The completion with its think text set apart.
fn completion(text: &str) -> String {
    let parts = ThinkText::of_text(text);
    match parts.state {
        ThinkState::Closed | ThinkState::Repeated => format!(
            "<pre><span class=\"muted\">{}</span>{}</pre><pre class=\"visible\">{}</pre>",
            escape(text[..parts.think.start].trim_end_matches(THINK_OPEN)),
            escape(text[parts.think].trim()),
            escape(text[parts.visible].trim())
        ),
        ThinkState::Unclosed | ThinkState::Missing => {
            format!("<pre>{}</pre>", escape(text.trim()))
        }
    }
}
