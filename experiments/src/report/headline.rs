//! What came out, in one sentence, and the aims.

use super::rows::{base, full_arm};
use super::text::{escape, note, number, p_phrase, percent_interval, ratio_interval};
use crate::summary::{RowKind, Summary, TableRow};

/// p-values from here on are no evidence of a difference.
const SIGNIFICANCE: f64 = 0.05;

/// Stands under every headline.
pub(super) const CAUTION: &str = "Brackets are 95 % intervals. No evidence of a difference is not \
    evidence of equality. One training run per arm: intervals cover the choice of problems, not \
    the chance of training.";

/// One plain sentence: ActRatio and accuracy of the full method against the base model.
///
/// A difference is called significant only if its p-value is below 0.05.
pub fn headline(summary: &Summary) -> String {
    let sft = || {
        summary
            .rows
            .iter()
            .find(|row| row.kind == RowKind::SftPolicy)
    };
    match full_arm(summary).or_else(sft) {
        None => {
            "This run has no model that chooses its level, so there is nothing to conclude.".into()
        }
        Some(row) if row.summary.n == 0 => {
            format!(
                "POLICY of {} has no samples, so there is nothing to conclude.",
                row.name
            )
        }
        Some(row) => sentence(row, base(summary).filter(|base| base.summary.n > 0)),
    }
}

fn sentence(row: &TableRow, base: Option<&TableRow>) -> String {
    let mut out = format!(
        "POLICY of {} thinks with {} of the base model's tokens (ActRatio{}) and answers {} % of {} \
         problems right",
        row.name,
        ratio_interval(&row.summary.act_ratio),
        row.versus_base
            .map_or_else(String::new, |found| token_phrase(
                found.think_tokens.p_two_sided
            )),
        percent_interval(&row.summary.accuracy),
        row.summary.n,
    );
    if let Some(base) = base {
        let accuracy = percent_interval(&base.summary.accuracy);
        out.push_str(&format!(" (base model: {accuracy} %)"));
    }
    match row.versus_base {
        None => out.push_str("; it was not compared with the base model problem by problem."),
        Some(found) => {
            let points = 100.0 * found.accuracy.mean;
            // The bootstrap where McNemar's test has no problem-wise verdicts to count.
            let (test, p) = match found.mcnemar {
                Some(mcnemar) => ("McNemar", mcnemar.p_two_sided),
                None => ("bootstrap", found.accuracy.p_two_sided),
            };
            out.push_str(&accuracy_phrase(points, test, p));
        }
    }
    out
}

fn token_phrase(p: f64) -> String {
    if p < SIGNIFICANCE {
        format!(", {}", p_phrase(p))
    } else {
        format!(", token difference not significant, {}", p_phrase(p))
    }
}

fn accuracy_phrase(points: f64, test: &str, p: f64) -> String {
    let size = number(points.abs(), 1);
    let side = if points < 0.0 { "below" } else { "above" };
    if p < SIGNIFICANCE {
        format!(
            ", {size} points {side} the base model, significant ({test} {}).",
            p_phrase(p)
        )
    } else if points == 0.0 {
        format!(", as many as the base model ({test} {}).", p_phrase(p))
    } else {
        format!(
            ", {size} points {side} the base model, not significant ({test} {}).",
            p_phrase(p)
        )
    }
}

/// The aims with a mark and a word for reached or not.
pub(super) fn aims(summary: &Summary) -> String {
    if summary.aims.is_empty() {
        return note("No aims were stated for this run.");
    }
    let reached = summary.aims.iter().filter(|aim| aim.reached).count();
    let mut out = format!(
        "<p>{reached} of {} reached.</p>\n<ul class=\"aims\">\n",
        summary.aims.len()
    );
    for aim in &summary.aims {
        let (class, mark, word) = if aim.reached {
            ("reached", "&#10003;", "reached")
        } else {
            ("missed", "&#10007;", "not reached")
        };
        out.push_str(&format!(
            "<li class=\"{class}\"><span class=\"mark\">{mark} {word}</span> \
             <span><b>{}</b><br>{}</span></li>\n",
            escape(&aim.aim),
            escape(&aim.found),
        ));
    }
    out.push_str("</ul>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn significance_is_claimed_only_below_the_threshold() {
        assert_eq!(
            accuracy_phrase(-2.0, "McNemar", 0.05),
            ", 2.0 points below the base model, not significant (McNemar p = 0.0500)."
        );
        assert_eq!(
            accuracy_phrase(2.0, "McNemar", 0.01),
            ", 2.0 points above the base model, significant (McNemar p = 0.010)."
        );
        assert_eq!(
            accuracy_phrase(0.0, "McNemar", 1.0),
            ", as many as the base model (McNemar p = 1.000)."
        );
        assert!(token_phrase(0.2).contains("not significant"));
        assert!(!token_phrase(0.01).contains("significant"));
    }
}
