//! The windows of all traces, and what is known of each.

use std::collections::BTreeMap;
use std::ops::Range;

use extracot_core::atom::windows;
use extracot_core::label::chat::{ParsedReply, Tolerance, WindowOutcome};
use serde::{Deserialize, Serialize};

use super::traces::Trace;
use crate::openai::Usage;

/// All windows, numbered through all traces: a window's number is its place in the kept answers.
#[derive(Debug)]
pub(super) struct WindowList {
    /// Of every window its trace and its atoms.
    windows: Vec<(usize, Range<usize>)>,
    /// Of every trace its windows.
    of_trace: Vec<Range<usize>>,
}

impl WindowList {
    /// Cuts the traces into windows of at most `max_cost` each.
    pub(super) fn new(traces: &[Trace], max_cost: usize) -> Self {
        let mut all = Vec::new();
        let mut of_trace = Vec::with_capacity(traces.len());
        for (trace_idx, trace) in traces.iter().enumerate() {
            let from = all.len();
            // A text of nothing but white space has an atom, but nothing to ask.
            if trace.blocked.is_none() {
                let cut = windows(&trace.cot, &trace.costs, max_cost);
                all.extend(cut.into_iter().map(|window| (trace_idx, window)));
            }
            of_trace.push(from..all.len());
        }
        Self {
            windows: all,
            of_trace,
        }
    }

    /// Number of windows.
    pub(super) fn n_windows(&self) -> usize {
        self.windows.len()
    }

    /// Trace and atoms of a window.
    pub(super) fn get(&self, place: usize) -> (usize, &Range<usize>) {
        let (trace_idx, window) = &self.windows[place];
        (*trace_idx, window)
    }

    /// Numbers of the windows of a trace.
    pub(super) fn places(&self, trace_idx: usize) -> Range<usize> {
        self.of_trace[trace_idx].clone()
    }

    /// Atoms of the windows of a trace.
    pub(super) fn of(&self, trace_idx: usize) -> Vec<Range<usize>> {
        let windows = &self.windows[self.places(trace_idx)];
        windows.iter().map(|(_, window)| window.clone()).collect()
    }
}

/// One more answer, or none, of a window.
#[derive(Debug)]
pub(super) struct Answer {
    /// What became of it.
    pub(super) reply: ParsedReply,
    /// How often the request was sent.
    pub(super) n_requests: usize,
    /// Its tokens.
    pub(super) usage: Usage,
}

/// What is known of one window, over all runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct WindowState {
    /// Rounds in which it was asked, since it was last taken up.
    pub(super) n_rounds: usize,
    /// The last outcome.
    pub(super) outcome: Option<WindowOutcome>,
    /// Outcomes of all rounds, by name.
    pub(super) outcomes: BTreeMap<String, u64>,
    /// What was tolerated in its replies.
    pub(super) tolerances: BTreeMap<Tolerance, u64>,
    /// Requests that were sent.
    pub(super) n_requests: u64,
    /// Tokens of all replies.
    pub(super) usage: Usage,
}

impl WindowState {
    /// Takes the window up in a new run of up to `max_rounds` rounds. A window that was asked as often
    /// begins again; if a reply was no use, not with the round whose question it is known for.
    pub(super) fn taken_up(mut self, max_rounds: usize) -> Self {
        match &self.outcome {
            Some(outcome) if outcome.is_worth_asking_again() => {
                if self.n_rounds >= max_rounds {
                    self.n_rounds = 1.min(max_rounds - 1);
                }
            }
            Some(WindowOutcome::Labeled { .. }) => (),
            _ => {
                self.n_rounds = 0;
                self.outcome = None;
            }
        }
        self
    }

    /// The outcome, if no further round of `max_rounds` is to change it.
    pub(super) fn settled(&self, max_rounds: usize) -> Option<&WindowOutcome> {
        let outcome = self.outcome.as_ref();
        outcome.filter(|o| !o.is_worth_asking_again() || self.n_rounds >= max_rounds)
    }

    /// Adds the answer of a round.
    pub(super) fn add(&mut self, answer: Answer) {
        self.n_rounds += 1;
        let name = answer.reply.outcome.name().to_owned();
        *self.outcomes.entry(name).or_insert(0) += 1;
        for tolerance in answer.reply.tolerances {
            *self.tolerances.entry(tolerance).or_insert(0) += 1;
        }
        self.n_requests += answer.n_requests as u64;
        self.usage += answer.usage;
        self.outcome = Some(answer.reply.outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(n_rounds: usize, outcome: Option<WindowOutcome>) -> WindowState {
        WindowState {
            n_rounds,
            outcome,
            ..WindowState::default()
        }
    }

    #[test]
    fn a_window_is_taken_up_where_it_stands() {
        let lost = WindowOutcome::Transport {
            message: String::new(),
        };
        for (before, n_rounds, is_settled) in [
            (state(0, None), 0, false),
            // Killed between rounds: goes on.
            (state(2, Some(WindowOutcome::Empty)), 2, false),
            // Asked three times: begins again, with the hint.
            (state(3, Some(WindowOutcome::Empty)), 1, false),
            (
                state(1, Some(WindowOutcome::Labeled { ranges: vec![] })),
                1,
                true,
            ),
        ] {
            let after = before.taken_up(3);
            assert_eq!(
                (after.n_rounds, after.settled(3).is_some()),
                (n_rounds, is_settled)
            );
        }
        // What failed on the way was not answered: it is a first round again.
        let after = state(2, Some(lost)).taken_up(3);
        assert_eq!((after.n_rounds, after.settled(3).is_some()), (0, false));
        assert_eq!(state(1, Some(WindowOutcome::Empty)).taken_up(1).n_rounds, 0);
    }
}
