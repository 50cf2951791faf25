//! A run that looks at held-out texts, stops when they get no better, and can be killed.

use burn::tensor::Device;
use extracot_core::Seed;
use extracot_models::TokenClassifier;
use serde::{Deserialize, Serialize};

use super::held_out::{HeldOut, HeldOutQuality};
use super::{CompressorConfig, KeepExample, Steps};
use crate::TrainError;
use crate::checkpoints::{Checkpoints, RunControl, module_bytes};
use crate::metrics::{MetricRow, MetricSink};

/// The stage name of its metric rows.
const STAGE: &str = "compressor";

const MODEL: &str = "model.bpk";
const BEST: &str = "best.bpk";
const OPTIMIZER: &str = "optimizer.bpk";

/// Where a run stands, beside weights and optimizer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RunState {
    /// Steps taken.
    n_steps: usize,
    /// The best look at held-out texts so far.
    best: Option<BestLook>,
    /// Looks since then.
    n_since_best: usize,
}

/// A look at held-out texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct BestLook {
    /// Steps taken before it.
    n_steps: usize,
    /// What it showed.
    quality: HeldOutQuality,
}

/// Training of a compressor from its first step, or from the last state in its folder, to its end.
///
/// The weights that come out are those with the best macro-F1 on the held-out texts, the earlier of
/// equal ones; without held-out texts they are the last. A run that was killed and goes on gives the
/// same bytes as one that was not.
#[derive(Debug)]
pub struct CompressorRun<'a> {
    /// What is trained on.
    pub examples: &'a [KeepExample],
    /// Steps, loss and optimizer.
    pub config: &'a CompressorConfig,
    /// The device, with autodiff.
    pub device: &'a Device,
    /// Root of the order of the examples.
    pub seed: Seed,
    /// What is judged by.
    pub held_out: Option<HeldOut<'a>>,
    /// Makes the run one that can be gone on with.
    pub control: Option<RunControl<'a>>,
}

/// What a run leaves.
#[derive(Debug, Clone)]
pub struct TrainedCompressor<C> {
    /// The classifier, without autodiff.
    pub model: C,
    /// Steps taken.
    pub n_steps: usize,
    /// Steps after which the classifier was what it is.
    pub n_best_steps: usize,
    /// Its quality on the held-out texts, if there are any.
    pub quality: Option<HeldOutQuality>,
}

impl CompressorRun<'_> {
    /// Trains `model`, which is on the device with autodiff, and tells `sink` every step: the
    /// optimizer's numbers, and those of a look at the held-out texts after it.
    ///
    /// # Errors
    ///
    /// As [`super::train_compressor`]; held-out texts that cannot be scored; files that cannot be
    /// written or read; what `sink` fails with; [`TrainError::Stopped`].
    ///
    /// # Panics
    ///
    /// As [`super::train_compressor`].
    pub fn train<C: TokenClassifier + Sync>(
        &self,
        mut model: C,
        sink: &mut dyn MetricSink,
    ) -> Result<TrainedCompressor<C>, TrainError> {
        let mut steps = Steps::try_new(self.examples, self.config, self.device, self.seed)?;
        if let Some(held_out) = &self.held_out {
            held_out.check()?;
        }
        let mut state = RunState::default();
        let mut best_model = None;
        if let Some(control) = &self.control {
            control.checkpoints.check()?;
            if let Some(saved) = control.checkpoints.find()?.newest {
                state = saved.state()?;
                steps = steps.after(state.n_steps, saved.bytes(OPTIMIZER)?)?;
                best_model = match state.best {
                    Some(_) => Some(saved.module(BEST, model.valid())?),
                    None => None,
                };
                model = saved.module(MODEL, model)?;
            }
        }
        while state.n_steps < self.config.n_steps && !self.is_exhausted(&state) {
            let (next, stats) = steps.step(model)?;
            model = next;
            let mut row = MetricRow::of_step(STAGE, state.n_steps, &stats);
            state.n_steps += 1;
            if let Some(held_out) = &self.held_out
                && held_out.is_due(state.n_steps, self.config.n_steps)
            {
                let current = model.valid();
                let quality = held_out.evaluate(&current)?;
                row.metrics.extend(quality.metrics());
                if take_look(&mut state, quality) {
                    best_model = Some(current);
                }
            }
            sink.record(&row)?;
            if let Some(control) = &self.control {
                control.after_step(state.n_steps, |checkpoints| {
                    save(checkpoints, &state, &model, best_model.as_ref(), &steps)
                })?;
            }
        }
        Ok(TrainedCompressor {
            model: best_model.unwrap_or_else(|| model.valid()),
            n_steps: state.n_steps,
            n_best_steps: state.best.map_or(state.n_steps, |best| best.n_steps),
            quality: state.best.map(|best| best.quality),
        })
    }

    /// Whether the held-out texts got no better for too long.
    fn is_exhausted(&self, state: &RunState) -> bool {
        let patience = self.held_out.as_ref().map_or(0, |h| h.config.patience);
        patience > 0 && state.n_since_best >= patience
    }
}

fn save<C: TokenClassifier>(
    checkpoints: &Checkpoints,
    state: &RunState,
    model: &C,
    best_model: Option<&C>,
    steps: &Steps<'_>,
) -> Result<(), TrainError> {
    let (weights, moments) = (module_bytes(model)?, steps.updater.state()?);
    let best = best_model.map(module_bytes).transpose()?;
    let mut parts: Vec<(&str, &[u8])> = vec![(MODEL, &weights), (OPTIMIZER, &moments)];
    parts.extend(best.as_ref().map(|best| (BEST, &best[..])));
    checkpoints.save(state.n_steps, state, &parts)
}

/// Whether a look is the best so far.
fn take_look(state: &mut RunState, quality: HeldOutQuality) -> bool {
    let macro_f1 = |quality: &HeldOutQuality| quality.free.macro_f1();
    let is_best = state
        .best
        .is_none_or(|best| macro_f1(&quality) > macro_f1(&best.quality));
    if is_best {
        let n_steps = state.n_steps;
        state.best = Some(BestLook { n_steps, quality });
        state.n_since_best = 0;
    } else {
        state.n_since_best += 1;
    }
    is_best
}
