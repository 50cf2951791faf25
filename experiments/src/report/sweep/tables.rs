//! The tables of a sweep: one source for terminal, Markdown and page.

use extracot_core::report::{ControlFidelity, StepFinding};

use super::SweepReport;
use super::timing::timing_table;
use super::verdicts::fidelity_verdict;
use super::versus::versus_table;
use crate::report::text::{
    MISSING, number, p_value, percent, percent_interval, ratio_interval, signed,
};
use crate::sweep::{SweepRow, SweepSummary};

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

pub(super) fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The tables of a sweep.
pub(super) struct SweepTables {
    pub(super) main: TextTable,
    pub(super) versus: TextTable,
    pub(super) repeated: Option<TextTable>,
    pub(super) fidelity: Option<TextTable>,
    pub(super) time: TextTable,
}

impl SweepTables {
    pub(super) fn new(report: &SweepReport<'_>) -> Self {
        let summary = report.summary;
        Self {
            main: main_table(summary),
            versus: versus_table(summary),
            repeated: repeated_table(summary),
            fidelity: summary.fidelity.as_ref().map(fidelity_table),
            time: timing_table(summary, &report.timings),
        }
    }

    /// All that there are, in the order of a report.
    pub(super) fn all(self) -> Vec<TextTable> {
        let further = self.repeated.into_iter().chain(self.fidelity);
        let first = [self.main, self.versus].into_iter();
        first.chain(further).chain([self.time]).collect()
    }
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
    let has_open = summary
        .rows
        .iter()
        .any(|row| row.summary.open_rate.is_some());
    let line = |row: &SweepRow| {
        let found = &row.summary;
        let asks = row.level != "none";
        let asked = |rate: String| if asks { rate } else { MISSING.to_owned() };
        let format = found
            .format_error_rate
            .map_or(MISSING.to_owned(), |rate| percent(rate, 1));
        let mut line = vec![
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
        ];
        line.extend(has_open.then(|| percent(found.open_rate.unwrap_or(0.0), 1)));
        line
    };
    let names = [
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
        "Open%",
    ];
    TextTable {
        title: title(summary),
        head: head(&names[..names.len() - usize::from(!has_open)]),
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
        if !row.open.is_empty() {
            let reasons: Vec<String> = row
                .open
                .iter()
                .map(|(why, n)| format!("{why} {n}"))
                .collect();
            let (n, all) = (row.open.values().sum::<usize>(), row.summary.n);
            notes.push(format!(
                "OPEN: level {}: {n} of {all} samples have no completion ({}). In every table they count \
                 as not right and with {} tokens, the limit: Acc@all is at least, Tokens at most what \
                 is shown.",
                row.level,
                reasons.join(", "),
                decoding.max_new_tokens,
            ));
        }
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
