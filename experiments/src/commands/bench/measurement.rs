//! Repetitions of some work, and the JSON line that says how fast it was.

use std::num::NonZeroUsize;
use std::time::Instant;

use anyhow::Result;
use extracot_core::stats::quantile;
use serde::Serialize;

use super::host::Host;
use super::machine::CpuTimes;

/// Times of the repetitions of some work.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Timings {
    /// Wall-clock time of each, in seconds; at least one.
    pub(super) seconds: Vec<f64>,
    /// Processor time of all together, where it is known.
    pub(super) cpu_seconds: Option<f64>,
}

/// Repeats `work`, after one time that does not count.
pub(super) fn repeat(
    repeats: NonZeroUsize,
    mut work: impl FnMut() -> Result<()>,
) -> Result<Timings> {
    work()?;
    let before = CpuTimes::now();
    let mut seconds = Vec::with_capacity(repeats.get());
    for _ in 0..repeats.get() {
        let started = Instant::now();
        work()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    let cpu_times = before.zip(CpuTimes::now());
    Ok(Timings {
        seconds,
        cpu_seconds: cpu_times.map(|(before, after)| after.own_seconds_since(&before)),
    })
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Measurement {
    bench: String,
    /// How much is done in one repetition: tokens, bytes or answers, see `unit`.
    size: usize,
    /// Of the fastest repetition; `rate` is its rate.
    seconds: f64,
    median_seconds: f64,
    rate: f64,
    median_rate: f64,
    /// The same per second of processor time, which other work disturbs less; in steps of 10 ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_per_cpu_second: Option<f64>,
    unit: &'static str,
    repeats: usize,
    threads: usize,
    /// Whether the machine did nothing else before the first measurement; `null` if unknown.
    idle: Option<bool>,
}

impl Measurement {
    /// Of work that does `size` things, `per_unit` of which are one of `unit`, on all threads.
    ///
    /// # Errors
    ///
    /// If there is no repetition.
    pub(super) fn new(
        bench: impl Into<String>,
        (size, per_unit, unit): (usize, f64, &'static str),
        timings: &Timings,
    ) -> Result<Self> {
        let amount = size as f64 / per_unit;
        let seconds = quantile(&timings.seconds, 0.0)?;
        let median_seconds = quantile(&timings.seconds, 0.5)?;
        let repeats = timings.seconds.len();
        // Of work that is shorter than the clock's steps nothing is known.
        let cpu_seconds = timings.cpu_seconds.filter(|seconds| *seconds > 0.0);
        Ok(Self {
            bench: bench.into(),
            size,
            seconds,
            median_seconds,
            rate: amount / seconds,
            median_rate: amount / median_seconds,
            rate_per_cpu_second: cpu_seconds.map(|seconds| amount * repeats as f64 / seconds),
            unit,
            repeats,
            threads: rayon::current_num_threads(),
            idle: None,
        })
    }

    /// Of work on tokens.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub(super) fn of_tokens(
        bench: impl Into<String>,
        n_tokens: usize,
        timings: &Timings,
    ) -> Result<Self> {
        Self::new(bench, (n_tokens, 1.0, "tokens/s"), timings)
    }

    /// The same on `host`.
    pub(super) fn on(self, host: &Host<'_>) -> Self {
        Self {
            idle: host.idle,
            ..self
        }
    }

    /// The same on one thread.
    pub(super) fn on_one_thread(self) -> Self {
        Self { threads: 1, ..self }
    }
}

/// Writes `line` to standard output.
#[allow(
    clippy::print_stdout,
    reason = "the measurements are for other programs"
)]
pub(super) fn print(line: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(line)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_and_the_median_repetition_and_the_processor_time_have_their_rates() {
        // 600 tokens in 3, 1, 2 and 6 s: the best takes 1 s, the median of four is (2 + 3) / 2 = 2.5 s. All
        // four took 20 s of processor time: 4 x 600 / 20 = 120 a second.
        let timings = Timings {
            seconds: vec![3.0, 1.0, 2.0, 6.0],
            cpu_seconds: Some(20.0),
        };
        let found = Measurement::of_tokens("x", 600, &timings).unwrap();
        assert_eq!((found.seconds, found.median_seconds), (1.0, 2.5));
        assert_eq!((found.rate, found.median_rate), (600.0, 240.0));
        assert_eq!(found.rate_per_cpu_second, Some(120.0));
        assert_eq!(found.repeats, 4);
        let found = Measurement::new("x", (3_000_000, 1e6, "MB/s"), &timings).unwrap();
        assert_eq!((found.size, found.rate), (3_000_000, 3.0));
        // Less than a tick of processor time is no infinite rate.
        let timings = Timings {
            cpu_seconds: Some(0.0),
            ..timings
        };
        let found = Measurement::of_tokens("x", 600, &timings).unwrap();
        assert_eq!(found.rate_per_cpu_second, None);
    }

    #[test]
    fn the_first_time_does_not_count() {
        let mut n_calls = 0;
        let timings = repeat(NonZeroUsize::new(3).unwrap(), || {
            n_calls += 1;
            Ok(())
        });
        assert_eq!((timings.unwrap().seconds.len(), n_calls), (3, 4));
    }
}
