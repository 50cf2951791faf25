//! CHRPO on a table: the policy learns to choose the cheapest level that works, and learns nothing
//! from rewards that belong to other rollouts of the group.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Range;

use burn::module::Module;
use burn::tensor::Device;
use extracot_core::advantage::{AdvantageEstimator, GroupAdvantages, GroupNormalized};
use extracot_core::reward::{
    ControlHeadReward, HierarchicalReward, Mode, ModeConstants, RewardBreakdown,
};
use extracot_core::{
    AnswerVerifier, ChatTemplate, KeepLevel, Problem, ResponseParser, Seed, Tokenizer, Verdict,
};
use extracot_models::BigramLm;
use extracot_train::UpdateConfig;
use extracot_train::evaluate::TaskContext;
use extracot_train::loss::ClipRange;
use extracot_train::objective::{Chrpo, Grpo};
use extracot_train::policy_trainer::{
    PolicyAlgorithm, PolicyConfig, PolicyProblem, PolicyStepReport, PolicyTask, train_policy,
};
use rand::seq::SliceRandom;

const TOKENS: [&str; 12] = [
    "<COMP_20>",
    "<COMP_40>",
    "<COMP_60>",
    "<COMP_80>",
    "<COMP_100>",
    "<COMP_POLICY>",
    "<think>",
    "</think>",
    "<|im_start|>",
    "<|im_end|>",
    "x",
    "answer",
];
const THINK: usize = 6;
const CLOSE: usize = 7;
const START: usize = 8;
const END: usize = 9;
const WORD: usize = 10;
const ANSWER: usize = 11;

/// Whole-token vocabulary; every prompt is the one token `<|im_start|>`.
struct TableTokenizer;

impl Tokenizer for TableTokenizer {
    fn encode(&self, _text: &str) -> Vec<u32> {
        vec![START as u32]
    }
    fn encode_spans(&self, text: &str) -> Vec<(u32, Range<usize>)> {
        vec![(START as u32, 0..text.len())]
    }
    fn decode(&self, ids: &[u32]) -> String {
        ids.iter().map(|id| TOKENS[*id as usize]).collect()
    }
    fn token_id(&self, token: &str) -> Option<u32> {
        TOKENS
            .iter()
            .position(|known| *known == token)
            .map(|idx| idx as u32)
    }
}

struct AlwaysRight;

impl AnswerVerifier for AlwaysRight {
    fn verify(&self, _visible: &str, _gold: &str) -> Verdict {
        Verdict::Correct
    }
}

/// The control token is uniform over the levels; the rest of the completion is fixed.
fn table() -> Vec<Vec<f32>> {
    let mut logits = vec![vec![-20.0; TOKENS.len()]; TOKENS.len()];
    logits[START][..5].fill(0.0);
    for row in &mut logits[..5] {
        row[THINK] = 0.0;
    }
    for (from, to) in [(THINK, WORD), (WORD, CLOSE), (CLOSE, ANSWER), (ANSWER, END)] {
        logits[from][to] = 0.0;
    }
    logits
}

/// Probability of each level as the first token.
fn level_probabilities(model: &BigramLm) -> Vec<f64> {
    let logits: Vec<f32> = model.table.val().into_data().iter::<f32>().collect();
    let row = &logits[START * TOKENS.len()..START * TOKENS.len() + 5];
    let total: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
    row.iter()
        .map(|logit| f64::from(*logit).exp() / total)
        .collect()
}

fn chrpo_reward() -> HierarchicalReward {
    let mode = Mode::try_new(ModeConstants::default()).unwrap();
    HierarchicalReward::try_new(1.0)
        .and_then(|reward| reward.with_term(0.3, mode))
        .and_then(|reward| Ok(reward.with_control(ControlHeadReward::try_new(mode, 1.0, 0.3)?)))
        .unwrap()
}

/// The real rewards, each given to another rollout of its group.
struct Shuffled(std::sync::atomic::AtomicU64);

impl AdvantageEstimator for Shuffled {
    fn advantages(&self, rewards: &[Option<&RewardBreakdown>]) -> GroupAdvantages {
        let idx = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut shuffled = rewards.to_vec();
        shuffled.shuffle(&mut Seed(5).derive("shuffle", idx).rng());
        GroupNormalized.advantages(&shuffled)
    }
}

fn train(estimator: &dyn AdvantageEstimator, seed: Seed) -> Vec<f64> {
    let config = config(30, 1, 16, 2);
    let model = run(estimator, &table(), &config, 0.0, seed, |_| {});
    level_probabilities(&model)
}

fn config(n_steps: usize, n_prompts: usize, group_size: usize, n_shards: usize) -> PolicyConfig {
    PolicyConfig {
        n_steps,
        prompts_per_step: n_prompts,
        group_size,
        updates_per_step: 1,
        max_new_tokens: 8,
        batch_rows: 16,
        n_shards,
        update: UpdateConfig {
            learning_rate: 0.1,
            warmup_steps: 0,
            final_rate_share: 1.0,
            weight_decay: 0.0,
            beta_1: 0.9,
            beta_2: 0.99,
            clip_norm: 1.0,
        },
    }
}

/// Trains a table on `config.prompts_per_step` problems.
fn run(
    estimator: &dyn AdvantageEstimator,
    table: &[Vec<f32>],
    config: &PolicyConfig,
    beta: f64,
    seed: Seed,
    mut report: impl FnMut(PolicyStepReport),
) -> BigramLm {
    let device = Device::flex();
    let autodiff = device.clone().autodiff();
    let chat = ChatTemplate::default();
    let parser = ResponseParser::try_new(&TableTokenizer, chat.turn_close()).unwrap();
    let context = TaskContext {
        tokenizer: &TableTokenizer,
        chat: &chat,
        parser: &parser,
        verifier: &AlwaysRight,
    };
    let problem = |idx: usize| Problem {
        id: format!("p{idx}"),
        question: "?".into(),
        solution: None,
        answer: "answer".into(),
        difficulty: None,
        options: Vec::new(),
    };
    // The budget is 40 percent: 20 earns the progress reward, the longer levels pay.
    let budget = KeepLevel::try_new(40).ok();
    let problems: Vec<PolicyProblem> = (0..config.prompts_per_step)
        .map(|idx| PolicyProblem {
            problem: problem(idx),
            budget,
            reference_tokens: 1,
        })
        .collect();
    let grpo = Grpo {
        clip: ClipRange::try_new(0.2, 0.2).unwrap(),
        beta,
    };
    let algorithm = PolicyAlgorithm {
        reward: &chrpo_reward(),
        estimator,
        objective: &Chrpo {
            main: grpo,
            alpha: 0.5,
        },
    };
    let task = PolicyTask {
        problems: &problems,
        context: &context,
    };
    let model = BigramLm::new(table, &autodiff).train();
    let report = |step| {
        report(step);
        Ok(())
    };
    train_policy(model, task, &algorithm, config, &autodiff, seed, report)
        .unwrap()
        .valid()
}

#[test]
fn the_reference_meets_what_was_recorded_and_is_left_by_the_first_update() {
    // Every transition has a probability of its own, so a value of another token shows.
    let value = |(from, to): (usize, usize)| ((from * 7 + to * 5) % 11) as f32 * 0.3;
    let n = TOKENS.len();
    let row = |from| (0..n).map(|to| value((from, to))).collect();
    let table: Vec<Vec<f32>> = (0..n).map(row).collect();
    let mut divergences = vec![];
    let mut lengths = std::collections::BTreeSet::new();
    let config = config(2, 5, 4, 3);
    run(&GroupNormalized, &table, &config, 0.1, Seed(1), |step| {
        divergences.push(step.metrics["policy/kl_k3_nats"]);
        lengths.extend(step.rollouts.iter().map(|row| row.text.len()));
    });
    assert!(lengths.len() > 3, "rollouts of one length");
    assert!(divergences[0].abs() < 1e-9, "{divergences:?}");
    assert!(divergences[1] > 1e-5, "{divergences:?}");
}

#[test]
fn the_policy_finds_the_cheapest_level_that_works() {
    for seed in 1..=3 {
        let found = train(&GroupNormalized, Seed(seed));
        assert!(found[0] > 0.8, "seed {seed}: {found:?}");
    }
}

#[test]
fn shuffled_rewards_teach_nothing() {
    let mut mean = [0.0; 5];
    for seed in 1..=4 {
        let shuffled = Shuffled(std::sync::atomic::AtomicU64::new(seed * 1000));
        for (mean, found) in mean.iter_mut().zip(train(&shuffled, Seed(seed))) {
            *mean += found / 4.0;
        }
    }
    assert!(mean[0] < 0.5, "{mean:?}");
}
