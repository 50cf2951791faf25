//! The code of `docs/write_an_ablation.md`, compiled: every snippet of the page stands here word by
//! word, and does what the page says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod term {
    use extracot_core::reward::{RewardContext, RewardTerm};

    /// Minus the share by which the think text exceeds a limit.
    #[derive(Debug, Clone, Copy)]
    struct Overlong {
        limit: usize,
    }

    impl RewardTerm for Overlong {
        fn name(&self) -> &'static str {
            "overlong"
        }

        fn range(&self) -> (f64, f64) {
            (-1.0, 0.0)
        }

        fn score(&self, context: &RewardContext<'_>) -> f64 {
            let over = context.response.think_tokens.saturating_sub(self.limit);
            -(over as f64 / self.limit.max(1) as f64).min(1.0)
        }
    }

    #[test]
    fn it_is_the_share_above_the_limit() {
        use extracot_core::{Response, ThinkState, Verdict};
        let response = Response {
            control: None,
            think_state: ThinkState::Closed,
            think_tokens: 150,
            total_tokens: 160,
            think: String::new(),
            visible: String::new(),
        };
        let context = RewardContext {
            response: &response,
            verdict: &Verdict::Correct,
            reference_tokens: 100,
            budget: None,
        };
        // 50 over a limit of 100.
        assert_eq!(Overlong { limit: 100 }.score(&context), -0.5);
        assert_eq!(Overlong { limit: 200 }.score(&context), 0.0);
    }

    /// The arm of the page.
    fn arm(
        pipeline: &experiments::pipeline::Pipeline,
    ) -> anyhow::Result<(experiments::pipeline::Arm, impl serde::Serialize)> {
        use experiments::pipeline::full_chrpo;

        use experiments::pipeline::Arm;
        use extracot_core::reward::{
            Calibration, ControlHeadReward, HierarchicalReward, Integrity, Mode,
        };

        let reward = &pipeline.config.reward;
        let mode = Mode::try_new(reward.mode)?;
        let rewards = HierarchicalReward::try_new(reward.w_acc)?
            .with_term(reward.w_cal, Calibration::try_new(reward.tau)?)?
            .with_term(reward.w_int, Integrity)?
            .with_term(reward.w_mode, mode)?
            .with_term(0.2, Overlong { limit: 120 })?
            .with_control(ControlHeadReward::try_new(
                mode,
                reward.w_ctrl,
                reward.saving,
            )?);
        let arm = Arm {
            name: "overlong".to_owned(),
            reward: Box::new(rewards),
            ..full_chrpo(&pipeline.config)?
        };
        let settings = (
            pipeline.config.reward,
            pipeline.config.chrpo,
            "overlong",
            0.2,
            120,
        );
        Ok((arm, settings))
    }

    #[test]
    fn its_arm_has_the_term_among_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = super::pipeline(&folder.path().join("run"));
        let (arm, _) = arm(&pipeline).unwrap();
        assert!(format!("{:?}", arm.name).contains("overlong"));
    }
}

mod baseline {
    use extracot_core::advantage::{AdvantageEstimator, GroupAdvantages, GroupCentered};
    use extracot_core::reward::RewardBreakdown;

    /// The reward minus the mean of the *other* rollouts of the group.
    struct LeaveOneOut;

    impl AdvantageEstimator for LeaveOneOut {
        fn advantages(&self, rewards: &[Option<&RewardBreakdown>]) -> GroupAdvantages {
            let mut found = GroupCentered.advantages(rewards);
            let n = found.rollouts.iter().flatten().count() as f64;
            let factor = if n > 1.0 { n / (n - 1.0) } else { 0.0 };
            for advantages in found.rollouts.iter_mut().flatten() {
                advantages.main *= factor;
                advantages.control *= factor;
            }
            found
        }
    }

    #[test]
    fn two_rollouts_are_each_others_baseline() {
        use extracot_core::reward::Stratum;
        let reward = |main| RewardBreakdown {
            stratum: Stratum::Right,
            terms: vec![],
            main,
            control: 0.0,
        };
        let (low, high) = (reward(0.0), reward(1.0));
        let found = LeaveOneOut.advantages(&[Some(&low), None, Some(&high)]);
        let main: Vec<_> = found.rollouts.iter().map(|a| a.map(|a| a.main)).collect();
        assert_eq!(main, [Some(-1.0), None, Some(1.0)]);
    }
}

mod objective {
    use burn::tensor::Tensor;
    use extracot_train::batch::{PolicyBatch, PolicyTensors};
    use extracot_train::objective::PolicyObjective;

    /// Policy gradient without importance weights, clip or divergence.
    struct Reinforce;

    impl PolicyObjective for Reinforce {
        fn needs_reference(&self) -> bool {
            false
        }

        fn loss(
            &self,
            batch: &PolicyBatch,
            inputs: PolicyTensors,
            logprobs: Tensor<1>,
        ) -> Tensor<1> {
            (logprobs * inputs.advantages_main).sum().neg() / batch.n_tokens_total as f64
        }
    }

    #[test]
    fn its_gradient_is_minus_the_advantage() {
        use burn::tensor::{Device, TensorData};
        use extracot_train::batch::PolicyRow;
        let device = Device::flex().autodiff();
        let row = PolicyRow {
            prompt_ids: vec![1],
            completion_ids: vec![2, 2],
            old_logprobs: vec![-1.0; 2],
            advantage_main: 3.0,
            advantage_control: 0.0,
        };
        let batch = PolicyBatch::collate(&[row], 1).remove(0);
        let logprobs =
            Tensor::<1>::from_data(TensorData::from([-1.0, -1.0]), &device).require_grad();
        let loss = Reinforce.loss(&batch, batch.tensors(&device), logprobs.clone());
        let gradient = logprobs.grad(&loss.backward()).unwrap().into_data();
        // -3 on each of two tokens, over two tokens.
        assert_eq!(gradient.iter::<f32>().collect::<Vec<_>>(), [-1.5, -1.5]);
        assert!(!Reinforce.needs_reference());
    }
}

mod scorer {
    use extracot_core::{AtomKind, AtomizedCot, CoreError, KeepScorer, KeepScores};

    /// Formulas first, then numbers, then words.
    struct FormulasFirst;

    impl KeepScorer for FormulasFirst {
        fn score(&self, _question: &str, cot: &AtomizedCot) -> Result<KeepScores, CoreError> {
            let score = |kind| match kind {
                AtomKind::Formula => 2.0,
                AtomKind::Number => 1.0,
                AtomKind::Word => 0.0,
            };
            let scores = cot.atoms().iter().map(|atom| score(atom.kind)).collect();
            KeepScores::try_new(scores, cot.n_atoms())
        }
    }

    #[test]
    fn formulas_come_first() {
        let cot = extracot_core::segment("We add. So $1+1=2$ it is.");
        let scores = FormulasFirst.score("", &cot).unwrap();
        let best = (0..cot.n_atoms()).max_by(|a, b| {
            let scores = scores.as_slice();
            scores[*a].total_cmp(&scores[*b])
        });
        assert_eq!(cot.atoms()[best.unwrap()].kind, AtomKind::Formula);
    }

    /// The stage of the page.
    fn stage(
        pipeline: &experiments::pipeline::Pipeline,
        base: &experiments::run::StageFolder,
        traces: &experiments::run::StageFolder,
    ) -> anyhow::Result<experiments::run::StageFolder> {
        use std::collections::BTreeMap;

        use experiments::config::compressed_levels;
        use experiments::pipeline::CompressedTrace;
        use extracot_core::{Compressor, ReasoningTrace};
        use extracot_models::HfTokenizer;

        let inputs = (&traces.key, "formulas first");
        let compressed = pipeline.run.stage("compress_formulas", &inputs, |stage| {
            let tokenizer = HfTokenizer::load(&base.model)?;
            let compressor = Compressor::new(FormulasFirst, &tokenizer);
            let mut rows = Vec::new();
            for trace in traces.read::<ReasoningTrace>("traces.jsonl")? {
                let scored = compressor.score(&trace.problem.question, &trace.think)?;
                for level in compressed_levels() {
                    let kept = scored.at(level.ratio());
                    rows.push(CompressedTrace {
                        problem_id: trace.problem.id.clone(),
                        level,
                        think: kept.text,
                        kept_tokens: kept.kept_tokens,
                        total_tokens: kept.total_tokens,
                    });
                }
            }
            let counts = BTreeMap::from([("kept".to_owned(), rows.len() as u64)]);
            stage.write("counts.jsonl", &[counts])?;
            stage.write("compressed.jsonl", &rows)
        })?;
        Ok(compressed)
    }

    #[test]
    fn its_stage_compresses_the_traces_of_a_run() {
        use experiments::pipeline::{base_model, collect_traces};
        let folder = tempfile::tempdir().unwrap();
        let mut pipeline = super::pipeline(&folder.path().join("run"));
        let base = base_model(&mut pipeline).unwrap();
        let traces = collect_traces(&pipeline, &base).unwrap();
        let compressed = stage(&pipeline, &base, &traces).unwrap();
        let rows: Vec<experiments::pipeline::CompressedTrace> =
            compressed.read("compressed.jsonl").unwrap();
        assert!(!rows.is_empty() && rows.iter().all(|row| row.kept_tokens < row.total_tokens));
    }
}

mod curriculum {
    use extracot_core::sft::RatioCurriculum;
    use extracot_core::{ControlToken, KeepLevel};
    use rand::RngExt;
    use rand_chacha::ChaCha8Rng;

    /// Level 100 at the beginning, level 20 at the end.
    struct Annealed;

    impl RatioCurriculum for Annealed {
        fn choose(&self, progress: f64, rng: &mut ChaCha8Rng) -> ControlToken {
            let is_short = rng.random::<f64>() < progress;
            ControlToken::Level(if is_short {
                KeepLevel::ALL[0]
            } else {
                KeepLevel::FULL
            })
        }
    }

    #[test]
    fn it_goes_from_long_to_short() {
        let mut rng = extracot_core::Seed(1).rng();
        let level = |percent| ControlToken::Level(KeepLevel::try_new(percent).unwrap());
        assert_eq!(Annealed.choose(0.0, &mut rng), level(100));
        assert_eq!(Annealed.choose(1.0, &mut rng), level(20));
    }
}

/// A smoke run in `folder`, opened and not begun.
fn pipeline(folder: &std::path::Path) -> experiments::pipeline::Pipeline {
    use clap::Parser;
    use experiments::cli::Arguments;
    let folder = folder.to_str().unwrap();
    Arguments::parse_from(["page", "--preset", "smoke", "--quiet", "--out", folder])
        .open("page")
        .unwrap()
        .unwrap()
}

#[test]
fn every_snippet_of_the_page_stands_here() {
    let squeeze = |text: &str| text.split_whitespace().collect::<String>();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/write_an_ablation.md")).unwrap();
    let binary = root.join("experiments/src/bin/kappa_ablation.rs");
    let compiled = squeeze(include_str!("ablation_page.rs"))
        + &squeeze(&std::fs::read_to_string(binary).unwrap());
    let snippets: Vec<&str> = page.split("```rust\n").skip(1).collect();
    assert_eq!(snippets.len(), 8);
    for snippet in snippets {
        let snippet = snippet.split("```").next().unwrap();
        // The compiler wants a comma where a line was broken, and none where it was not.
        let bare = |text: &str| text.replace(',', "");
        assert!(
            bare(&compiled).contains(&bare(&squeeze(snippet))),
            "{snippet}"
        );
    }
}
