//! Work side by side.

#[cfg(feature = "flex")]
use rayon::prelude::*;

/// Values of which the rows are shared among threads: fewer take less time than waking a thread.
#[cfg(feature = "flex")]
const SHARED: usize = 1 << 14;

/// Calls `work` on up to `n_workers` threads at once and gives what each call returned: for work that takes its
/// pieces from a queue.
///
/// With the feature `flex` they are threads of rayon's pool, in which burn-flex computes, and no more than it has:
/// there a small operation can share its work without being handed over to another thread first. `work` must not
/// hold a lock while it computes: a thread that waits for the rest of an operation may begin another call of `work`.
///
/// # Panics
///
/// If a call of `work` panics.
pub fn on_workers<R: Send>(n_workers: usize, work: impl Fn() -> R + Sync) -> Vec<R> {
    #[cfg(feature = "flex")]
    let n_workers = n_workers.min(rayon::current_num_threads());
    let mut results: Vec<Option<R>> = (0..n_workers).map(|_| None).collect();
    let run = |result: &mut Option<R>| *result = Some(work());
    #[cfg(feature = "flex")]
    rayon::scope(|scope| {
        for result in &mut results {
            scope.spawn(move |_| run(result));
        }
    });
    #[cfg(not(feature = "flex"))]
    std::thread::scope(|scope| {
        for result in &mut results {
            scope.spawn(move || run(result));
        }
    });
    results.into_iter().flatten().collect()
}

/// `work` of every row, in order. On a thread of [`on_workers`] they are shared among the threads if as much
/// work as for some ten thousand values stands behind them.
pub fn map_rows<T: Sync, R: Send>(
    rows: &[T],
    n_values: usize,
    work: impl Fn(&T) -> R + Sync + Send,
) -> Vec<R> {
    #[cfg(feature = "flex")]
    if n_values >= SHARED && rayon::current_thread_index().is_some() {
        return rows.par_iter().map(work).collect();
    }
    let _ = n_values;
    rows.iter().map(work).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_worker_runs_once() {
        let called = || {
            let n_calls = AtomicUsize::new(0);
            let mut found = on_workers(3, || n_calls.fetch_add(1, Ordering::Relaxed));
            found.sort_unstable();
            found
        };
        #[cfg(not(feature = "flex"))]
        assert_eq!(called(), [0, 1, 2]);
        #[cfg(feature = "flex")]
        for (n_threads, expected) in [(4, vec![0, 1, 2]), (1, vec![0])] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads);
            assert_eq!(pool.build().unwrap().install(called), expected);
        }
    }

    #[test]
    fn rows_keep_their_order() {
        let rows: Vec<usize> = (0..100).collect();
        let doubled: Vec<usize> = rows.iter().map(|row| 2 * row).collect();
        assert_eq!(map_rows(&rows, 0, |row| 2 * row), doubled);
        let within = on_workers(2, || map_rows(&rows, 1 << 20, |row| 2 * row));
        assert_eq!(within, [doubled.clone(), doubled]);
    }
}
