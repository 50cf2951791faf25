//! One level after another: samples that are missing, then times.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use extracot_core::jsonl::{read_jsonl, write_jsonl};
use extracot_models::checkpoint::save_json;

use super::run_folder::PREDICTIONS;
use super::source::{Failures, SampleSource, Task};
use super::timing::{of_samples, time_alone};
use crate::commands::asked::Asked;
use crate::commands::partial::PartialOutput;
use crate::sweep::{Prediction, Timing};

const TIMING: &str = "timing.json";

/// A level with all its samples.
#[derive(Debug)]
pub(super) struct FinishedLevel {
    pub(super) asked: Asked,
    pub(super) folder: PathBuf,
    pub(super) predictions: Vec<Prediction>,
    pub(super) timing: Timing,
}

/// What became of a sweep.
#[derive(Debug, Default)]
pub(super) struct Swept {
    pub(super) finished: Vec<FinishedLevel>,
    /// Levels with samples that are still open, those of finished levels included.
    pub(super) failures: BTreeMap<String, Failures>,
}

impl Swept {
    /// Samples that are still open, by reason over all levels.
    pub(super) fn open(&self) -> BTreeMap<&str, usize> {
        let mut open = BTreeMap::new();
        for (reason, failure) in self.failures.values().flat_map(|f| &f.by_reason) {
            *open.entry(reason.as_str()).or_insert(0) += failure.n;
        }
        open
    }

    /// What happened first: why asking stopped, if it did.
    pub(super) fn example(&self) -> Option<String> {
        let stopped = self.failures.values().find(|f| f.stopped_by.is_some());
        let failures = stopped.or_else(|| self.failures.values().next())?;
        failures.example()
    }
}

/// A sweep in a run folder.
pub(super) struct Sweep<'a> {
    pub(super) out: &'a Path,
    /// Names everything that samples depend on.
    pub(super) key: &'a str,
    pub(super) task: &'a Task<'a>,
    pub(super) source: &'a dyn SampleSource,
    /// Prompts that are timed one by one.
    pub(super) n_timed: usize,
    /// Whether samples may be there from an earlier build.
    pub(super) is_resumed: bool,
    /// Whether samples whose requests failed end as failures.
    pub(super) accept_open: bool,
}

impl Sweep<'_> {
    /// Samples every level. A level whose samples are all there is not sampled again.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or written, or no sample of a level can be taken.
    pub(super) fn run(&self, levels: &[Asked]) -> Result<Swept> {
        let mut swept = Swept::default();
        let mut stopped_by: Option<String> = None;
        for asked in levels {
            let failures = match self.is_finished(*asked)? {
                true => Failures::default(),
                false => match &stopped_by {
                    Some(why) => self.not_asked(*asked, why)?,
                    None => self.sample(*asked)?,
                },
            };
            stopped_by = stopped_by.or_else(|| failures.stopped_by.clone());
            if failures.by_reason.is_empty() || self.accepts(&failures) {
                swept.finished.push(self.finished(*asked)?);
            }
            if !failures.by_reason.is_empty() {
                swept.failures.insert(asked.to_string(), failures);
            }
        }
        Ok(swept)
    }

    fn folder(&self, asked: Asked) -> PathBuf {
        self.out.join(asked.to_string())
    }

    /// Whether every sample is there. Those that were accepted as open are tried again.
    fn is_finished(&self, asked: Asked) -> Result<bool> {
        let path = self.folder(asked).join(PREDICTIONS);
        if !path.is_file() {
            return Ok(false);
        }
        let predictions: Vec<Prediction> = read_jsonl(&path)?;
        Ok(!predictions.iter().any(Prediction::is_open))
    }

    /// Whether these samples are to end as failures. Where asking stopped, nobody knows what the others
    /// would have been.
    fn accepts(&self, failures: &Failures) -> bool {
        self.accept_open && failures.stopped_by.is_none() && !failures.by_place.is_empty()
    }

    fn partial(&self, asked: Asked) -> Result<PartialOutput<Prediction>> {
        let folder = self.folder(asked);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        PartialOutput::open(&folder.join(PREDICTIONS), self.key)
    }

    /// Samples of a level that are open because asking stopped before.
    fn not_asked(&self, asked: Asked, why: &str) -> Result<Failures> {
        let partial = self.partial(asked)?;
        let mut failures = Failures::default();
        for place in (0..self.task.n_places()).filter(|place| !partial.has(*place)) {
            failures.add(self.task, place, "not_asked", why);
        }
        failures.stopped_by = Some(why.to_owned());
        Ok(failures)
    }

    fn sample(&self, asked: Asked) -> Result<Failures> {
        let mut partial = self.partial(asked)?;
        let open: Vec<usize> = (0..self.task.n_places())
            .filter(|place| !partial.has(*place))
            .collect();
        let (mut n_samples, mut n_tokens) = (0, 0);
        let started = Instant::now();
        let failures = match open.is_empty() {
            true => Failures::default(),
            false => self.source.sample(asked, &open, &mut |samples| {
                n_samples += samples.len();
                n_tokens += samples.iter().map(|(_, s)| s.total_tokens).sum::<usize>();
                partial.keep(samples)
            })?,
        };
        let wall = started.elapsed();
        let counts = (n_samples, n_tokens);
        let folder = self.folder(asked);
        let write = |predictions: &[Prediction]| {
            let timing = of_samples(counts, wall, self.source, predictions)?;
            save_json(&timing, &folder.join(TIMING))?;
            Ok(write_jsonl(&folder.join(PREDICTIONS), predictions)?)
        };
        if self.accepts(&failures) {
            // What was answered stays beside it, so that another run can ask for the rest.
            let sample = |place| match (partial.get(place), failures.by_place.get(&place)) {
                (Some(sample), _) => Ok(sample.clone()),
                (None, Some((reason, message))) => {
                    Ok(self.open(asked, place, &format!("{reason}: {message}")))
                }
                (None, None) => bail!("level {asked}: nothing became of sample {place}"),
            };
            let samples: Vec<Prediction> = (0..self.task.n_places())
                .map(sample)
                .collect::<Result<_>>()?;
            write(&samples)?;
        } else if failures.by_reason.is_empty() {
            if partial.n_rows() != self.task.n_places() {
                bail!(
                    "level {asked}: {} samples of {}",
                    partial.n_rows(),
                    self.task.n_places()
                );
            }
            partial.finish(write)?;
        }
        Ok(failures)
    }

    fn open(&self, asked: Asked, place: usize, reason: &str) -> Prediction {
        let (problem_idx, sample_idx) = self.task.of_place(place);
        let problem = &self.task.problems[problem_idx];
        let limit = self.task.params.max_new_tokens;
        Prediction::open(problem, sample_idx, asked.0, (reason, limit))
    }

    /// The kept samples of a level as this build sees them: one rule for all of them.
    fn seen_again(&self, asked: Asked, kept: &[Prediction]) -> Result<Vec<Prediction>> {
        let seen = kept
            .iter()
            .enumerate()
            .map(|(place, sample)| match sample.is_open() {
                true => Ok(sample.clone()),
                false => self.source.seen_again(asked, place, sample.clone()),
            });
        let seen: Vec<Prediction> = seen.collect::<Result<_>>()?;
        let n_changed = kept.iter().zip(&seen).filter(|(a, b)| a != b).count();
        let n_verdicts = kept.iter().zip(&seen);
        let n_verdicts = n_verdicts.filter(|(a, b)| a.verdict != b.verdict).count();
        if n_changed > 0 {
            eprintln!(
                "warning: level {asked}: by the rules of this build {n_verdicts} of {} verdicts are \
                 others than those kept, and {n_changed} samples in some field",
                kept.len()
            );
            write_jsonl(&self.folder(asked).join(PREDICTIONS), &seen)?;
        }
        Ok(seen)
    }

    /// Reads a finished level, and times it if that was not done.
    fn finished(&self, asked: Asked) -> Result<FinishedLevel> {
        let folder = self.folder(asked);
        let path = folder.join(PREDICTIONS);
        let mut predictions: Vec<Prediction> = read_jsonl(&path)?;
        let is_whole = predictions.len() == self.task.n_places()
            && predictions.iter().enumerate().all(|(place, sample)| {
                let (problem_idx, sample_idx) = self.task.of_place(place);
                let problem = &self.task.problems[problem_idx];
                (&sample.id, sample.sample_idx) == (&problem.id, sample_idx)
            });
        if !is_whole {
            bail!(
                "{} does not hold the {} samples of this run in order; remove it to sample again",
                path.display(),
                self.task.n_places()
            );
        }
        if self.is_resumed {
            predictions = self.seen_again(asked, &predictions)?;
        }
        // A run that was killed right after it wrote the samples leaves what they were made from.
        let unfinished = folder.join(format!("{PREDICTIONS}.unfinished"));
        if unfinished.exists() && !predictions.iter().any(Prediction::is_open) {
            std::fs::remove_file(&unfinished)
                .with_context(|| format!("cannot remove {}", unfinished.display()))?;
        }
        let timing_path = folder.join(TIMING);
        let place = timing_path.display();
        let text = std::fs::read_to_string(&timing_path)
            .with_context(|| format!("cannot read {place}"))?;
        let mut timing: Timing =
            serde_json::from_str(&text).with_context(|| format!("{place} does not parse"))?;
        if timing.alone.is_none() && self.n_timed > 0 {
            let (alone, failure) = time_alone(self.source, self.task, asked, self.n_timed)?;
            (timing.alone, timing.alone_failure) = (alone, failure);
            if let Some(message) = &timing.alone_failure {
                eprintln!(
                    "warning: level {asked}: a completion could not be timed alone: {message}"
                );
            }
            save_json(&timing, &timing_path)?;
        }
        Ok(FinishedLevel {
            asked,
            folder,
            predictions,
            timing,
        })
    }
}
