//! The course of the training: one small panel per metric, one line per arm.

use std::collections::BTreeSet;

use extracot_core::KeepLevel;

use super::palette::Palette;
use super::series::{MAX_POINTS, MAX_UNSMOOTHED, points, share_key, smoothed, step_axis, thinned};
use super::svg::{About, Axis, PANEL, Plot, bounds, figure};
use super::text::{escape, note};
use crate::summary::{ArmCurve, Summary};

/// Panels under one heading.
struct Group {
    title: &'static str,
    prefixes: &'static [&'static str],
}

const GROUPS: [Group; 4] = [
    Group {
        title: "Reward terms",
        prefixes: &["reward/"],
    },
    Group {
        title: "Rollouts",
        prefixes: &["rollout/", "length/", "ratio/", "group/"],
    },
    Group {
        title: "Update",
        prefixes: &["policy/", "optim/"],
    },
    Group {
        title: "Held out",
        prefixes: &["held_out/", "validation/"],
    },
];

/// Names and units of known metrics, in the order of their panels.
const METRICS: [(&str, &str, &str); 25] = [
    ("reward/main_mean", "Main reward", "reward"),
    ("reward/control_mean", "Control-head reward", "reward"),
    ("reward/acc_mean", "Accuracy term", "reward"),
    ("reward/cal_mean", "Calibration term C", "reward"),
    ("reward/mode_mean", "Mode term M", "reward"),
    ("reward/int_mean", "Integrity term I", "reward"),
    ("rollout/accuracy", "Accuracy of rollouts", "share"),
    ("length/think_tokens_mean", "Think length", "tokens"),
    ("ratio/realized_mean", "Realized ratio", "ratio"),
    (
        "rollout/undecided_share",
        "Rollouts without a verdict",
        "share",
    ),
    ("group/constant_share", "Constant groups", "share"),
    (
        "group/control_constant_share",
        "Constant groups, control head",
        "share",
    ),
    ("policy/kl_k3_nats", "KL to the SFT model (k3)", "nats"),
    ("policy/entropy_nats", "Entropy", "nats"),
    (
        "policy/clip_low_share",
        "Tokens clipped at the lower bound",
        "share",
    ),
    (
        "policy/clip_high_share",
        "Tokens clipped at the upper bound",
        "share",
    ),
    (
        "policy/logprob_mismatch_max",
        "Rollout against update, largest",
        "nats",
    ),
    (
        "policy/logprob_mismatch_mean",
        "Rollout against update, mean",
        "nats",
    ),
    ("optim/loss", "Loss", "loss"),
    ("optim/grad_norm", "Gradient norm", "norm"),
    ("optim/learning_rate", "Learning rate", "rate"),
    ("held_out/loss_nats", "Loss on held-out examples", "nats"),
    (
        "validation/reward_main_mean",
        "Main reward on validation problems",
        "reward",
    ),
    (
        "validation/accuracy",
        "Accuracy on validation problems",
        "share",
    ),
    (
        "validation/think_tokens_mean",
        "Think length on validation problems",
        "tokens",
    ),
];

/// One panel per metric, one line per arm.
pub(super) fn metrics(summary: &Summary, palette: &Palette) -> String {
    let mut curves = summary
        .curves
        .iter()
        .filter(|curve| !curve.steps.is_empty())
        .peekable();
    if curves.peek().is_none() {
        return note("No arm has a course of training in this summary.");
    }
    let mut out = palette.legend(curves.map(|curve| curve.arm.as_str()));
    out.push_str(&explanation(summary));
    let all = keys(summary);
    let mut rest = all.clone();
    for Group { title, prefixes } in &GROUPS {
        let of_group = |key: &&String| prefixes.iter().any(|prefix| key.starts_with(prefix));
        let group: Vec<&String> = all.iter().filter(of_group).collect();
        rest.retain(|key| !group.contains(&key));
        out.push_str(&panels(title, &group, summary, palette));
    }
    out.push_str(&panels(
        "Other",
        &rest.iter().collect::<Vec<_>>(),
        summary,
        palette,
    ));
    out
}

/// How the lines are made of the steps.
fn explanation(summary: &Summary) -> String {
    let longest = summary
        .curves
        .iter()
        .map(|curve| curve.steps.len())
        .max()
        .unwrap_or(0);
    let thinned = match longest > MAX_POINTS {
        true => " Long courses are drawn as means over neighboring steps.",
        false => "",
    };
    let smoothed = match longest > MAX_UNSMOOTHED {
        true => " Faint lines are the values, strong lines their centered running means.",
        false => "",
    };
    let mut steps = summary.curves.iter().flat_map(|curve| &curve.steps);
    let values = match steps.any(|step| step.metrics.contains_key("rollout/accuracy")) {
        true => "Means over the rollouts of a step.",
        false => "One value per step.",
    };
    format!("<p class=\"muted\">{values}{thinned}{smoothed}</p>\n")
}

/// Metrics of the summary without level shares: the known ones in their order, then the others.
fn keys(summary: &Summary) -> Vec<String> {
    let steps = summary.curves.iter().flat_map(|curve| &curve.steps);
    let shares = KeepLevel::ALL.map(share_key);
    let mut keys: BTreeSet<&String> = steps
        .flat_map(|step| step.metrics.keys())
        .filter(|key| !shares.contains(key))
        .collect();
    let known = METRICS
        .iter()
        .filter_map(|(key, ..)| keys.take(&(*key).to_owned()));
    let mut ordered: Vec<String> = known.cloned().collect();
    ordered.extend(keys.into_iter().cloned());
    ordered
}

fn panels(title: &str, keys: &[&String], summary: &Summary, palette: &Palette) -> String {
    let drawn: String = keys
        .iter()
        .filter_map(|key| panel(key, summary, palette))
        .collect();
    if drawn.is_empty() {
        return String::new();
    }
    format!("<h3>{title}</h3>\n<div class=\"grid\">\n{drawn}</div>\n")
}

fn panel(key: &str, summary: &Summary, palette: &Palette) -> Option<String> {
    let lines: Vec<(&ArmCurve, Vec<(f64, f64)>)> = summary
        .curves
        .iter()
        .map(|curve| (curve, thinned(&points(curve, key))))
        .filter(|(_, line)| !line.is_empty())
        .collect();
    let all = || lines.iter().flat_map(|(_, line)| line);
    let (low, high) = bounds(all().map(|point| point.1), 0.06)?;
    let known = METRICS.iter().find(|(known, ..)| *known == key);
    let (name, unit) = known.map_or((key, unit_of(key)), |(_, name, unit)| (*name, *unit));
    let arms: Vec<&str> = lines.iter().map(|(curve, _)| curve.arm.as_str()).collect();
    let title = format!("{name} over steps");
    let desc = format!("Lines of {}, one value per step.", arms.join(", "));
    let x = step_axis(all().map(|point| point.0))?;
    let y = Axis {
        label: unit,
        low,
        high,
        n_ticks: 4,
        min_step: 0.0,
    };
    let id = format!("curve-{}", slug(key));
    let mut plot = Plot::new(
        About {
            id: &id,
            title: &title,
            desc: &desc,
        },
        PANEL,
        &x,
        &y,
    );
    for (curve, line) in &lines {
        let look = palette.arm(&curve.arm);
        let smooth = smoothed(line);
        if smooth != *line {
            plot.curve(line, &format!("raw {}", look.color));
        }
        plot.curve(&smooth, &format!("{} {}", look.color, look.dash));
        if let Some(last) = smooth.last() {
            plot.mark(*last, look.mark, 3.5, look.color);
        }
    }
    let explanation = known.map_or_else(String::new, |_| format!("<code>{key}</code>"));
    Some(figure(&escape(name), &explanation, &plot.finish()))
}

/// The unit that ends the name of a metric.
fn unit_of(key: &str) -> &'static str {
    match key.rsplit(['_', '/']).next() {
        Some("nats") => "nats",
        Some("tokens") => "tokens",
        Some("share" | "fraction") => "share",
        Some("s") => "seconds",
        _ => "value",
    }
}

fn slug(key: &str) -> String {
    key.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_from_the_key() {
        assert_eq!(
            ["policy/x_nats", "time/rollout_s", "a/b"].map(unit_of),
            ["nats", "seconds", "value"]
        );
    }
}
