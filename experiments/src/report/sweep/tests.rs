//! The report of a made-up sweep.

use std::collections::BTreeMap;

use extracot_core::verify::ExtractionRule;
use extracot_core::{ControlToken, FinishReason, KeepLevel, Seed, ThinkState};

use super::*;
use crate::sweep::{
    Alone, Baseline, Decoding, Listed, ProblemsUsed, Spread, SweptLevel, VerdictName, fidelity,
    sweep_rows,
};

const N: usize = 40;

/// Think tokens, and how many of the 40 problems are right; every fourth think text is longer.
fn samples(asked: Option<ControlToken>, tokens: usize, n_right: usize) -> Vec<Prediction> {
    let sample = |idx: usize| {
        let verdict = match idx < n_right {
            true => VerdictName::Correct,
            false => VerdictName::Incorrect,
        };
        Prediction {
            id: format!("p_{idx}"),
            sample_idx: 0,
            question: "Is 1 < 2 & <script>alert(1)</script>?".to_owned(),
            gold: "1".to_owned(),
            difficulty: Some(1),
            asked,
            chosen: asked.and_then(ControlToken::level),
            verdict,
            reason: None,
            extracted: Some("1".to_owned()),
            rule: Some(ExtractionRule::Boxed),
            think_state: ThinkState::Closed,
            finish: FinishReason::EndToken,
            think_tokens: tokens + idx % 4,
            total_tokens: tokens + 10,
            latency_s: None,
            text: "<COMP_20>\n<think>\na <b> c\n</think>\n\\boxed{1}".to_owned(),
        }
    };
    (0..N).map(sample).collect()
}

struct Example {
    summary: SweepSummary,
    samples: Vec<Vec<Prediction>>,
    timing: Timing,
}

/// Levels as percent (0 for none), think tokens, right answers; the first one is the baseline.
fn example(levels: &[(i64, usize, usize)]) -> Example {
    let mut swept = Vec::new();
    let mut all = Vec::new();
    for (percent, tokens, n_right) in levels {
        let level = KeepLevel::try_new(*percent).ok();
        let predictions = samples(level.map(ControlToken::Level), *tokens, *n_right);
        swept.push(SweptLevel {
            name: level.map_or("none".to_owned(), |level| level.to_string()),
            level,
            prompts_hash: "0123".to_owned(),
            records: predictions.iter().map(Prediction::record).collect(),
            counted_over_reported: None,
            open: BTreeMap::new(),
        });
        all.push(predictions);
    }
    let base = swept[0].records.clone();
    let spread = Spread::of(&[0.25, 0.5]).unwrap();
    Example {
        summary: SweepSummary {
            model: "a|b".to_owned(),
            problems: ProblemsUsed {
                file: "x.jsonl".to_owned(),
                kind: "plain".to_owned(),
                sha256: "ff".to_owned(),
                n: N,
                n_in_file: 2 * N,
                counts: BTreeMap::new(),
                unreadable_gold: Listed::default(),
            },
            decoding: Decoding {
                n_samples: 1,
                temperature: 0.0,
                top_p: 1.0,
                top_k: None,
                max_new_tokens: 64,
                system: None,
                seed: 1,
            },
            token_unit: "the model's tokenizer".to_owned(),
            config_hash: "cc".to_owned(),
            baseline: Baseline {
                level: swept[0].name.clone(),
                run: None,
                chosen_by: "default".to_owned(),
            },
            leakage: None,
            rows: sweep_rows(&swept, &base, Some(0), Seed(1)).unwrap(),
            fidelity: fidelity(&swept, &base, Seed(1)).unwrap(),
        },
        samples: all,
        timing: Timing {
            samples: N,
            tokens: 4000,
            wall_s: 2.0,
            side_by_side: "batches".to_owned(),
            request_s: None,
            alone: Some(Alone {
                n: 2,
                n_failed: 0,
                first_token_s: spread,
                per_token_s: None,
                whole_s: spread,
            }),
            alone_failure: None,
        },
    }
}

fn report(example: &Example) -> SweepReport<'_> {
    SweepReport {
        summary: &example.summary,
        timings: vec![&example.timing; example.samples.len()],
        samples: example.samples.iter().map(|s| &s[..]).collect(),
        config: "seed = 1\n",
        provenance: vec![("source revision", "abc-dirty".to_owned())],
    }
}

#[test]
fn the_headline_takes_the_shortest_level_without_evidence_of_a_loss() {
    // 40 loses one problem, which is no evidence; 20 loses 20.
    let example = example(&[(0, 200, 36), (40, 80, 35), (20, 40, 16)]);
    let headline = verdicts::headline(&example.summary);
    // Tokens are 80 + 1.5 of 200 + 1.5 on average.
    assert!(
        headline.contains("evidence of a loss 40 is the shortest: 0.404 ["),
        "{headline}"
    );
    assert!(
        headline.contains("a difference of -2.5 points"),
        "{headline}"
    );
    let longer = super::tests::example(&[(0, 50, 36), (40, 80, 36)]);
    let headline = verdicts::headline(&longer.summary);
    assert!(
        headline.contains("No level of a|b thinks shorter"),
        "{headline}"
    );
    let one = super::tests::example(&[(0, 50, 36)]);
    let headline = verdicts::headline(&one.summary);
    assert!(headline.starts_with("a|b answers 90.0 ["), "{headline}");
}

#[test]
fn every_number_is_in_the_tables_and_none_is_missing_silently() {
    let example = example(&[(0, 200, 36), (40, 80, 35), (20, 40, 16)]);
    let table = render_sweep_table(&report(&example));
    // Adjusted for two comparisons: 20 lost problems and none won.
    assert!(
        table.contains("0/20") && table.contains("<0.001"),
        "{table}"
    );
    assert!(table.contains("the first 40 of 80 problems"), "{table}");
    // 4000 tokens in 2 s; 250 and 500 ms.
    assert!(
        table.contains("2000.0") && table.contains("375.0 / 497.5"),
        "{table}"
    );
    assert!(table.contains("Every level takes more tokens"), "{table}");
    assert!(!table.contains("NaN"), "{table}");
    let markdown = render_sweep_markdown(&report(&example));
    assert!(markdown.contains("### a\\|b on the first 40"), "{markdown}");
    assert!(markdown.contains("| level | n | Tokens |"), "{markdown}");
}

#[test]
fn a_collapse_is_an_alarm() {
    let example = example(&[(0, 200, 36), (60, 80, 36), (40, 80, 36), (20, 90, 36)]);
    let table = render_sweep_table(&report(&example));
    let wanted = "COLLAPSE: tokens fall from 20 to 40; 40 to 60 make no difference seen.";
    assert!(table.contains(wanted), "{table}");
    let page = render_sweep_html(&report(&example));
    let alarm = page
        .split("class=\"note\"")
        .skip(1)
        .any(|rest| rest.contains("COLLAPSE"));
    assert!(alarm, "{page}");
}

#[test]
fn what_a_model_wrote_is_no_markup_of_the_page() {
    let example = example(&[(0, 200, 36), (20, 40, 16)]);
    let page = render_sweep_html(&report(&example));
    assert!(!page.contains("<script>") && !page.contains("<b> c"));
    assert!(page.contains("a &lt;b&gt; c") && page.contains("&lt;script&gt;"));
    assert!(!page.contains("NaN") && !page.contains("http://") && !page.contains("https://"));
    // All four wrong ones of the first level, and right ones up to thirty.
    let first = page.split("<details class=\"level\">").nth(1).unwrap();
    assert_eq!(first.matches("verdict incorrect").count(), 4);
    assert_eq!(first.matches("verdict correct").count(), 26);
    assert_eq!(page, render_sweep_html(&report(&example)));
}

#[test]
fn several_samples_are_compared_by_problem() {
    let double = |asked, tokens, n_right| -> Vec<_> {
        let first = samples(asked, tokens, n_right);
        let second = samples(asked, tokens, n_right / 2).into_iter();
        let second = second.map(|sample| Prediction {
            sample_idx: 1,
            ..sample
        });
        first
            .into_iter()
            .chain(second)
            .map(|s| s.record())
            .collect()
    };
    let level = |name: &str, level: Option<KeepLevel>, tokens, n_right| SweptLevel {
        name: name.to_owned(),
        level,
        prompts_hash: String::new(),
        records: double(level.map(ControlToken::Level), tokens, n_right),
        counted_over_reported: None,
        open: BTreeMap::new(),
    };
    let twenty = KeepLevel::ALL[0];
    let levels = [
        level("none", None, 100, 36),
        level("20", Some(twenty), 30, 20),
    ];
    let rows = sweep_rows(&levels, &levels[0].records, Some(0), Seed(1)).unwrap();
    let versus = rows[1].versus_baseline.unwrap();
    assert!(versus.comparison.mcnemar.is_none() && versus.minimum_detectable_effect.is_none());
    // 54 and 30 of 80 samples.
    assert!((versus.comparison.accuracy.mean + 0.3).abs() < 1e-12);
    assert!(versus.p_accuracy_holm < 0.01);
    let mut example = example(&[(0, 100, 36), (20, 30, 20)]);
    example.summary.rows = rows;
    let table = render_sweep_table(&report(&example));
    assert!(
        table.contains("pass@2 %") && table.contains("paired bootstrap over problems"),
        "{table}"
    );
}
