//! The best look at data that are not trained on, and the weights of then.

use burn::module::Module;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::checkpoints::{SavedState, module_bytes};

/// The weights' file in a state.
pub(crate) const BEST: &str = "best.bpk";

/// When looks at held-out data are due: every so many steps, and after the last.
pub(crate) fn is_due(every: usize, n_steps: usize, n_all: usize) -> bool {
    n_steps == n_all || (every > 0 && n_steps.is_multiple_of(every))
}

/// A look with its score: the higher the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BestLook {
    /// Steps taken before it.
    pub(crate) n_steps: usize,
    /// The bits of its score: as a decimal number JSON may give another one back.
    score_bits: u64,
}

impl BestLook {
    /// Its score.
    pub(crate) fn score(self) -> f64 {
        f64::from_bits(self.score_bits)
    }
}

/// The best look so far, the earlier of equal ones.
#[derive(Debug)]
pub(crate) struct Best<M> {
    pub(crate) look: Option<BestLook>,
    model: Option<M>,
}

impl<M: Module> Best<M> {
    pub(crate) fn none() -> Self {
        Self {
            look: None,
            model: None,
        }
    }

    /// As a state has it; `model` is the form of the weights.
    pub(crate) fn load(
        look: Option<BestLook>,
        saved: &SavedState,
        model: &M,
    ) -> Result<Self, TrainError> {
        let model = match look {
            Some(_) => Some(saved.module(BEST, model.clone())?),
            None => None,
        };
        Ok(Self { look, model })
    }

    /// Hears of a look at `model`; `what` names the score.
    ///
    /// # Errors
    ///
    /// [`TrainError::NonFiniteLook`]: nothing would be better or worse than it.
    pub(crate) fn hear(
        &mut self,
        (n_steps, score): (usize, f64),
        what: &'static str,
        model: M,
    ) -> Result<(), TrainError> {
        if !score.is_finite() {
            return Err(TrainError::NonFiniteLook { what, n_steps });
        }
        if self.look.is_none_or(|best| score > best.score()) {
            let score_bits = score.to_bits();
            self.look = Some(BestLook {
                n_steps,
                score_bits,
            });
            self.model = Some(model);
        }
        Ok(())
    }

    /// The weights for a state, if there are some.
    pub(crate) fn bytes(&self) -> Result<Option<Bytes>, TrainError> {
        self.model.as_ref().map(module_bytes).transpose()
    }

    /// The weights, or others if nothing was looked at.
    pub(crate) fn into_model_or(self, otherwise: impl FnOnce() -> M) -> M {
        self.model.unwrap_or_else(otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use extracot_models::BigramLm;

    #[test]
    fn the_earlier_of_equal_looks_stays_also_when_it_was_written_and_read() {
        let model = || BigramLm::new(&[vec![0.0]], &Device::flex());
        // A number that serde_json reads back in another last bit.
        let score = 0.102_791_613_100_741_59;
        let mut best = Best::none();
        best.hear((3, score), "score", model()).unwrap();
        let text = serde_json::to_string(&best.look).unwrap();
        best.look = serde_json::from_str(&text).unwrap();
        best.hear((6, score), "score", model()).unwrap();
        let look = best.look.unwrap();
        assert_eq!((look.n_steps, look.score()), (3, score));
        best.hear((9, score.next_up()), "score", model()).unwrap();
        assert_eq!(best.look.unwrap().n_steps, 9);
    }

    #[test]
    fn a_look_that_is_no_number_stops() {
        let model = BigramLm::new(&[vec![0.0]], &Device::flex());
        let error = Best::none().hear((3, f64::NAN), "the loss", model);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("the loss") && error.contains("step 3"),
            "{error}"
        );
    }
}
