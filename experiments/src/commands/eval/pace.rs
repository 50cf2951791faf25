//! How many problems the next batch has: as many as are done in good time.

use std::time::Duration;

/// What a batch may take. With two workers something is kept about every 30 s.
const BATCH_TIME: Duration = Duration::from_secs(40);

/// Problems that are not handed out yet, and how many go out at a time. Starts with one, so that the
/// first samples are soon there and workers do not end together.
#[derive(Debug)]
pub(super) struct Pace<'a> {
    rest: &'a [usize],
    n_next: usize,
    n_most: usize,
}

impl<'a> Pace<'a> {
    /// Batches of at most `n_most` problems.
    pub(super) fn new(problems: &'a [usize], n_most: usize) -> Self {
        Self {
            rest: problems,
            n_next: 1,
            n_most: n_most.max(1),
        }
    }

    /// The next batch; empty at the end.
    pub(super) fn next(&mut self) -> &'a [usize] {
        let (batch, rest) = self.rest.split_at(self.n_next.min(self.rest.len()));
        self.rest = rest;
        batch
    }

    /// Hears how long a batch took: the next one is as long as fits, at most twice as long as this one.
    pub(super) fn heard(&mut self, n_problems: usize, time: Duration) {
        let share = BATCH_TIME.as_secs_f64() / time.as_secs_f64().max(1e-9);
        let fits = (n_problems as f64 * share) as usize;
        self.n_next = fits.min(2 * n_problems).clamp(1, self.n_most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_while_they_are_quick_and_shrink_when_they_are_not() {
        let problems: Vec<usize> = (0..40).collect();
        let mut pace = Pace::new(&problems, 16);
        // Seconds of a batch, and how many problems it has: doubled up to the most, then 40 / 64 of 16,
        // never less than one.
        for (n, seconds) in [(1, 5), (2, 10), (4, 12), (8, 14), (16, 64), (9, 60)] {
            let batch = pace.next();
            assert_eq!(batch.len(), n);
            pace.heard(batch.len(), Duration::from_secs(seconds));
        }
        assert_eq!((pace.next().len(), pace.next().len()), (0, 0));
        let mut pace = Pace::new(&problems, 16);
        pace.heard(2, Duration::from_secs(1000));
        assert_eq!(pace.next(), [0]);
    }
}
