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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use rayon::Yield;

    /// How often a thread without work pauses before it lets others have its core.
    const PAUSES: usize = 16;
    /// How long the threads may take to wake up before work begins without them.
    const WAKE_UP: Duration = Duration::from_millis(1);

    /// The calls of `work` of one [`on_workers`], and the threads that stay awake for them.
    struct Calls {
        n_left: AtomicUsize,
        n_awake: AtomicUsize,
        has_begun: AtomicBool,
    }

    impl Calls {
        /// Helps other threads, until no call is left.
        ///
        /// A thread that waits for a piece of an operation takes up other jobs, this one too, and could not go on with
        /// the piece. So whoever comes when work has begun goes away: below the others there is nothing that a call
        /// of these waits for.
        fn stay_awake(&self) {
            self.n_awake.fetch_add(1, Ordering::SeqCst);
            if self.has_begun.load(Ordering::SeqCst) {
                return;
            }
            while self.n_left.load(Ordering::Acquire) > 0 {
                if rayon::yield_now() != Some(Yield::Executed) {
                    (0..PAUSES).for_each(|_| std::hint::spin_loop());
                    std::thread::yield_now();
                }
            }
        }

        /// Wakes the threads of the pool that have nothing to do.
        fn wake(self: &Arc<Self>) {
            let calls = self.clone();
            rayon::spawn_broadcast(move |_| calls.stay_awake());
            // A thread of the pool does not wait for itself.
            let here = usize::from(rayon::current_thread_index().is_some());
            let n_others = rayon::current_num_threads() - here;
            let start = Instant::now();
            while self.n_awake.load(Ordering::SeqCst) < n_others && start.elapsed() < WAKE_UP {
                // They may need this core.
                std::thread::yield_now();
            }
            self.has_begun.store(true, Ordering::SeqCst);
        }
    }

    /// One call, counted until it returns or panics.
    struct Call<'a>(&'a Calls);

    impl Drop for Call<'_> {
        fn drop(&mut self) {
            self.0.n_left.fetch_sub(1, Ordering::Release);
        }
    }

    pub(super) fn on_workers<R: Send>(
        stays_awake: bool,
        n_workers: usize,
        work: impl Fn() -> R + Sync,
    ) -> Vec<R> {
        let n_workers = n_workers.min(rayon::current_num_threads());
        let mut results: Vec<Option<R>> = (0..n_workers).map(|_| None).collect();
        let calls = Arc::new(Calls {
            n_left: AtomicUsize::new(n_workers),
            n_awake: AtomicUsize::new(0),
            has_begun: AtomicBool::new(false),
        });
        if stays_awake {
            calls.wake();
        }
        let (work, calls) = (&work, &*calls);
        rayon::scope(|scope| {
            for result in &mut results {
                scope.spawn(move |_| {
                    let _call = Call(calls);
                    *result = Some(work());
                });
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
#[cfg(test)]
#[cfg(feature = "flex")]
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
            assert_eq!(pool_of(n_threads).install(called), expected);
        }
    }

    fn pool_of(n_threads: usize) -> rayon::ThreadPool {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads);
        pool.build().unwrap()
    }

    /// What a call gives, which may not take for ever.
    fn in_time<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(call()));
        let found = receiver.recv_timeout(std::time::Duration::from_secs(60));
        found.expect("an answer within a minute")
    }

    fn shared_sum() -> usize {
        let rows: Vec<usize> = (0..1000).collect();
        map_rows(&rows, 1 << 20, |row| row + 1).iter().sum()
    }

    #[test]
    fn a_panic_of_one_worker_ends_all() {
        let has_failed = in_time(|| {
            let n_calls = AtomicUsize::new(0);
            let work = || match n_calls.fetch_add(1, Ordering::Relaxed) {
                0 => panic!("on purpose"),
                _ => shared_sum(),
            };
            let call = || pool_of(2).install(|| on_workers(&Device::flex(), 2, work));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err()
        });
        assert!(has_failed);
    }

    #[test]
    fn calls_may_share_a_pool_and_be_within_each_other() {
        for n_threads in [1, 2, 3, 5] {
            let found = in_time(move || {
                let pool = pool_of(n_threads);
                let nested = || {
                    on_workers(&Device::flex(), 2, shared_sum)
                        .iter()
                        .sum::<usize>()
                };
                let sums = || pool.install(|| on_workers(&Device::flex(), 3, nested));
                std::thread::scope(|scope| {
                    let caller = || (0..30).flat_map(|_| sums()).collect::<Vec<_>>();
                    let callers = [(); 3].map(|()| scope.spawn(caller));
                    callers.map(|caller| caller.join().unwrap()).concat()
                })
            });
            let expected = 500_500 * n_threads.min(2);
            assert_eq!(
                found,
                vec![expected; 3 * 30 * n_threads.min(3)],
                "{n_threads}"
            );
        }
    }

    #[test]
    fn a_thread_that_does_something_else_is_not_waited_for() {
        let found = in_time(|| {
            let pool = pool_of(2);
            let (sender, receiver) = std::sync::mpsc::channel::<()>();
            pool.spawn(move || receiver.recv().unwrap());
            let found = pool.install(|| on_workers(&Device::flex(), 1, || 7));
            sender.send(()).unwrap();
            found
        });
        assert_eq!(found, [7]);
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
