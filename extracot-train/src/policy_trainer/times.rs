//! Where the time of a step goes.

use std::time::{Duration, Instant};

/// Wall-clock time of the parts of a step. It stands beside the metrics, not among them: the logs of two
/// equal runs are the same bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepTimes {
    /// Sampling, or reading what was recorded.
    pub rollout: Duration,
    /// Completions taken apart, verdicts, rewards and advantages.
    pub verdict: Duration,
    /// Log-probabilities under the reference policy, and the batch that they go into.
    pub logprobs: Duration,
    /// Updates: log-probabilities under the current policy, gradients, optimizer.
    pub update: Duration,
}

impl StepTimes {
    /// All of it.
    pub fn total(&self) -> Duration {
        self.rollout + self.verdict + self.logprobs + self.update
    }
}

/// What `work` gives, and its time on top of `total`.
pub(super) fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    *total += started.elapsed();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_same_part_add_up() {
        let mut times = StepTimes {
            rollout: Duration::from_secs(3),
            ..StepTimes::default()
        };
        let pause = Duration::from_millis(2);
        assert_eq!(timed(&mut times.rollout, || std::thread::sleep(pause)), ());
        assert!(times.rollout >= Duration::from_secs(3) + pause);
        timed(&mut times.update, || std::thread::sleep(pause));
        assert_eq!(times.total(), times.rollout + times.update);
        assert!(times.update >= pause && times.verdict.is_zero());
    }
}
