//! Labels by an annotator that needs no network.

use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use extracot_core::{Annotator, CoreError, KeepLabels};
use serde::{Deserialize, Serialize};

use super::job::{Job, Labeling, NoLabels};
use crate::commands::partial::PartialOutput;
use crate::config::content_hash;
use crate::progress::Progress;

/// Time after which what is done is kept: some annotators take minutes for a trace, others label
/// thousands in a second.
const KEEP_EVERY: Duration = Duration::from_secs(2);

/// What became of one trace.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Labels(KeepLabels),
    Unlabeled(NoLabels),
}

/// Labels the traces that are open.
///
/// `depends_on` stands for whatever the annotator itself was made from. A trace that the annotator
/// has nothing for, or that its model has no room for, is counted by reason.
///
/// # Errors
///
/// By file and line if what the annotator goes by does not fit a trace, or its model or device fails:
/// what is done by then is kept. If a file cannot be written.
pub(super) fn label(annotator: &dyn Annotator, depends_on: &str, job: &Job) -> Result<Labeling> {
    let inputs: Vec<_> = job
        .traces
        .iter()
        .map(|t| (&t.problem, t.cot.text()))
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    let key = content_hash(&(version, &job.annotator, depends_on, inputs))?;
    let mut partial = PartialOutput::<Outcome>::open(&job.out, &key)?;
    let mut open = job.open_places();
    open.retain(|place| !partial.has(*place));
    let progress = Progress::new("annotate", open.len(), "traces", job.quiet);
    let (mut done, mut kept_at) = (Vec::new(), Instant::now());
    for place in open {
        let trace = &job.traces[place];
        let outcome = match annotator.annotate(&trace.problem, &trace.cot) {
            Ok(labels) => Outcome::Labels(labels),
            Err(CoreError::NothingToAnnotate { wanted, .. }) => {
                let reason = format!("no_{}", wanted.replace(' ', "_"));
                Outcome::Unlabeled(NoLabels::new(reason))
            }
            Err(CoreError::NoRoom { message, .. }) => Outcome::Unlabeled(NoLabels {
                reason: "no_room".to_owned(),
                message,
            }),
            Err(error) => {
                partial.keep(done)?;
                return Err(Error::from(error).context(job.line(place)));
            }
        };
        done.push((place, outcome));
        progress.advance(1, "");
        if kept_at.elapsed() >= KEEP_EVERY {
            partial.keep(std::mem::take(&mut done))?;
            kept_at = Instant::now();
        }
    }
    partial.keep(done)?;
    let row = |place| {
        job.row(place, || match partial.get(place) {
            Some(Outcome::Labels(labels)) => Ok(labels.clone()),
            Some(Outcome::Unlabeled(why)) => Err(why.clone()),
            None => Err(NoLabels::new("not_asked")),
        })
    };
    let rows: Vec<_> = (0..job.traces.len()).map(row).collect();
    partial.finish(|_| job.write(&rows))?;
    Ok(Labeling { rows, chat: None })
}
