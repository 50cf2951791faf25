//! Labels by a chat model: one request per window, in rounds.

use anyhow::Result;
use extracot_core::KeepLabels;
use extracot_core::label::chat::{
    AskRounds, LABEL_SYSTEM, LabelRequest, WindowOutcome, join_windows,
};

use super::arguments::ChatArguments;
use super::exchange::{ask, message, setback};
use super::job::{Job, Labeling, NoLabels};
use super::report::ChatCounts;
use super::windows::{WindowList, WindowState};
use crate::commands::ask::{Patience, ask_all};
use crate::commands::partial::PartialOutput;
use crate::config::content_hash;
use crate::openai::{Address, ChatClient};
use crate::progress::Progress;

/// Labels the traces that are open.
///
/// Every answer is kept at once, by window. Answers stay beside `--out` until every trace with a think
/// text has labels: the next run asks for no window again that has an answer.
///
/// # Errors
///
/// If a setting or the key cannot be used or a file cannot be written. What an endpoint does is never
/// an error but counted.
pub(super) fn label(address: &Address, settings: &ChatArguments, job: &Job) -> Result<Labeling> {
    let client = settings.endpoint.client(address)?;
    let windows = WindowList::new(&job.traces, settings.window_tokens.get());
    let mut asking = Asking {
        job,
        settings,
        rounds: settings.ask_rounds()?,
        states: vec![WindowState::default(); windows.n_windows()],
        windows,
        patience: Patience::new(settings.endpoint.give_up_after.get()),
    };
    let mut partial = PartialOutput::<WindowState>::open(&job.out, &asking.key()?)?;
    for (place, state) in asking.states.iter_mut().enumerate() {
        *state = partial.get(place).cloned().unwrap_or_default();
    }
    asking.ask_open_windows(&client, &mut partial)?;
    let label = |trace_idx| job.row(trace_idx, || asking.labels(trace_idx));
    let rows: Vec<_> = (0..job.traces.len()).map(label).collect();
    job.write(&rows)?;
    // Traces that nobody can label do not keep the answers of the others waiting.
    if job.open_places().iter().all(|idx| rows[*idx].is_ok()) {
        partial.finish(|_| Ok(()))?;
    }
    Ok(Labeling {
        rows,
        chat: Some(asking.counts()),
    })
}

/// The windows of all traces while they are asked.
struct Asking<'a> {
    job: &'a Job,
    settings: &'a ChatArguments,
    rounds: AskRounds,
    windows: WindowList,
    states: Vec<WindowState>,
    patience: Patience,
}

impl Asking<'_> {
    /// Names what answers depend on, without what only decides how hard they are asked for: that may
    /// change from run to run.
    fn key(&self) -> Result<String> {
        let first = WindowState::default();
        let request = |place| self.request(place, &first).user;
        let texts: Vec<String> = (0..self.windows.n_windows()).map(request).collect();
        let extra = &self.settings.endpoint.extra_body;
        content_hash(&(&self.job.annotator, LABEL_SYSTEM, texts, extra))
    }

    fn request(&self, place: usize, state: &WindowState) -> LabelRequest {
        let (trace_idx, window) = self.windows.get(place);
        let trace = &self.job.traces[trace_idx];
        let (question, before) = (&trace.problem.question, state.outcome.as_ref());
        self.rounds
            .request(question, &trace.cot, window, state.n_rounds, before)
    }

    /// Takes up the windows of open traces that want an answer, and says which.
    fn take_up(&mut self) -> Vec<usize> {
        let n_rounds = self.rounds.n_rounds;
        let open = self.job.open_places().into_iter();
        let mut places: Vec<usize> = open.flat_map(|idx| self.windows.places(idx)).collect();
        if self.settings.empty_drops {
            let is_empty = |outcome| matches!(outcome, Some(&WindowOutcome::Empty));
            places.retain(|place| !is_empty(self.states[*place].settled(n_rounds)));
        }
        for place in &places {
            let state = std::mem::take(&mut self.states[*place]);
            self.states[*place] = state.taken_up(n_rounds);
        }
        places.retain(|place| self.states[*place].settled(n_rounds).is_none());
        places
    }

    /// Asks round by round, until every window is settled or asking has to stop.
    fn ask_open_windows(
        &mut self,
        client: &ChatClient,
        partial: &mut PartialOutput<WindowState>,
    ) -> Result<()> {
        let n_rounds = self.rounds.n_rounds;
        let places = self.take_up();
        let progress = Progress::new("annotate", places.len(), "windows", self.job.quiet);
        for round in 0..n_rounds {
            let is_due = |place: &usize| {
                let state = &self.states[*place];
                state.n_rounds == round && state.settled(n_rounds).is_none()
            };
            let due: Vec<(usize, LabelRequest)> = places
                .iter()
                .copied()
                .filter(is_due)
                .map(|place| (place, self.request(place, &self.states[place])))
                .collect();
            let turns: Vec<usize> = (0..due.len()).collect();
            let (windows, settings) = (&self.windows, self.settings);
            let (states, patience) = (&mut self.states, &mut self.patience);
            let ask = |turn: usize| {
                let (place, request) = &due[turn];
                ask(client, settings, request, windows.get(*place).1.len())
            };
            ask_all(
                &turns,
                settings.endpoint.concurrency.get(),
                ask,
                |turn, answer| {
                    let place = due[turn].0;
                    let goes_on = patience.goes_on(setback(&answer.reply.outcome));
                    states[place].add(answer);
                    partial.keep([(place, states[place].clone())])?;
                    if states[place].settled(n_rounds).is_some() {
                        progress.advance(1, &format!("round {}", round + 1));
                    }
                    Ok(goes_on)
                },
            )?;
            if self.patience.stopped_by.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// The labels of a trace, if all its windows have them.
    fn labels(&self, trace_idx: usize) -> Result<KeepLabels, NoLabels> {
        let states = &self.states[self.windows.places(trace_idx)];
        let settled = states.iter().map(|s| s.settled(self.rounds.n_rounds));
        let outcomes: Vec<Option<&WindowOutcome>> = settled.collect();
        let windows = self.windows.of(trace_idx);
        join_windows(&windows, &outcomes, self.settings.empty_drops).map_err(|why| {
            let mut outcomes = outcomes.iter().flatten();
            let outcome = outcomes.find(|outcome| outcome.name() == why.name());
            NoLabels {
                reason: why.name().to_owned(),
                message: outcome.and_then(|o| message(o)).unwrap_or_default(),
            }
        })
    }

    /// Counts over all windows but those of labels from before whose answers are no longer kept.
    fn counts(self) -> ChatCounts {
        let open = self.job.open_places();
        let counted = self.states.iter().enumerate().filter(|(place, state)| {
            let (trace_idx, _) = self.windows.get(*place);
            state.outcome.is_some() || open.binary_search(&trace_idx).is_ok()
        });
        let prices = (self.settings.price_in, self.settings.price_out);
        let states = counted.map(|(_, state)| state);
        ChatCounts::new(states, &self.rounds, self.patience.stopped_by, prices)
    }
}
