//! What the kernel of Linux counts: processor time of this process and of others, and memory.

use std::fs::read_to_string;
use std::time::Duration;

/// Times of `/proc` are in these, whatever the kernel's own clock: it is part of its interface.
const TICKS_PER_SECOND: f64 = 100.0;
/// Share of the machine's processor time above which others disturb a measurement.
const DISTURBED: f64 = 0.05;

/// Processor time since boot, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CpuTimes {
    /// Of all processors together.
    all: u64,
    /// What of it was not idle.
    busy: u64,
    /// What of that was this process.
    own: u64,
}

impl CpuTimes {
    /// As of now; `None` on a system without `/proc`.
    pub(super) fn now() -> Option<Self> {
        let machine = read_to_string("/proc/stat").ok()?;
        let process = read_to_string("/proc/self/stat").ok()?;
        Self::parse(&machine, &process)
    }

    /// From the texts of `/proc/stat` and `/proc/self/stat`.
    fn parse(machine: &str, process: &str) -> Option<Self> {
        let line = machine.lines().find_map(|line| line.strip_prefix("cpu "))?;
        // user nice system idle iowait irq softirq steal; guests are in user and nice already.
        let fields: Option<Vec<u64>> = line
            .split_whitespace()
            .take(8)
            .map(|field| field.parse().ok())
            .collect();
        let fields = fields.filter(|fields| fields.len() == 8)?;
        let all: u64 = fields.iter().sum();
        // The name may hold spaces and parentheses; the state behind the last one is field 3.
        let (_, behind_name) = process.rsplit_once(") ")?;
        let mut times = behind_name.split_whitespace().skip(11);
        let user: u64 = times.next()?.parse().ok()?;
        let system: u64 = times.next()?.parse().ok()?;
        Some(Self {
            all,
            busy: all - fields[3] - fields[4],
            own: user + system,
        })
    }

    /// Share of the machine's processor time since `earlier` that others took; `None` if no tick has
    /// passed.
    pub(super) fn foreign_share_since(&self, earlier: &Self) -> Option<f64> {
        let passed = self.all.checked_sub(earlier.all).filter(|n| *n > 0)?;
        let busy = self.busy.saturating_sub(earlier.busy);
        let own = self.own.saturating_sub(earlier.own);
        Some(busy.saturating_sub(own) as f64 / passed as f64)
    }

    /// Processor time of this process since `earlier`, in seconds.
    pub(super) fn own_seconds_since(&self, earlier: &Self) -> f64 {
        self.own.saturating_sub(earlier.own) as f64 / TICKS_PER_SECOND
    }
}

/// Share of processor time that others take while this process waits; `None` if it cannot be known.
pub(super) fn foreign_share(wait: Duration) -> Option<f64> {
    let before = CpuTimes::now()?;
    std::thread::sleep(wait);
    CpuTimes::now()?.foreign_share_since(&before)
}

/// Whether others take so little that a measurement means something.
pub(super) fn is_idle(foreign_share: f64) -> bool {
    foreign_share <= DISTURBED
}

/// The most memory that was resident at once in this process, in MiB.
pub(super) fn peak_resident_mib() -> Option<f64> {
    mib_of(&read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Memory of the machine, in MiB.
pub(super) fn memory_mib() -> Option<f64> {
    mib_of(&read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// The line `key` of a file whose values are in kB.
fn mib_of(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(user: u64, system: u64) -> String {
        format!("17 (a (b) c) S 1 17 17 0 -1 4194304 900 0 0 0 {user} {system} 0 0 20 0 3 0 55 1 2")
    }

    #[test]
    fn the_share_of_others_is_what_is_busy_but_not_this_process() {
        let machine = "cpu  100 0 50 800 30 5 5 10 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\nintr 5\n";
        let before = CpuTimes::parse(machine, &process(40, 10)).unwrap();
        let want = CpuTimes {
            all: 1000,
            busy: 170,
            own: 50,
        };
        assert_eq!(before, want);
        // 200 ticks pass: 90 of user, 20 of system, 10 stolen, 50 idle, 30 waiting for a disk. 60 of them are
        // this process: the other 60 busy ones are 0.3 of 200.
        let machine = "cpu  190 0 70 850 60 5 5 20 7 0\n";
        let after = CpuTimes::parse(machine, &process(85, 25)).unwrap();
        assert_eq!(after.foreign_share_since(&before), Some(0.3));
        assert_eq!(after.own_seconds_since(&before), 0.6);
        assert!(!is_idle(0.3) && is_idle(0.05));
        assert_eq!(after.foreign_share_since(&after), None);
    }

    #[test]
    fn a_text_of_another_form_is_unknown_not_idle() {
        let machine = "cpu  1 2 3 4 5 6 7 8\n";
        assert!(CpuTimes::parse(machine, &process(1, 1)).is_some());
        assert_eq!(CpuTimes::parse("cpu  1 2 3 4\n", &process(1, 1)), None);
        assert_eq!(
            CpuTimes::parse("cpu0 1 2 3 4 5 6 7 8\n", &process(1, 1)),
            None
        );
        assert_eq!(CpuTimes::parse(machine, "17 (name) S 1 17"), None);
    }

    #[test]
    fn memory_is_read_in_kib() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n";
        assert_eq!(mib_of(status, "VmHWM:"), Some(2.0));
        assert_eq!(mib_of(status, "VmSwap:"), None);
    }
}
