use super::*;
use extracot_models::BigramLm;

fn config(ema_decay: f64) -> SftConfig {
    SftConfig {
        n_steps: 40,
        batch_size: 4,
        n_shards: 2,
        ema_decay,
        logits_chunk: None,
        row_tokens: None,
        update: UpdateConfig {
            learning_rate: 0.1,
            warmup_steps: 2,
            final_rate_share: 0.1,
            weight_decay: 0.0,
            decay_embeddings: true,
            beta_1: 0.9,
            beta_2: 0.98,
            clip_norm: 1.0,
        },
    }
}

/// Completions of 1 to 4 tokens that count upwards.
fn draw(ExampleDraw { seed, .. }: ExampleDraw) -> Result<SftExample, TrainError> {
    let n_tokens = 1 + seed.0 % 4;
    Ok(SftExample {
        problem_id: "p".to_owned(),
        control: None,
        level: None,
        prompt_ids: vec![0],
        completion_ids: (1..=n_tokens as u32).collect(),
    })
}

/// The losses of all steps, and the loss of the model that comes out.
fn losses(config: &SftConfig) -> Result<(Vec<f64>, f64), TrainError> {
    let device = Device::flex().autodiff();
    let model = BigramLm::new(&vec![vec![0.0; 6]; 6], &device);
    let mut losses = Vec::new();
    let model = train_sft(model, config, &device, Seed(5), draw, |_, stats| {
        losses.push(stats.loss);
        Ok(())
    })?;
    let once = SftConfig {
        n_steps: 1,
        ema_decay: 0.0,
        ..*config
    };
    let mut after = 0.0;
    train_sft(model, &once, &device, Seed(6), draw, |_, stats| {
        after = stats.loss;
        Ok(())
    })?;
    Ok((losses, after))
}

#[test]
fn learns_to_count() {
    let (losses, after) = losses(&config(0.0)).unwrap();
    // Six tokens are equally likely at first. What stays is not known: where the counting ends
    // is not part of the completion.
    assert!((losses[0] - 6.0_f64.ln()).abs() < 1e-4, "{}", losses[0]);
    assert!(after < 0.2, "{after}");
}

#[test]
fn an_average_of_the_weights_comes_out_where_it_is_asked_for() {
    let (of_steps, last) = losses(&config(0.0)).unwrap();
    let (of_averaged, averaged) = losses(&config(0.9)).unwrap();
    // The steps are the same; the average lags behind.
    assert_eq!(of_steps, of_averaged);
    assert!(
        averaged > last && averaged < of_steps[0],
        "{averaged} {last}"
    );
}

#[test]
fn chunks_and_packed_rows_train_the_same_model() {
    let plain = losses(&config(0.0)).unwrap();
    let lean = SftConfig {
        logits_chunk: NonZeroUsize::new(3),
        row_tokens: NonZeroUsize::new(5),
        ..config(0.0)
    };
    let lean = losses(&lean).unwrap();
    for (lean, plain) in lean.0.iter().zip(&plain.0) {
        assert!((lean - plain).abs() < 1e-4, "{lean} {plain}");
    }
    assert_ne!(lean, plain);
}

#[test]
fn settings_without_sense_are_refused_by_key() {
    for (config, key) in [
        (config(1.0), "ema_decay"),
        (config(f64::NAN), "ema_decay"),
        (
            SftConfig {
                batch_size: 0,
                ..config(0.0)
            },
            "batch_size",
        ),
    ] {
        let error = losses(&config).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

/// An average of the weights, held-out examples, and a draw that depends on everything it may.
fn run(
    control: Option<RunControl<'_>>,
    n_reports: usize,
) -> (Result<TrainedSft<BigramLm>, TrainError>, Vec<SftStepReport>) {
    let device = Device::flex().autodiff();
    let model = BigramLm::new(&vec![vec![0.0; 6]; 6], &device);
    let held_out = (0..7).map(|i| draw(ExampleDraw::of_run(i, &config(0.0), Seed(9))));
    let held_out: Vec<SftExample> = held_out.map(Result::unwrap).collect();
    let config = SftConfig {
        n_steps: 13,
        ..config(0.9)
    };
    let run = SftRun {
        config: &config,
        device: &device,
        seed: Seed(5),
        held_out: Some(HeldOutExamples {
            examples: &held_out,
            every: 4,
        }),
        control,
    };
    let of_everything = |of: ExampleDraw| {
        let mut example = draw(of)?;
        if of.progress > 0.5 || of.index.is_multiple_of(3) {
            example.completion_ids.push(5);
        }
        Ok(example)
    };
    let mut reports = vec![];
    let trained = run.train(model, of_everything, |step| {
        if reports.len() == n_reports {
            let (what, message) = ("report", "killed".to_owned());
            return Err(CoreError::Scorer { what, message }.into());
        }
        reports.push(*step);
        Ok(())
    });
    (trained, reports)
}

fn weights(model: &BigramLm) -> Vec<u32> {
    let data = model.table.val().into_data();
    data.iter::<f32>().map(f32::to_bits).collect()
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let (whole, reports) = run(None, usize::MAX);
    let whole = whole.unwrap();
    let looks = reports.iter().filter(|step| step.held_out_loss.is_some());
    let looks: Vec<usize> = looks.map(|step| step.step + 1).collect();
    assert_eq!(looks, [4, 8, 12, 13]);
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints {
        folder: folder.path().join("states"),
        every: 3,
        keep_last: 2,
    };
    let control = RunControl {
        checkpoints: &checkpoints,
        should_stop: &|| false,
    };
    let mut n_done = 0;
    for n_reports in [2, 4, 0, 8, 100] {
        let (trained, again) = run(Some(control), n_reports);
        assert_eq!(again[..], reports[n_done..][..again.len()]);
        let newest = checkpoints.find().unwrap().newest;
        n_done = newest.map_or(0, |state| state.n_steps);
        match trained {
            Ok(trained) => {
                assert_eq!(weights(&trained.model), weights(&whole.model));
                assert_eq!(trained.held_out_loss, whole.held_out_loss);
                assert_eq!(trained.n_steps, whole.n_steps);
            }
            Err(_) => assert!(n_reports < 100),
        }
    }
    assert_eq!(n_done, 12);
}

#[test]
fn the_weights_with_the_lowest_held_out_loss_come_out() {
    let (trained, reports) = run(None, usize::MAX);
    let trained = trained.unwrap();
    let looks = reports.iter().filter_map(|step| step.held_out_loss);
    let lowest = looks.fold(f64::INFINITY, f64::min);
    assert_eq!(trained.held_out_loss, Some(lowest));
    assert_eq!(reports[trained.n_steps - 1].held_out_loss, Some(lowest));
}
