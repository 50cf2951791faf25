//! A made-up summary with something in every section.

use std::collections::BTreeMap;

use extracot_core::KeepLevel;
use extracot_core::report::{Comparison, DifficultyRow, EvalSummary, McNemar};
use extracot_core::stats::{Interval, PairedDifference, mcnemar_exact, wilson_interval};

use crate::summary::{
    Aim, ArmCurve, PolicyStep, RowKind, SampleRollout, StageCounts, Summary, TableRow,
};

const DIFFICULTIES: u32 = 5;
const N_EACH: usize = 100;
const BASE_TOKENS: f64 = 241.3;

const ARMS: [&str; 4] = [
    "full CHRPO",
    "without R_ctrl",
    "without R_mode and R_ctrl",
    "accuracy only (GRPO)",
];

/// Base, five levels, SFT policy and four arms, with curves of `n_steps` steps.
pub(crate) fn example(n_steps: usize) -> Summary {
    let curves = ARMS
        .iter()
        .enumerate()
        .map(|(i, arm)| curve(arm, i as f64, n_steps));
    let samples = ARMS[..2]
        .iter()
        .flat_map(|arm| [sample(arm, 0), sample(arm, n_steps)]);
    let traces = [
        ("kept", 1811),
        ("wrong answer", 402),
        ("unclosed think", 87),
    ];
    let compressed = [("kept", 8720), ("repetition", 31), ("lost anchor", 304)];
    let cheap = ("ActRatio of POLICY at most 0.45", "0.382 [0.371, 0.394]");
    let right = (
        "Accuracy within 3 points of base",
        "-2.5 points, McNemar p = 0.310",
    );
    let cheaper = (
        "Full CHRPO cheaper than without R_ctrl",
        "-6.8 tokens [-15.1, 1.6]",
    );
    Summary {
        experiment: "chrpo_ablation".into(),
        preset: "toy".into(),
        seed: 17,
        problems: "generator".into(),
        config_hash: "9f2c41d07ab3e655".into(),
        rows: rows(),
        budgets: budgets(),
        curves: curves.collect(),
        samples: samples.collect(),
        counts: vec![
            counts("traces", &traces),
            counts("compress", &compressed),
            counts("generate", &[]),
        ],
        aims: vec![aim(cheap, true), aim(right, true), aim(cheaper, false)],
    }
}

fn rows() -> Vec<TableRow> {
    let mut rows = vec![row("base", RowKind::Base, 1.0, 0.81, [0; 5])];
    let fixed = [
        (0.262, 0.55),
        (0.431, 0.71),
        (0.604, 0.77),
        (0.79, 0.79),
        (0.98, 0.8),
    ];
    for (i, (ratio, accuracy)) in fixed.into_iter().enumerate() {
        let (name, mut chosen) = (format!("level {}", KeepLevel::ALL[i]), [0; 5]);
        chosen[i] = N_EACH;
        let mut row = row(&name, RowKind::FixedLevel, ratio, accuracy, chosen);
        row.target_ratio = Some(KeepLevel::ALL[i].ratio().value());
        rows.push(row);
    }
    rows.push(row(
        "SFT policy",
        RowKind::SftPolicy,
        0.52,
        0.74,
        [20, 30, 25, 10, 13],
    ));
    for (i, arm) in ARMS.into_iter().enumerate() {
        let (ratio, accuracy) = ([0.382, 0.41, 0.47, 0.56][i], 0.785 - 0.006 * i as f64);
        let chosen = [40 - 8 * i, 35, 15, 5 + 4 * i, 4 * i];
        rows.push(row(arm, RowKind::Arm, ratio, accuracy, chosen));
    }
    let (base, full) = (rows[0].summary.clone(), rows[7].summary.clone());
    for row in &mut rows[1..] {
        row.versus_base = Some(comparison(&row.summary, &base));
    }
    for row in &mut rows[8..] {
        row.versus_full = Some(comparison(&row.summary, &full));
    }
    rows
}

fn row(name: &str, kind: RowKind, ratio: f64, accuracy: f64, chosen: [usize; 5]) -> TableRow {
    let n = N_EACH * DIFFICULTIES as usize;
    let n_correct = (accuracy * n as f64).round() as usize;
    let stated: usize = chosen.iter().sum();
    let is_base = kind == RowKind::Base;
    let spread = if is_base { 0.0 } else { 0.03 * ratio + 0.004 };
    let part = |difficulty| part(difficulty, kind, BASE_TOKENS * ratio, accuracy, chosen);
    let mut summary = EvalSummary {
        n,
        n_correct,
        accuracy: wilson_interval(n_correct as u64, n as u64, 1.96).unwrap(),
        think_tokens: BASE_TOKENS * ratio,
        total_tokens: BASE_TOKENS * ratio + 21.4,
        act_ratio: Interval {
            estimate: ratio,
            low: ratio - spread,
            high: ratio + spread,
        },
        truncation_rate: 0.004,
        no_answer_rate: 0.012,
        undecided_rate: if kind == RowKind::SftPolicy {
            0.002
        } else {
            0.0
        },
        no_level_rate: if is_base {
            0.0
        } else {
            1.0 - stated as f64 / N_EACH as f64
        },
        format_error_rate: Some(0.008),
        open_rate: None,
        chosen: BTreeMap::new(),
        by_difficulty: (1..=DIFFICULTIES).map(part).collect(),
        repeated: None,
    };
    for part in &summary.by_difficulty {
        for (level, n) in &part.chosen {
            *summary.chosen.entry(*level).or_insert(0) += n;
        }
    }
    let (versus_base, versus_full) = (None, None);
    TableRow {
        name: name.into(),
        kind,
        target_ratio: None,
        summary,
        versus_base,
        versus_full,
    }
}

fn part(
    difficulty: u32,
    kind: RowKind,
    tokens: f64,
    accuracy: f64,
    mut chosen: [usize; 5],
) -> DifficultyRow {
    let harder = (f64::from(difficulty) - 3.0) * 0.09;
    let right = ((accuracy - harder).clamp(0.02, 1.0) * N_EACH as f64).round() as u64;
    if matches!(kind, RowKind::Arm | RowKind::SftPolicy) {
        let moved = (chosen[0] * (difficulty as usize - 1)) / 6;
        chosen[0] -= moved;
        chosen[3] += moved;
    }
    let chosen = KeepLevel::ALL
        .into_iter()
        .zip(chosen)
        .filter(|(_, count)| *count > 0);
    DifficultyRow {
        difficulty,
        n: N_EACH,
        accuracy: wilson_interval(right, N_EACH as u64, 1.96).unwrap(),
        think_tokens: tokens * (0.4 + 0.2 * f64::from(difficulty)),
        chosen: chosen.collect(),
    }
}

fn comparison(this: &EvalSummary, other: &EvalSummary) -> Comparison {
    let net = this.n_correct as i64 - other.n_correct as i64;
    let (n_only_this, n_only_other) = (40 + net.max(0) as u64, 40 + (-net).max(0) as u64);
    let tokens = this.think_tokens - other.think_tokens;
    Comparison {
        accuracy: PairedDifference {
            mean: net as f64 / this.n as f64,
            low: net as f64 / this.n as f64 - 0.02,
            high: net as f64 / this.n as f64 + 0.02,
            p_two_sided: 0.2,
        },
        mcnemar: Some(McNemar {
            n_only_this,
            n_only_other,
            p_two_sided: mcnemar_exact(n_only_this, n_only_other),
        }),
        think_tokens: PairedDifference {
            mean: tokens,
            low: tokens - 8.2,
            high: tokens + 8.4,
            p_two_sided: if tokens.abs() > 9.0 { 0.000_999 } else { 0.11 },
        },
    }
}

fn budgets() -> Vec<(String, BTreeMap<String, u64>)> {
    let keys = ["20", "40", "60", "80", "100", "none"];
    let map = |counts: [u64; 6]| keys.map(String::from).into_iter().zip(counts).collect();
    let mut rows = vec![("all".to_owned(), map([310, 420, 300, 150, 70, 250]))];
    for d in 1..=u64::from(DIFFICULTIES) {
        rows.push((
            d.to_string(),
            map([120 - 22 * d, 90, 40 + 10 * d, 30, 14, 6 + 22 * d]),
        ));
    }
    rows
}

fn curve(arm: &str, i: f64, n_steps: usize) -> ArmCurve {
    let steps = (0..n_steps).map(|step| {
        let t = step as f64 / n_steps.max(2) as f64;
        // A fixed wiggle in place of noise.
        let wiggle = ((step * 7919 + 13 * i as usize) % 101) as f64 / 101.0 - 0.5;
        let cheap = 0.25 + (0.35 - 0.08 * i) * t;
        let metrics = [
            (
                "reward/main_mean",
                0.4 + (0.5 - 0.05 * i) * t + 0.06 * wiggle,
            ),
            (
                "reward/control_mean",
                0.1 + (0.25 - 0.05 * i) * t + 0.03 * wiggle,
            ),
            ("reward/acc_mean", 0.72 + 0.08 * t + 0.05 * wiggle),
            ("reward/cal_mean", -0.3 + (0.9 - 0.2 * i) * t + 0.1 * wiggle),
            (
                "reward/mode_mean",
                -0.05 + (0.2 - 0.06 * i) * t + 0.02 * wiggle,
            ),
            ("reward/int_mean", -0.08 + 0.06 * t + 0.01 * wiggle),
            ("level/20_share", cheap),
            ("level/40_share", 0.3),
            ("level/60_share", 0.36 - 0.25 * t - cheap / 4.0),
            ("level/80_share", 0.12 - 0.05 * t),
            ("level/100_share", 0.02),
            ("rollout/accuracy", 0.72 + 0.08 * t + 0.05 * wiggle),
            (
                "length/think_tokens_mean",
                130.0 - (40.0 - 8.0 * i) * t + 4.0 * wiggle,
            ),
            (
                "ratio/realized_mean",
                0.55 - (0.17 - 0.04 * i) * t + 0.01 * wiggle,
            ),
            ("policy/kl_k3_nats", 0.000_02 * t + 0.000_004 * wiggle.abs()),
            ("policy/entropy_nats", 0.61 - 0.2 * t + 0.02 * wiggle),
            ("optim/grad_norm", 0.9 - 0.3 * t + 0.3 * wiggle),
            ("optim/loss", 0.01 * wiggle),
            ("group/constant_share", 0.3 + 0.2 * t + 0.05 * wiggle),
            ("time/rollout_s", 3.1 + wiggle),
        ];
        PolicyStep {
            step,
            metrics: metrics.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    });
    ArmCurve {
        arm: arm.into(),
        steps: steps.collect(),
    }
}

fn sample(arm: &str, step: usize) -> SampleRollout {
    let terms = [("acc", 1.0), ("cal", 0.64), ("mode", 0.2), ("int", -0.25)];
    SampleRollout {
        arm: arm.into(),
        step,
        problem_id: "gen-000173".into(),
        question: "A shop has 12 crates of 8 pears & sells <b>half</b>. How many are left?".into(),
        text: "<COMP_40>\n<think>\n12 crates, $12 \\times 8 = 96$ pears; half: $96 / 2 = 48$.\n</think>\n\
               The answer is \\boxed{48}. <script>alert('x')</script> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
               aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            .into(),
        verdict: "correct".into(),
        think_tokens: 31,
        terms: terms.map(|(name, value)| (name.to_owned(), value)).into(),
        reward_main: 1.415,
        reward_control: 0.26,
        advantages: [0.83, -0.41],
    }
}

fn counts(stage: &str, counts: &[(&str, u64)]) -> StageCounts {
    let counts = counts
        .iter()
        .map(|(reason, count)| ((*reason).to_owned(), *count))
        .collect();
    StageCounts {
        stage: stage.into(),
        counts,
    }
}

fn aim((aim, found): (&str, &str), reached: bool) -> Aim {
    Aim {
        aim: aim.into(),
        found: found.into(),
        reached,
    }
}
