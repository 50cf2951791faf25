//! The report of a comparison of compressors: tables, and think texts with what each arm kept.

use super::rows::{COMPARISON_COLUMNS, comparison_cells};
use super::tables::table;
use super::terminal::grid;
use super::text::{MISSING, escape, number, p_value, percent, percent_interval, signed};
use super::{Section, page};
use crate::compressor_summary::{CompressionSample, CompressorSummary, HeldOutRow};

const HELD_OUT_COLUMNS: [&str; 9] = [
    "compressor",
    "target",
    "realized",
    "formulas whole %",
    "formulas cut",
    "answer kept %",
    "numbers kept %",
    "label F1",
    "F1 diff [95% CI], p",
];
const DOWNSTREAM_COLUMNS: [&str; 7] = [
    "fine-tuned on",
    "texts",
    "n",
    "Acc@all % [95% CI]",
    "Tokens",
    "ActRatio",
    "Trunc%",
];
const HELD_OUT_NOTE: &str = "Think texts that no classifier was trained on. Formulas whole: of the \
     formulas that are kept in whole or part. Numbers kept: runs of digits. Label F1: kept bytes \
     against the bytes that the labels keep, mean over texts; the difference is to the first row, \
     paired by text.";

const TAUGHT_NOTE: &str = "Texts: those that passed the filters of the arm; the others are not taught. \
     An arm without a single one was taught whole texts.";

fn held_out_lines(summary: &CompressorSummary) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    for row in &summary.rows {
        for level in &row.held_out {
            let mut line = vec![row.name.clone()];
            line.extend(held_out_cells(level));
            lines.push(line);
        }
    }
    // Rows of one level together.
    lines.sort_by(|a, b| a[1].cmp(&b[1]));
    lines
}

fn held_out_cells(row: &HeldOutRow) -> [String; 8] {
    let share = |share: Option<f64>| share.map_or(MISSING.to_owned(), |share| percent(share, 1));
    let fidelity = &row.fidelity;
    let realized = fidelity.realized_ratio();
    let difference = row.f1_versus_first.map_or(MISSING.to_owned(), |d| {
        let [mean, low, high] = [d.mean, d.low, d.high].map(|value| signed(value, 3));
        format!("{mean} [{low}, {high}], {}", p_value(d.p_two_sided))
    });
    [
        number(row.target_ratio, 2),
        realized.map_or(MISSING.to_owned(), |ratio| number(ratio, 3)),
        share(fidelity.formula_integrity()),
        fidelity.formulas_cut.to_string(),
        share(fidelity.answer_retention()),
        share(fidelity.number_retention()),
        number(row.label_f1, 3),
        difference,
    ]
}

fn downstream_lines(summary: &CompressorSummary) -> Vec<Vec<String>> {
    let base = ("nothing: the base model, whole texts", None, &summary.base);
    let rows = summary
        .rows
        .iter()
        .map(|row| (row.name.as_str(), Some(row.n_taught), &row.downstream));
    std::iter::once(base)
        .chain(rows)
        .map(|(name, n_taught, eval)| {
            vec![
                name.to_owned(),
                n_taught.map_or(MISSING.to_owned(), |n| n.to_string()),
                eval.n.to_string(),
                percent_interval(&eval.accuracy),
                number(eval.think_tokens, 1),
                number(eval.act_ratio.estimate, 3),
                percent(eval.truncation_rate, 1),
            ]
        })
        .collect()
}

fn comparison_lines(summary: &CompressorSummary) -> Vec<Vec<String>> {
    let rows = summary.rows.iter();
    rows.filter_map(|row| Some(comparison_cells(&row.name, row.versus_first.as_ref()?)))
        .collect()
}

fn first(summary: &CompressorSummary) -> &str {
    summary
        .rows
        .first()
        .map_or("the first arm", |row| &row.name)
}

fn downstream_title(summary: &CompressorSummary) -> String {
    let level = percent(summary.level, 0);
    format!("Fine-tuned on each compressor's texts at {level} %, asked for {level} %")
}

/// The tables as plain text.
pub fn render_compressor_table(summary: &CompressorSummary) -> String {
    let head = |columns: &[&str]| -> Vec<String> {
        columns.iter().map(|column| (*column).to_owned()).collect()
    };
    let mut out = format!(
        "{}  preset {}  seed {}  config {}\nproblems: {}\n\nHeld-out think texts: {} of {}\n",
        summary.experiment,
        summary.preset,
        summary.seed,
        summary.config_hash,
        summary.problems,
        summary.n_held_out,
        summary.n_texts
    );
    out += &grid(&head(&HELD_OUT_COLUMNS), &held_out_lines(summary));
    out += &format!("\n{}\n", downstream_title(summary));
    out += &grid(&head(&DOWNSTREAM_COLUMNS), &downstream_lines(summary));
    out += TAUGHT_NOTE;
    out += &format!("\n\nAgainst {}, paired\n", first(summary));
    out += &grid(&head(&COMPARISON_COLUMNS), &comparison_lines(summary));
    out += "p-values are two-sided and not corrected for the number of comparisons. One training run \
            per row.\n";
    out
}

/// The report as one self-contained HTML file.
pub fn render_compressor_html(summary: &CompressorSummary) -> String {
    let section = |id, title, body| Section { id, title, body };
    let kept = table(
        "What each compressor keeps",
        &HELD_OUT_COLUMNS,
        &held_out_lines(summary),
    ) + &format!("<p class=\"muted\">{HELD_OUT_NOTE}</p>\n");
    let title = downstream_title(summary);
    let downstream = table(&title, &DOWNSTREAM_COLUMNS, &downstream_lines(summary))
        + &format!("<p class=\"muted\">{TAUGHT_NOTE}</p>\n")
        + &table(
            &format!("Against {}", first(summary)),
            &COMPARISON_COLUMNS,
            &comparison_lines(summary),
        )
        + "<p class=\"muted\">Same problems, paired. p-values are two-sided and not corrected for \
           the number of comparisons. One training run per row: what another run would give is \
           not in the intervals.</p>\n";
    let samples: String = summary.samples.iter().map(sample).collect();
    let provenance = table(
        "This run",
        &["", ""],
        &[
            ["experiment", &summary.experiment],
            ["preset", &summary.preset],
            ["seed", &summary.seed.to_string()],
            ["problems", &summary.problems],
            ["config", &summary.config_hash],
        ]
        .map(|pair| pair.map(str::to_owned).to_vec()),
    );
    let sections = vec![
        section("kept", "What is kept", kept),
        section("downstream", "What it teaches", downstream),
        section(
            "samples",
            "Kept and dropped text",
            LEGEND.to_owned() + &samples,
        ),
        section("provenance", "Provenance", provenance),
    ];
    let kicker = format!(
        "{}: {}, seed {}",
        summary.experiment, summary.preset, summary.seed
    );
    page(&kicker, &headline(summary), "", &sections)
}

const LEGEND: &str = "<p class=\"muted\"><mark class=\"kept\">kept</mark> \
     <span class=\"dropped\">dropped</span> at the level of the downstream models</p>\n";

fn headline(summary: &CompressorSummary) -> String {
    let Some(row) = summary.rows.first() else {
        return "No compressor was run.".to_owned();
    };
    let level = percent(summary.level, 0);
    let accuracy = |eval: &extracot_core::report::EvalSummary| percent(eval.accuracy.estimate, 1);
    let others: Vec<String> = summary.rows[1..]
        .iter()
        .map(|row| format!("{} {}", row.name, accuracy(&row.downstream)))
        .collect();
    let others = match others.is_empty() {
        true => String::new(),
        false => format!("; others: {}", others.join(", ")),
    };
    format!(
        "Fine-tuned on texts of {} at {level} % the model is right in {} % (base {} %){others}.",
        row.name,
        accuracy(&row.downstream),
        accuracy(&summary.base),
    )
}

fn sample(sample: &CompressionSample) -> String {
    let arms: String = sample
        .kept
        .iter()
        .map(|(name, spans)| {
            format!(
                "<tr><th scope=\"row\">{}</th><td><pre class=\"cot\">{}</pre></td></tr>\n",
                escape(name),
                colored(&sample.think, spans)
            )
        })
        .collect();
    format!(
        "<h3>{}</h3><p>{}</p>\n<table class=\"samples\"><tbody>\n{arms}</tbody></table>\n",
        escape(&sample.problem_id),
        escape(&sample.question)
    )
}

/// The text with kept and dropped spans marked.
fn colored(think: &str, spans: &[(usize, usize)]) -> String {
    let mut out = String::new();
    let mut from = 0;
    let dropped = |text: &str| match text.is_empty() {
        true => String::new(),
        false => format!("<span class=\"dropped\">{}</span>", escape(text)),
    };
    for (start, end) in spans {
        out += &dropped(&think[from..*start]);
        out += &format!(
            "<mark class=\"kept\">{}</mark>",
            escape(&think[*start..*end])
        );
        from = *end;
    }
    out + &dropped(&think[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_and_dropped_text_is_the_whole_text_escaped() {
        assert_eq!(
            colored("a <b> c", &[(2, 5)]),
            "<span class=\"dropped\">a </span><mark class=\"kept\">&lt;b&gt;</mark>\
             <span class=\"dropped\"> c</span>"
        );
        assert_eq!(colored("ab", &[(0, 2)]), "<mark class=\"kept\">ab</mark>");
    }
}
