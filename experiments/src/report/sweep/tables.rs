//! The tables of a sweep and of a comparison: one source for terminal, Markdown and page.

use extracot_core::report::{ControlFidelity, EvalSummary, StepFinding};

use super::SweepReport;
use super::verdicts::fidelity_verdict;
use crate::report::text::{
    MISSING, number, p_value, percent, percent_interval, ratio_interval, signed,
};
use crate::sweep::{ComparedLevel, Spread, SweepRow, SweepSummary, Timing, Versus};

/// How far the tokenizer's count may be from the endpoint's before it is another model's.
const COUNT_TOLERANCE: f64 = 0.1;

/// Ids that a remark lists.
const MAX_LISTED: usize = 10;

/// A table of texts with remarks under it.
#[derive(Debug, Clone, Default)]
pub(super) struct TextTable {
    pub(super) title: String,
    pub(super) head: Vec<String>,
    pub(super) lines: Vec<Vec<String>>,
    pub(super) notes: Vec<String>,
}

fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// All tables of a sweep.
pub(super) fn sweep_tables(report: &SweepReport<'_>) -> Vec<TextTable> {
    let summary = report.summary;
    let mut tables = vec![main_table(summary), versus_table(summary)];
    tables.extend(repeated_table(summary));
    tables.extend(summary.fidelity.as_ref().map(fidelity_table));
    tables.push(timing_table(summary, &report.timings));
    tables
}

/// What was evaluated, in one line.
pub(super) fn title(summary: &SweepSummary) -> String {
    let problems = &summary.problems;
    let part = match problems.n == problems.n_in_file {
        true => format!("{} problems", problems.n),
        false => format!(
            "the first {} of {} problems",
            problems.n, problems.n_in_file
        ),
    };
    format!("{} on {part} of {}", summary.model, problems.file)
}

fn main_table(summary: &SweepSummary) -> TextTable {
    let line = |row: &SweepRow| {
        let found = &row.summary;
        let asks = row.level != "none";
        let asked = |rate: String| if asks { rate } else { MISSING.to_owned() };
        let format = found
            .format_error_rate
            .map_or(MISSING.to_owned(), |rate| percent(rate, 1));
        vec![
            row.level.clone(),
            found.n.to_string(),
            number(found.think_tokens, 1),
            number(found.total_tokens, 1),
            ratio_interval(&found.act_ratio),
            percent_interval(&found.accuracy),
            percent(found.truncation_rate, 1),
            percent(found.no_answer_rate, 1),
            percent(found.undecided_rate, 1),
            asked(format),
            asked(percent(found.no_level_rate, 1)),
        ]
    };
    TextTable {
        title: title(summary),
        head: head(&[
            "level",
            "n",
            "Tokens",
            "Total",
            "ActRatio [95% CI]",
            "Acc@all % [95% CI]",
            "Trunc%",
            "NoAns%",
            "Undec%",
            "Format%",
            "NoLevel%",
        ]),
        lines: summary.rows.iter().map(line).collect(),
        notes: remarks(summary),
    }
}

/// What the main table does not say by itself.
pub(super) fn remarks(summary: &SweepSummary) -> Vec<String> {
    let decoding = &summary.decoding;
    let draw = match decoding.temperature {
        0.0 => "greedy".to_owned(),
        t => format!(
            "temperature {t}, top-p {}, seed {}",
            decoding.top_p, decoding.seed
        ),
    };
    let mut notes = vec![format!(
        "{} sample(s) a problem, {draw}, at most {} new tokens. ActRatio: against {} ({}). Tokens \
         in {}.",
        decoding.n_samples,
        decoding.max_new_tokens,
        summary.baseline,
        summary.baseline.chosen_by,
        summary.token_unit,
    )];
    let unreadable = &summary.problems.unreadable_gold;
    if unreadable.n > 0 {
        notes.push(format!(
            "{} gold answers cannot be read; every answer to them is undecided: {unreadable}",
            unreadable.n
        ));
    }
    let dropped = summary.problems.counts.iter();
    let dropped = dropped.filter(|(reason, _)| reason.starts_with("dropped"));
    for (reason, n) in dropped {
        notes.push(format!("Rows of the file, {reason}: {n}"));
    }
    if let Some(leakage) = &summary.leakage {
        let (n, all, file) = (leakage.n_shared, leakage.n_problems, &leakage.file);
        let ids = leakage
            .shared
            .iter()
            .take(MAX_LISTED)
            .map(|s| s.test_id.as_str());
        let ids: Vec<&str> = ids.collect();
        let more = if n > ids.len() { ", .." } else { "" };
        notes.push(match n {
            0 => format!("No problem has the question of one of the {all} of {file}."),
            n => format!(
                "LEAKAGE: {n} problems have the question of one of the {all} of {file}: {}{more}",
                ids.join(", ")
            ),
        });
    }
    for row in &summary.rows {
        let asks = row.level != "none";
        if asks && row.summary.no_level_rate >= 1.0 {
            notes.push(format!(
                "level {}: no completion states a level. Is the model trained with control tokens, \
                 and does the server keep special tokens (docs/eval.md)?",
                row.level
            ));
        }
        if let Some(ratio) = row
            .counted_over_reported
            .filter(|r| (r - 1.0).abs() > COUNT_TOLERANCE)
        {
            notes.push(format!(
                "level {}: the tokenizer counts {} tokens for each that the endpoint reports; it may \
                 be that of another model.",
                row.level,
                number(ratio, 3)
            ));
        }
    }
    notes
}

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
        p_value(crate::sweep::accuracy_p(&found.comparison)),
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

fn versus_table(summary: &SweepSummary) -> TextTable {
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

fn repeated_table(summary: &SweepSummary) -> Option<TextTable> {
    let rows: Vec<_> = summary
        .rows
        .iter()
        .filter_map(|row| Some((&row.level, row.summary.repeated.as_ref()?)))
        .collect();
    let (_, first) = rows.first()?;
    let ks: Vec<usize> = first.pass_at_k.keys().copied().collect();
    let mut names = vec!["level".to_owned()];
    names.extend(ks.iter().map(|k| format!("pass@{k} % [95% CI]")));
    names.push(format!("maj@{} % [95% CI]", first.n_each));
    let lines = rows.iter().map(|(level, found)| {
        let mut line = vec![(*level).clone()];
        line.extend(ks.iter().map(|k| {
            let found = found.pass_at_k.get(k);
            found.map_or(MISSING.to_owned(), percent_interval)
        }));
        line.push(
            found
                .maj_at_k
                .as_ref()
                .map_or(MISSING.to_owned(), percent_interval),
        );
        line
    });
    Some(TextTable {
        title: "Several samples of each problem".to_owned(),
        lines: lines.collect(),
        head: names,
        notes: vec![
            "pass@k: at least one of k samples is right. maj@k: the most frequent answer is right."
                .to_owned(),
        ],
    })
}

fn fidelity_table(found: &ControlFidelity) -> TextTable {
    let line = |step: &extracot_core::report::LevelStep| {
        let diff = &step.think_tokens;
        let finding = match step.finding {
            StepFinding::Rises => "rises",
            StepFinding::Collapsed => "collapsed: no difference seen",
            StepFinding::Falls => "FALLS",
        };
        let [mean, low, high] = [diff.mean, diff.low, diff.high].map(|value| signed(value, 1));
        vec![
            format!("{} to {}", step.lower, step.upper),
            format!("{mean} [{low}, {high}]"),
            p_value(step.p_holm),
            finding.to_owned(),
        ]
    };
    TextTable {
        title: "Control fidelity: think tokens from level to level".to_owned(),
        head: head(&["step", "Token diff [95% CI]", "p Holm", "tokens"]),
        lines: found.steps.iter().map(line).collect(),
        notes: vec![fidelity_verdict(found)],
    }
}

fn milliseconds(spread: Option<&Spread>, of: fn(&Spread) -> f64) -> String {
    spread.map_or(MISSING.to_owned(), |spread| number(1000.0 * of(spread), 1))
}

fn timing_table(summary: &SweepSummary, timings: &[&Timing]) -> TextTable {
    let both = |spread: Option<&Spread>| match spread {
        None => MISSING.to_owned(),
        some => format!(
            "{} / {}",
            milliseconds(some, |s| s.p50),
            milliseconds(some, |s| s.p99)
        ),
    };
    let line = |(row, timing): (&SweepRow, &&Timing)| {
        let alone = timing.alone.as_ref();
        let rate = timing.tokens_per_s();
        vec![
            row.level.clone(),
            rate.map_or(MISSING.to_owned(), |rate| number(rate, 1)),
            both(timing.request_s.as_ref()),
            alone.map_or(MISSING.to_owned(), |alone| alone.n.to_string()),
            both(alone.map(|alone| &alone.first_token_s)),
            both(alone.and_then(|alone| alone.per_token_s.as_ref())),
            both(alone.map(|alone| &alone.whole_s)),
        ]
    };
    let mut notes: Vec<String> = vec![];
    if let Some(timing) = timings.first() {
        notes.push(format!(
            "Throughput and requests: all samples, {}. Alone: one prompt at a time, after the \
             samples; first token is a completion of one token.",
            timing.side_by_side
        ));
    }
    let failed: usize = timings
        .iter()
        .filter_map(|t| Some(t.alone.as_ref()?.n_failed))
        .sum();
    if failed > 0 {
        notes.push(format!(
            "{failed} completions failed while they were timed."
        ));
    }
    TextTable {
        title: "Time".to_owned(),
        head: head(&[
            "level",
            "tokens/s",
            "request ms p50/p99",
            "n alone",
            "first token ms p50/p99",
            "per token ms p50/p99",
            "whole ms p50/p99",
        ]),
        lines: summary.rows.iter().zip(timings).map(line).collect(),
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
