//! `extracot annotate`: keep labels of think texts; see docs/annotate.md.
//!
//! Another annotator is a variant of `AnnotatorName` with its spelling, and an arm of the match in
//! [`run`].

mod arguments;
mod chat;
mod exchange;
mod job;
mod local;
mod report;
mod traces;
mod windows;

use anyhow::{Context, Result, bail};
use extracot_core::KeepRatio;
use extracot_core::label::{HeuristicAnnotator, KeepRangeRow, RangeAnnotator, SolutionAnnotator};
use extracot_models::attribution::{AttributionAnnotator, AttributionRule};

use super::generate::files_of;
use super::model::{LoadedModel, WeightDtype};
use super::{command_to_go_on, rows};
use crate::config::content_hash;

pub use arguments::Annotate;
use arguments::AnnotatorName;
use job::Job;
use report::Report;

/// Runs the command.
///
/// # Errors
///
/// If an argument, the input or the annotator cannot be used, if the output cannot be written, and
/// if a trace got no labels: with the counts by reason and the command that goes on.
pub fn run(arguments: &Annotate) -> Result<()> {
    crate::device::set_threads(arguments.threads)?;
    let device = crate::device::device(&arguments.device)?;
    let job = Job::open(arguments)?;
    let labeling = match &arguments.annotator {
        AnnotatorName::Heuristic => local::label(&HeuristicAnnotator, "", &job)?,
        AnnotatorName::Solution => local::label(&SolutionAnnotator, "", &job)?,
        AnnotatorName::Ranges(file) => {
            let labels: Vec<KeepRangeRow> =
                rows::read(file)?.into_iter().map(|row| row.1).collect();
            let key = content_hash(&labels)?;
            let annotator = RangeAnnotator::try_new(labels);
            let annotator = annotator.with_context(|| format!("{}", file.display()))?;
            local::label(&annotator, &key, &job)?
        }
        AnnotatorName::Attribution(folder) => {
            let settings = &arguments.attribution;
            let model = LoadedModel::load(folder, None, WeightDtype::F32, &device)?;
            let annotator = AttributionAnnotator {
                model: &model.decoder,
                device: &device,
                tokenizer: model.tokenizer()?,
                chat: model.chat().ok(),
                answer_lead: &settings.answer_lead,
                rule: AttributionRule {
                    keep_share: KeepRatio::try_new(settings.keep_share).context("--keep-share")?,
                    min_drop: settings.min_drop,
                },
                batch_tokens: settings.batch_tokens,
            };
            let rule = (
                settings.keep_share,
                settings.min_drop,
                &settings.answer_lead,
            );
            local::label(&annotator, &content_hash(&(rule, files_of(folder)?))?, &job)?
        }
        AnnotatorName::Chat(address) => chat::label(address, &arguments.chat, &job)?,
    };
    let report = Report::new(&job, labeling)?;
    // A run that had nothing to do knows less than the report that is there.
    if job.earlier.is_empty() || !job.open_places().is_empty() {
        report.write(&arguments.out)?;
    }
    if !arguments.quiet {
        eprint!("{report}");
    }
    match report.n_unlabeled() {
        0 => Ok(()),
        n => bail!(
            "{n} of {} traces have no labels ({}); go on with: {}",
            report.traces,
            report.reasons(),
            command_to_go_on()
        ),
    }
}
