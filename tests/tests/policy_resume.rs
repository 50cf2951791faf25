//! Reinforcement learning that is killed, stopped, replayed, or computed on few logits at a time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::cell::Cell;

use burn::module::Module;
use common::policy_table::{Way, chrpo, chrpo_reward, config, run_by, uneven_table};
use extracot_core::advantage::GroupNormalized;
use extracot_core::reward::HierarchicalReward;
use extracot_core::{CoreError, RecordedRollout, ReplayEngine, Seed};
use extracot_models::BigramLm;
use extracot_train::TrainError;
use extracot_train::checkpoints::{Checkpoints, RunControl};
use extracot_train::objective::Chrpo;
use extracot_train::policy_trainer::{
    PolicyAlgorithm, PolicyConfig, PolicyStepReport, RolloutSource, TrainedPolicy,
};

const SAMPLED: RolloutSource<'_> = RolloutSource::Sampled { keeps_tokens: true };

/// Two updates per step, and draws that are more than the steps.
fn settings() -> PolicyConfig {
    PolicyConfig {
        extra_rounds: 2,
        updates_per_step: 2,
        ..config(11, 4, 2, 2)
    }
}

fn algorithm<'a>(reward: &'a HierarchicalReward, objective: &'a Chrpo) -> PolicyAlgorithm<'a> {
    PolicyAlgorithm {
        reward,
        estimator: &GroupNormalized,
        objective,
    }
}

/// A run that fails behind `n_reports` reports, with what it reported.
fn run(
    config: &PolicyConfig,
    way: Way<'_>,
    n_reports: usize,
) -> (
    Result<TrainedPolicy<BigramLm>, TrainError>,
    Vec<PolicyStepReport>,
) {
    let (reward, objective) = (chrpo_reward(), chrpo(0.1));
    let mut reports = vec![];
    let report = |step| {
        if reports.len() == n_reports {
            let (what, message) = ("report", "killed".to_owned());
            return Err(CoreError::Scorer { what, message }.into());
        }
        reports.push(step);
        Ok(())
    };
    let algorithm = algorithm(&reward, &objective);
    let trained = run_by(&algorithm, &uneven_table(), config, (Seed(3), way), report);
    (trained, reports)
}

fn weights(model: &BigramLm) -> Vec<u32> {
    let data = model.table.val().into_data();
    data.iter::<f32>().map(f32::to_bits).collect()
}

fn way<'a>(control: Option<RunControl<'a>>) -> Way<'a> {
    Way {
        source: SAMPLED,
        control,
        validates: true,
    }
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let config = settings();
    let (whole, reports) = run(&config, way(None), usize::MAX);
    let whole = whole.unwrap();
    assert_eq!(reports.len(), 11);
    let looks: Vec<usize> = reports
        .iter()
        .filter(|step| step.metrics.contains_key("validation/reward_main_mean"))
        .map(|step| step.step + 1)
        .collect();
    assert_eq!(looks, [3, 6, 9, 11]);
    assert!(whole.n_steps <= 11 && whole.validation_reward.is_some());

    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints {
        folder: folder.path().join("states"),
        every: 2,
        keep_last: 2,
    };
    let control = RunControl {
        checkpoints: &checkpoints,
        should_stop: &|| false,
    };
    // Killed before the first state, between states, at once, and again and again.
    let mut n_done = 0;
    for n_reports in [1, 2, 0, 3, 5, 100] {
        let (trained, again) = run(&config, way(Some(control)), n_reports);
        for (found, expected) in again.iter().zip(&reports[n_done..]) {
            assert_eq!(found.metrics, expected.metrics, "step {}", found.step);
            assert_eq!(found.rollouts, expected.rollouts);
        }
        let newest = checkpoints.find().unwrap().newest;
        n_done = newest.map_or(0, |state| state.n_steps);
        match trained {
            Ok(trained) => {
                assert_eq!(weights(&trained.model), weights(&whole.model));
                assert_eq!(trained.n_steps, whole.n_steps);
                assert_eq!(trained.validation_reward, whole.validation_reward);
            }
            Err(_) => assert!(n_reports < 100),
        }
    }
    assert_eq!(n_done, 10);

    // The newest state is damaged: the one before it gives the same end.
    let model = checkpoints.folder.join("step-00000010/model.bpk");
    let mut bytes = std::fs::read(&model).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&model, bytes).unwrap();
    let (trained, again) = run(&config, way(Some(control)), usize::MAX);
    assert_eq!(again.len(), 3);
    assert_eq!(weights(&trained.unwrap().model), weights(&whole.model));
}

#[test]
fn a_run_that_is_asked_to_stop_keeps_its_state() {
    let config = settings();
    let (whole, _) = run(&config, way(None), usize::MAX);
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints {
        folder: folder.path().join("states"),
        every: 100,
        keep_last: 1,
    };
    let n_looks = Cell::new(0);
    let control = RunControl {
        checkpoints: &checkpoints,
        should_stop: &|| {
            n_looks.set(n_looks.get() + 1);
            n_looks.get() == 5
        },
    };
    let (stopped, reports) = run(&config, way(Some(control)), usize::MAX);
    assert!(matches!(stopped, Err(TrainError::Stopped { n_steps: 5 })));
    assert_eq!(reports.len(), 5);
    let (trained, reports) = run(&config, way(Some(control)), usize::MAX);
    assert_eq!(reports.len(), 6);
    assert_eq!(
        weights(&trained.unwrap().model),
        weights(&whole.unwrap().model)
    );
}

#[test]
fn recorded_rollouts_train_the_model_that_recorded_them() {
    let config = settings();
    let (whole, reports) = run(&config, way(None), usize::MAX);
    // As a file of JSON lines.
    let rows = reports.iter().flat_map(|step| &step.rollouts);
    let rows: Vec<RecordedRollout> = rows
        .map(|row| serde_json::from_str(&serde_json::to_string(row).unwrap()).unwrap())
        .collect();
    let replayed = |rows: Vec<RecordedRollout>| {
        let engine = ReplayEngine::try_new(rows).unwrap();
        let way = Way {
            source: RolloutSource::Replayed(&engine),
            ..way(None)
        };
        let (trained, reports) = run(&config, way, usize::MAX);
        trained.map(|trained| (weights(&trained.model), reports))
    };
    let (found, again) = replayed(rows.clone()).unwrap();
    assert_eq!(found, weights(&whole.unwrap().model));
    for (found, expected) in again.iter().zip(&reports) {
        assert_eq!(found.metrics, expected.metrics);
        assert_eq!(found.rollouts, expected.rollouts);
    }
    // Other rollouts train another model; too few are an error.
    let mut turned = rows.clone();
    turned[0].rollout.token_ids[0] = turned[0].rollout.token_ids[0].wrapping_add(1) % 5;
    assert_ne!(replayed(turned).unwrap().0, found);
    let error = replayed(rows[..40].to_vec()).unwrap_err().to_string();
    assert!(error.contains("2 samples are wanted"), "{error}");
}

#[test]
fn few_logits_at_a_time_give_the_same_update() {
    let plain = config(3, 5, 4, 3);
    let values = |config: &PolicyConfig| {
        let (trained, reports) = run(config, way(None), usize::MAX);
        let data = trained.unwrap().model.valid().table.val().into_data();
        let losses: Vec<f64> = reports.iter().map(|r| r.metrics["optim/loss"]).collect();
        (data.iter::<f32>().collect::<Vec<_>>(), losses)
    };
    for temperature in [1.0, 1.3] {
        let plain = PolicyConfig {
            temperature,
            ..plain
        };
        let (table, losses) = values(&plain);
        for chunk in [1, 7, 1000] {
            let chunked = PolicyConfig {
                logits_chunk: std::num::NonZeroUsize::new(chunk),
                ..plain
            };
            let (found, of_chunks) = values(&chunked);
            for (found, expected) in found.iter().zip(&table) {
                assert!(
                    (found - expected).abs() < 2e-5,
                    "{chunk}: {found} {expected}"
                );
            }
            for (found, expected) in of_chunks.iter().zip(&losses) {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{chunk}: {found} {expected}"
                );
            }
        }
    }
}
