//! Work that is asked for at the same time, and when to stop asking an endpoint.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

/// Statuses with which an endpoint would answer every other request too: no or a wrong key, no
/// access, no such model or path.
const HOPELESS: [u16; 3] = [401, 403, 404];

/// Calls `ask` for every place, up to `concurrency` at a time, and `take` with what comes back, one at
/// a time. No call begins once `take` says `false` or fails; those under way are waited for and taken,
/// since they may have been paid for.
///
/// # Errors
///
/// What `take` fails with first.
pub(super) fn ask_all<T>(
    places: &[usize],
    concurrency: usize,
    ask: impl Fn(usize) -> T + Sync,
    take: impl FnMut(usize, T) -> Result<bool> + Send,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let is_over = AtomicBool::new(false);
    let taking = Mutex::new((take, Ok(())));
    let work = || {
        while !is_over.load(Ordering::SeqCst) {
            let Some(place) = places.get(next.fetch_add(1, Ordering::SeqCst)) else {
                return;
            };
            let answer = ask(*place);
            let mut taking = taking.lock().unwrap_or_else(PoisonError::into_inner);
            let (take, result) = &mut *taking;
            let goes_on = take(*place, answer);
            if !matches!(goes_on, Ok(true)) {
                is_over.store(true, Ordering::SeqCst);
            }
            if let (Err(error), Ok(())) = (goes_on, &result) {
                *result = Err(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..concurrency.min(places.len()) {
            scope.spawn(work);
        }
    });
    let (_, result) = taking.into_inner().unwrap_or_else(PoisonError::into_inner);
    result
}

/// What a request tells about the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setback<'a> {
    /// The endpoint answered.
    None,
    /// A status that is no success, and what came with it.
    Status(u16, &'a str),
    /// No whole answer came back; why.
    Lost(&'a str),
}

/// When to stop asking.
#[derive(Debug)]
pub(super) struct Patience {
    give_up_after: usize,
    n_lost: usize,
    /// Why asking stopped, if it did.
    pub(super) stopped_by: Option<String>,
}

impl Patience {
    /// Stops after `give_up_after` requests in a row that failed on the way or met a server in trouble.
    pub(super) fn new(give_up_after: usize) -> Self {
        Self {
            give_up_after,
            n_lost: 0,
            stopped_by: None,
        }
    }

    /// Hears of a request; whether to go on.
    pub(super) fn goes_on(&mut self, setback: Setback<'_>) -> bool {
        match setback {
            Setback::Status(status, message) if HOPELESS.contains(&status) => {
                self.stop(format!(
                    "the endpoint answers with status {status}: {message}"
                ));
            }
            // A proxy answers for a server that is down, and one that is overrun may stay so.
            Setback::Status(status, message) if status == 429 || status >= 500 => {
                self.lose(&format!("status {status}: {message}"));
            }
            Setback::Lost(message) => self.lose(message),
            Setback::None | Setback::Status(..) => self.n_lost = 0,
        }
        self.stopped_by.is_none()
    }

    fn lose(&mut self, message: &str) {
        self.n_lost += 1;
        let n = self.n_lost;
        if n >= self.give_up_after {
            self.stop(format!("{n} requests in a row failed: {message}"));
        }
    }

    /// Stops, for the first reason that is given.
    pub(super) fn stop(&mut self, why: String) {
        self.stopped_by.get_or_insert(why);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn every_place_is_asked_once_with_any_number_of_threads() {
        let places: Vec<usize> = (0..50).collect();
        for concurrency in [1, 3, 99] {
            let mut found = Vec::new();
            let take = |place, answer| {
                found.push((place, answer));
                Ok(true)
            };
            ask_all(&places, concurrency, |place| place * 2, take).unwrap();
            found.sort_unstable();
            let want: Vec<_> = places.iter().map(|place| (*place, place * 2)).collect();
            assert_eq!(found, want);
        }
    }

    #[test]
    fn nothing_is_asked_after_the_stop_and_what_was_asked_is_taken() {
        let places: Vec<usize> = (0..50).collect();
        let asked = AtomicUsize::new(0);
        let ask = |_| asked.fetch_add(1, Ordering::Relaxed);
        let mut n_taken = 0;
        let take = |_, _| {
            n_taken += 1;
            Ok(false)
        };
        ask_all(&places, 1, ask, take).unwrap();
        assert_eq!((asked.load(Ordering::Relaxed), n_taken), (1, 1));
        let failed = ask_all(&places, 2, |_| (), |_, ()| bail!("disk full"));
        assert_eq!(failed.unwrap_err().to_string(), "disk full");
    }

    #[test]
    fn asking_stops_at_a_hopeless_status_and_after_failures_in_a_row() {
        let lost = Setback::Lost("closed");
        let http = |status| Setback::Status(status, "");
        let mut patience = Patience::new(2);
        // A status that blames the request says that the endpoint is there; 500 or 429 does not.
        assert!(patience.goes_on(lost) && patience.goes_on(http(400)));
        assert!(patience.goes_on(http(500)) && !patience.goes_on(lost));
        assert!(patience.stopped_by.unwrap().contains("2 requests in a row"));
        assert!(!Patience::new(2).goes_on(http(401)));
        assert!(!Patience::new(1).goes_on(http(429)));
    }
}
