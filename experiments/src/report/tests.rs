use super::example::example;
use super::{headline, render_html, render_table};
use crate::summary::{RowKind, Summary};

/// The page without the texts of the models, which may say anything.
fn page_without_samples() -> String {
    let mut summary = example(12);
    summary.samples.clear();
    render_html(&summary)
}

fn bare() -> Summary {
    let mut summary = example(0);
    summary.rows.truncate(0);
    summary.budgets.clear();
    summary.curves.clear();
    summary.samples.clear();
    summary.counts.clear();
    summary.aims.clear();
    summary
}

#[test]
fn model_text_is_escaped() {
    let html = render_html(&example(3));
    assert!(!html.contains("<script"), "a script of the model is live");
    assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    assert!(html.contains("pears &amp; sells &lt;b&gt;half&lt;/b&gt;"));
    assert!(html.contains("&lt;COMP_40&gt;\n&lt;think&gt;"));
}

#[test]
fn names_from_the_summary_are_escaped_everywhere() {
    let mut summary = example(3);
    let hostile = "<img src=x onerror=alert(1)>";
    summary.rows[7].name = hostile.into();
    summary.curves[0].arm = hostile.into();
    summary.problems = hostile.into();
    summary.budgets[0].0 = hostile.into();
    summary.counts[0].stage = hostile.into();
    summary.aims[0].aim = hostile.into();
    summary.samples[0].verdict = hostile.into();
    summary.curves[0].steps[0]
        .metrics
        .insert(hostile.into(), 1.0);
    assert!(!render_html(&summary).contains("<img"));
}

#[test]
fn the_page_reaches_nothing_outside_itself() {
    let html = page_without_samples();
    for outside in [
        "http", "src=", "url(", "@import", "<script", "<link", "<iframe",
    ] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.matches("href=").count() == html.matches("href=\"#").count());
}

#[test]
fn every_row_is_named_in_page_and_table() {
    let summary = example(3);
    let (html, table) = (render_html(&summary), render_table(&summary));
    for row in &summary.rows {
        assert!(
            html.contains(&format!("<th scope=\"row\">{}</th>", row.name)),
            "{}",
            row.name
        );
        assert!(table.contains(&row.name), "{}", row.name);
    }
}

#[test]
fn the_table_says_what_the_summary_says() {
    let summary = example(3);
    let table = render_table(&summary);
    let line = table
        .lines()
        .find(|line| line.starts_with("level 40 "))
        .unwrap();
    // 0.431 * 241.3 = 104.0003; 355 of 500 right, Wilson 95 %: [66.9, 74.8].
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        cells.join(" "),
        "level 40 500 104.0 125.4 0.431 [0.414, 0.448] 71.0 [66.9, 74.8] 0.4 1.2 0/100/0/0/0"
    );
    assert!(render_html(&summary).contains("<td>0.431 [0.414, 0.448]</td>"));
    let versus = table.split("Versus base").nth(1).unwrap();
    let line = versus
        .lines()
        .find(|line| line.starts_with("full CHRPO "))
        .unwrap();
    let found = summary.rows[7].versus_base.unwrap().mcnemar.unwrap();
    assert!(
        line.contains(&format!("{}/{}", found.n_only_this, found.n_only_other)),
        "{line}"
    );
    assert!(
        line.contains("-149.1 [-157.3, -140.7]") && line.ends_with("<0.001"),
        "{line}"
    );
}

#[test]
fn columns_line_up() {
    let table = render_table(&example(3));
    let ends: Vec<usize> = table
        .lines()
        .skip(3)
        .take(13)
        .map(|line| line.trim_end().chars().count())
        .collect();
    assert!(ends.iter().all(|end| *end == ends[0]), "{table}");
    assert!(ends[0] <= 120, "{} columns", ends[0]);
}

#[test]
fn the_same_summary_gives_the_same_bytes() {
    assert_eq!(render_html(&example(30)), render_html(&example(30)));
    assert_eq!(render_table(&example(30)), render_table(&example(30)));
}

#[test]
fn significance_is_never_claimed_without_evidence() {
    let mut summary = example(0);
    let found = summary.rows[7].versus_base.as_mut().unwrap();
    found.mcnemar.as_mut().unwrap().p_two_sided = 0.31;
    found.think_tokens.p_two_sided = 0.2;
    let sentence = headline(&summary);
    assert_eq!(sentence.matches("significant").count(), 2, "{sentence}");
    assert_eq!(sentence.matches("not significant").count(), 2, "{sentence}");
    assert!(sentence.contains("0.382 [0.367, 0.397]"), "{sentence}");
}

#[test]
fn what_is_missing_is_said() {
    let html = render_html(&bare());
    for missing in [
        "no rows",
        "No aims",
        "No arm has",
        "No teacher",
        "No rollouts",
        "No stage",
    ] {
        assert!(html.contains(missing), "{missing}");
    }
    assert!(render_table(&bare()).contains("no rows"));
    assert!(headline(&bare()).contains("nothing to conclude"));
}

#[test]
fn a_row_without_samples_has_no_numbers() {
    let mut summary = example(1);
    summary.rows.truncate(8);
    summary.rows[7].summary.n = 0;
    summary.rows[7].summary.by_difficulty.clear();
    summary.rows[7].summary.act_ratio.estimate = f64::NAN;
    for text in [
        render_html(&summary),
        render_table(&summary),
        headline(&summary),
    ] {
        assert!(text.contains("no samples"), "{text}");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}

#[test]
fn odd_curves_are_drawn_without_nan() {
    for n_steps in [0, 1, 2, 1000] {
        let mut summary = example(n_steps);
        for curve in &mut summary.curves {
            if let Some(step) = curve.steps.last_mut() {
                step.metrics.insert("optim/loss".into(), f64::NAN);
                step.metrics.remove("level/40_share");
            }
        }
        let html = render_html(&summary);
        assert!(
            !html.contains("NaN") && !html.contains("inf\""),
            "{n_steps} steps"
        );
        assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    }
    let mut one = example(1);
    one.rows.retain(|row| row.kind == RowKind::Base);
    assert!(render_html(&one).contains("<td>1.000 [1.000, 1.000]</td>"));
}

#[test]
fn every_plot_has_a_title_and_ids_are_unique() {
    let html = render_html(&example(12));
    assert_eq!(
        html.matches("role=\"img\"").count(),
        html.matches("<desc id=").count()
    );
    let mut ids: Vec<&str> = html
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let n_ids = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), n_ids);
}
