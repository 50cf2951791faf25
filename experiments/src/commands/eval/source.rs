//! Where samples come from: a model folder or an endpoint.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use extracot_core::{Problem, SamplingParams, Seed};
use serde::{Deserialize, Serialize};

use crate::commands::asked::Asked;
use crate::sweep::Prediction;

/// What is sampled at every level. Samples are numbered through all problems: sample `s` of problem
/// `p` has the place `p * n_samples + s`.
#[derive(Debug)]
pub(super) struct Task<'a> {
    pub(super) problems: &'a [Problem],
    pub(super) params: SamplingParams,
    pub(super) seed: Seed,
    pub(super) quiet: bool,
}

impl Task<'_> {
    /// Samples of a level.
    pub(super) fn n_places(&self) -> usize {
        self.problems.len() * self.params.group_size
    }

    /// Problem and sample of a place.
    pub(super) fn of_place(&self, place: usize) -> (usize, usize) {
        (
            place / self.params.group_size,
            place % self.params.group_size,
        )
    }
}

/// Takes judged samples with their places and keeps them.
pub(super) type Take<'a> = dyn FnMut(Vec<(usize, Prediction)>) -> Result<()> + Send + 'a;

/// Samples of one problem set at one level after another.
///
/// An implementor gives the same sample for the same place, settings and weights, whatever else is
/// open. An endpoint gives what it gives.
pub(super) trait SampleSource {
    /// What prompts of a level are made of, for their hash.
    ///
    /// # Errors
    ///
    /// If a problem has no prompt at this level, by its id.
    fn prompts(&self, asked: Asked) -> Result<Vec<String>>;

    /// Samples the places of a level that are open.
    ///
    /// # Errors
    ///
    /// What `take` fails with, and whatever would fail for every sample. A failure of one sample is
    /// counted.
    fn sample(&self, asked: Asked, open: &[usize], take: &mut Take<'_>) -> Result<Failures>;

    /// Completes the prompt of the problem alone, first to one token, then whole.
    ///
    /// # Errors
    ///
    /// If one of the two fails.
    fn time_alone(&self, asked: Asked, problem_idx: usize) -> Result<TimedAlone>;

    /// A kept sample as this build sees its text.
    ///
    /// # Errors
    ///
    /// If its tokens cannot be counted.
    fn seen_again(&self, asked: Asked, place: usize, kept: Prediction) -> Result<Prediction>;

    /// Tokens of a completion's text in the unit of think tokens, where total tokens are counted by
    /// somebody else.
    fn count(&self, text: &str) -> Option<usize>;

    /// How samples run side by side, in words.
    fn side_by_side(&self) -> String;
}

/// Samples that are still open, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failures {
    /// Samples by reason.
    pub(super) by_reason: BTreeMap<String, Failure>,
    /// The reason and the message of every sample.
    #[serde(skip)]
    pub(super) by_place: BTreeMap<usize, (String, String)>,
    /// Why sampling stopped before the end, if it did.
    pub(super) stopped_by: Option<String>,
}

/// Samples that failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) n: usize,
    /// The problem of the first one.
    pub(super) first: String,
    /// The message of the first one.
    pub(super) message: String,
}

impl Failures {
    /// Counts a sample that is still open.
    pub(super) fn add(&mut self, task: &Task<'_>, place: usize, reason: &str, message: &str) {
        let entry = self.by_reason.entry(reason.to_owned());
        let failure = entry.or_insert_with(|| Failure {
            n: 0,
            first: task.problems[task.of_place(place).0].id.clone(),
            message: message.to_owned(),
        });
        failure.n += 1;
        let why = (reason.to_owned(), message.to_owned());
        self.by_place.insert(place, why);
    }

    /// Why sampling stopped, or what became of the first sample of a reason.
    pub(super) fn example(&self) -> Option<String> {
        let first = || {
            let (reason, failure) = self.by_reason.first_key_value()?;
            let (id, message) = (&failure.first, &failure.message);
            Some(format!("problem `{id}`, {reason}: {message}"))
        };
        self.stopped_by.clone().or_else(first)
    }
}

/// Times of one completion that had the model to itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimedAlone {
    /// A completion of one token.
    pub(super) first_token: Duration,
    /// The whole completion, sent after that one.
    pub(super) whole: Duration,
    /// Tokens of the whole completion.
    pub(super) n_tokens: usize,
}
