//! Tables of differences: levels against the baseline, and one run against another.

use extracot_core::report::EvalSummary;

use super::tables::{TextTable, head};
use crate::report::text::{
    MISSING, number, p_value, percent, percent_interval, ratio_interval, signed,
};
use crate::sweep::{ComparedLevel, SweepSummary, Versus, accuracy_p};

const VERSUS: [&str; 7] = [
    "Acc diff, points [95% CI]",
    "only this/only other",
    "p",
    "p Holm",
    "MDE, points",
    "Token diff [95% CI]",
    "p Holm (tokens)",
];

fn versus_cells(found: &Versus) -> [String; 7] {
    let (accuracy, tokens) = (&found.comparison.accuracy, &found.comparison.think_tokens);
    let points = [accuracy.mean, accuracy.low, accuracy.high].map(|share| signed(100.0 * share, 1));
    let diff = [tokens.mean, tokens.low, tokens.high].map(|diff| signed(diff, 1));
    let test = found.comparison.mcnemar;
    [
        format!("{} [{}, {}]", points[0], points[1], points[2]),
        test.map_or(MISSING.to_owned(), |t| {
            format!("{}/{}", t.n_only_this, t.n_only_other)
        }),
        p_value(accuracy_p(&found.comparison)),
        p_value(found.p_accuracy_holm),
        found
            .minimum_detectable_effect
            .map_or(MISSING.to_owned(), |effect| percent(effect, 1)),
        format!("{} [{}, {}]", diff[0], diff[1], diff[2]),
        p_value(found.p_tokens_holm),
    ]
}

/// What the columns of a comparison are, given how many samples problems have.
fn versus_note(is_single: bool) -> String {
    let test = match is_single {
        true => "exact two-sided McNemar",
        false => "paired bootstrap over problems, as problems have several samples",
    };
    format!(
        "Same problems, paired. p: {test}. p Holm: adjusted for all comparisons of this table; from \
         0.05 on there is no evidence of a difference, which is none of equality. MDE: the smallest \
         difference that McNemar's test would find in four of five cases with as many discordant \
         problems."
    )
}

/// Every level against the baseline.
pub(super) fn versus_table(summary: &SweepSummary) -> TextTable {
    let compared = summary
        .rows
        .iter()
        .filter_map(|row| Some((row, row.versus_baseline.as_ref()?)));
    let lines: Vec<Vec<String>> = compared
        .clone()
        .map(|(row, found)| {
            let mut line = vec![row.level.clone()];
            line.extend(versus_cells(found));
            line
        })
        .collect();
    let is_single = compared
        .clone()
        .all(|(_, found)| found.comparison.mcnemar.is_some());
    let notes = match lines.is_empty() {
        true => vec!["There is one level only: nothing to compare with.".to_owned()],
        false => vec![versus_note(is_single)],
    };
    let names = [&["level"], &VERSUS[..]].concat();
    TextTable {
        title: format!("Against {}", summary.baseline),
        head: head(&names),
        lines,
        notes,
    }
}

/// The tables of `extracot compare`.
pub(super) fn comparison_tables(
    (a, b): (&str, &str),
    levels: &[ComparedLevel],
    remarks: &[String],
) -> Vec<TextTable> {
    let sides =
        |level: &ComparedLevel, cell: fn(&EvalSummary) -> String| [cell(&level.a), cell(&level.b)];
    let line = |level: &ComparedLevel| {
        let mut line = vec![level.level.clone(), format!("{}", level.a.n)];
        line.extend(sides(level, |s| percent_interval(&s.accuracy)));
        line.extend(sides(level, |s| number(s.think_tokens, 1)));
        line.push(ratio_interval(&level.b.act_ratio));
        line.extend(sides(level, |s| percent(s.truncation_rate, 1)));
        line
    };
    let versus = |level: &ComparedLevel| {
        let mut line = vec![level.level.clone()];
        line.extend(versus_cells(&level.versus));
        line
    };
    let is_single = levels.iter().all(|l| l.versus.comparison.mcnemar.is_some());
    let names = [&["level"], &VERSUS[..]].concat();
    let mut notes = vec![format!("A: {a}"), format!("B: {b}")];
    notes.extend(remarks.iter().cloned());
    for level in levels {
        for (run, rate) in [("A", level.a.open_rate), ("B", level.b.open_rate)] {
            notes.extend(rate.map(|rate| {
                let (name, rate) = (&level.level, percent(rate, 1));
                format!(
                    "OPEN: level {name}: {rate} % of the samples of {run} have no completion; they \
                     count as not right and with as many tokens as the limit."
                )
            }));
        }
    }
    vec![
        TextTable {
            title: "Two runs on the same problems".to_owned(),
            head: head(&[
                "level",
                "n of A",
                "Acc@all % A",
                "Acc@all % B",
                "Tokens A",
                "Tokens B",
                "Tokens B/A [95% CI]",
                "Trunc% A",
                "Trunc% B",
            ]),
            lines: levels.iter().map(line).collect(),
            notes,
        },
        TextTable {
            title: "B against A".to_owned(),
            head: head(&names),
            lines: levels.iter().map(versus).collect(),
            notes: vec![versus_note(is_single)],
        },
    ]
}
