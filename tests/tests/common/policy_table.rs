//! Policies that are a table of next tokens, for tests of the reinforcement loop: what they do can be
//! worked out by hand, and training takes a moment.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::Device;
use extracot_core::reward::{ControlHeadReward, HierarchicalReward, Mode, ModeConstants};
use extracot_core::{
    AnswerVerifier, ChatTemplate, KeepLevel, Problem, ResponseParser, Seed, Tokenizer, Verdict,
};
use extracot_models::BigramLm;
use extracot_train::checkpoints::RunControl;
use extracot_train::evaluate::TaskContext;
use extracot_train::loss::ClipRange;
use extracot_train::objective::{Chrpo, Grpo};
use extracot_train::policy_trainer::{
    PolicyAlgorithm, PolicyConfig, PolicyProblem, PolicyRun, PolicyStepReport, PolicyTask,
    RolloutSource, TrainedPolicy, Validation,
};
use extracot_train::{TrainError, UpdateConfig};

pub(crate) const TOKENS: [&str; 12] = [
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
pub(crate) const START: usize = 8;
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

/// A run is about levels and lengths only.
struct AlwaysRight;

impl AnswerVerifier for AlwaysRight {
    fn verify(&self, _visible: &str, _gold: &str) -> Verdict {
        Verdict::Correct
    }
}

/// The control token is uniform over the levels; the rest of the completion is fixed.
pub(crate) fn table() -> Vec<Vec<f32>> {
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
pub(crate) fn level_probabilities(model: &BigramLm) -> Vec<f64> {
    let logits: Vec<f32> = model.table.val().into_data().iter::<f32>().collect();
    let row = &logits[START * TOKENS.len()..START * TOKENS.len() + 5];
    let total: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
    row.iter()
        .map(|logit| f64::from(*logit).exp() / total)
        .collect()
}

/// Correctness, the mode term and the reward of the choice.
pub(crate) fn chrpo_reward() -> HierarchicalReward {
    let mode = Mode::try_new(ModeConstants::default()).unwrap();
    HierarchicalReward::try_new(1.0)
        .and_then(|reward| reward.with_term(0.3, mode))
        .and_then(|reward| Ok(reward.with_control(ControlHeadReward::try_new(mode, 1.0, 0.3)?)))
        .unwrap()
}

/// CHRPO with a control part of half the main part.
pub(crate) fn chrpo(beta: f64) -> Chrpo {
    Chrpo {
        main: Grpo {
            clip: ClipRange::try_new(0.2, 0.2).unwrap(),
            beta,
        },
        alpha: 0.5,
    }
}

/// Steps of so many problems, one update each.
pub(crate) fn config(
    n_steps: usize,
    n_prompts: usize,
    group_size: usize,
    n_shards: usize,
) -> PolicyConfig {
    PolicyConfig {
        n_steps,
        prompts_per_step: n_prompts,
        group_size,
        updates_per_step: 1,
        temperature: 1.0,
        extra_rounds: 0,
        max_new_tokens: 8,
        logits_chunk: None,
        batch_rows: 16,
        n_shards,
        update: UpdateConfig {
            learning_rate: 0.1,
            warmup_steps: 0,
            final_rate_share: 1.0,
            weight_decay: 0.0,
            decay_embeddings: true,
            beta_1: 0.9,
            beta_2: 0.99,
            clip_norm: 1.0,
        },
    }
}

/// Every transition has a probability of its own, so a value of another token shows.
pub(crate) fn uneven_table() -> Vec<Vec<f32>> {
    let value = |from: usize, to: usize| ((from * 7 + to * 5) % 11) as f32 * 0.3;
    let n = TOKENS.len();
    let row = |from| (0..n).map(|to| value(from, to)).collect();
    (0..n).map(row).collect()
}

/// Trains a table on `config.prompts_per_step` problems.
pub(crate) fn run(
    algorithm: &PolicyAlgorithm<'_>,
    table: &[Vec<f32>],
    config: &PolicyConfig,
    seed: Seed,
    mut report: impl FnMut(PolicyStepReport),
) -> BigramLm {
    let way = Way {
        source: RolloutSource::Sampled {
            keeps_tokens: false,
        },
        control: None,
        validates: false,
    };
    let report = |step| {
        report(step);
        Ok(())
    };
    run_by(algorithm, table, config, (seed, way), report)
        .unwrap()
        .model
        .valid()
}

/// How a run goes.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) source: RolloutSource<'a>,
    pub(crate) control: Option<RunControl<'a>>,
    /// Whether it looks at problems on the way: those it trains on, every third step.
    pub(crate) validates: bool,
}

/// As [`run`], in any way.
pub(crate) fn run_by(
    algorithm: &PolicyAlgorithm<'_>,
    table: &[Vec<f32>],
    config: &PolicyConfig,
    (seed, way): (Seed, Way<'_>),
    report: impl FnMut(PolicyStepReport) -> Result<(), TrainError>,
) -> Result<TrainedPolicy<BigramLm>, TrainError> {
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
    let task = PolicyTask {
        problems: &problems,
        context: &context,
    };
    let validation = Validation {
        problems: &problems,
        every: 3,
    };
    let run = PolicyRun {
        task,
        algorithm,
        config,
        device: &autodiff,
        seed,
        source: way.source,
        validation: way.validates.then_some(validation),
        control: way.control,
    };
    run.train(BigramLm::new(table, &autodiff).train(), report)
}
