//! Work side by side.

use burn::tensor::Device;
#[cfg(feature = "flex")]
use rayon::prelude::*;

/// Values of which the rows are shared among threads: fewer take less time than waking a thread.
#[cfg(feature = "flex")]
const SHARED: usize = 1 << 14;

/// Calls `work` on up to `n_workers` threads at once and gives what each call returned: for work that takes its
/// pieces from a queue, and computes on `device`.
///
/// With the feature `flex` they are threads of rayon's pool, in which burn-flex computes, and no more than it has:
/// there a small operation can share its work without being handed over to another thread first. `work` must not
/// hold a lock while it computes: a thread that waits for the rest of an operation may begin another call of `work`.
/// Where the device computes on these threads, those without work stay awake until the last call returns: waking one
/// takes longer than most operations of a decoding step.
///
/// # Panics
///
/// If a call of `work` panics.
pub fn on_workers<R: Send>(
    device: &Device,
    n_workers: usize,
    work: impl Fn() -> R + Sync,
) -> Vec<R> {
    #[cfg(feature = "flex")]
    return pool::on_workers(crate::flex::is_flex(device), n_workers, work);
    #[cfg(not(feature = "flex"))]
    std::thread::scope(|scope| {
        let _ = device;
        let threads: Vec<_> = (0..n_workers).map(|_| scope.spawn(&work)).collect();
        let results = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        results
            .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

#[cfg(feature = "flex")]
mod pool {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rayon::Yield;

    /// How often a thread without work pauses before it looks again.
    const PAUSES: usize = 16;

    thread_local! {
        /// Calls of `work` under way on this thread.
        static N_CALLS: Cell<usize> = const { Cell::new(0) };
    }

    /// One call, counted until it returns or panics.
    struct Call<'a>(&'a AtomicUsize);

    impl<'a> Call<'a> {
        fn start(n_left: &'a AtomicUsize) -> Self {
            N_CALLS.set(N_CALLS.get() + 1);
            Self(n_left)
        }
    }

    impl Drop for Call<'_> {
        fn drop(&mut self) {
            N_CALLS.set(N_CALLS.get() - 1);
            self.0.fetch_sub(1, Ordering::Release);
        }
    }

    /// Helps other threads, until no call is left. Not within a call: that one could not go on.
    fn stay_awake(n_left: &AtomicUsize) {
        if N_CALLS.get() > 0 {
            return;
        }
        while n_left.load(Ordering::Acquire) > 0 {
            if rayon::yield_now() != Some(Yield::Executed) {
                (0..PAUSES).for_each(|_| std::hint::spin_loop());
            }
        }
    }

    pub(super) fn on_workers<R: Send>(
        stays_awake: bool,
        n_workers: usize,
        work: impl Fn() -> R + Sync,
    ) -> Vec<R> {
        let n_workers = n_workers.min(rayon::current_num_threads());
        let mut results: Vec<Option<R>> = (0..n_workers).map(|_| None).collect();
        let (work, n_left) = (&work, &AtomicUsize::new(n_workers));
        rayon::scope(|scope| {
            for result in &mut results {
                scope.spawn(move |_| {
                    let _call = Call::start(n_left);
                    *result = Some(work());
                });
            }
            if stays_awake {
                scope.spawn_broadcast(move |_, _| stay_awake(n_left));
            }
        });
        results.into_iter().flatten().collect()
    }
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

// Without the feature there is no device to work on.
#[cfg(all(test, feature = "flex"))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_worker_runs_once() {
        let called = || {
            let n_calls = AtomicUsize::new(0);
            let mut found = on_workers(&Device::flex(), 3, || {
                n_calls.fetch_add(1, Ordering::Relaxed)
            });
            found.sort_unstable();
            found
        };
        for (n_threads, expected) in [(4, vec![0, 1, 2]), (1, vec![0])] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads);
            assert_eq!(pool.build().unwrap().install(called), expected);
        }
    }

    #[test]
    fn a_panic_ends_all_workers_and_calls_may_share_a_pool() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2);
        let pool = pool.build().unwrap();
        let device = Device::flex();
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.install(|| on_workers(&device, 1, || panic!("on purpose")))
        }));
        assert!(failed.is_err());
        // Three callers at once, each with a worker whose operations are shared among the threads.
        let rows: Vec<usize> = (0..1000).collect();
        let sums = || {
            let work = || {
                map_rows(&rows, 1 << 20, |row| row + 1)
                    .iter()
                    .sum::<usize>()
            };
            pool.install(|| on_workers(&device, 2, work))
        };
        std::thread::scope(|scope| {
            let callers = [(); 3].map(|()| scope.spawn(|| (0..50).map(|_| sums()).collect()));
            for caller in callers {
                let found: Vec<Vec<usize>> = caller.join().unwrap();
                assert_eq!(found, vec![vec![500_500; 2]; 50]);
            }
        });
    }

    #[test]
    fn rows_keep_their_order() {
        let rows: Vec<usize> = (0..100).collect();
        let doubled: Vec<usize> = rows.iter().map(|row| 2 * row).collect();
        assert_eq!(map_rows(&rows, 0, |row| 2 * row), doubled);
        let within = on_workers(&Device::flex(), 2, || {
            map_rows(&rows, 1 << 20, |row| 2 * row)
        });
        assert_eq!(within, [doubled.clone(), doubled]);
    }
}
