//! What a measurement was made on.

use std::fs::read_to_string;
use std::thread::available_parallelism;

use serde::Serialize;

use super::machine::{is_idle, memory_mib};

/// The first line: what all others were measured on. `None` is what this system does not tell.
#[derive(Debug, Serialize)]
pub(super) struct Host<'a> {
    bench: &'static str,
    cpu: Option<String>,
    n_cores: Option<usize>,
    memory_mib: Option<f64>,
    os: String,
    kernel: Option<String>,
    arch: &'static str,
    rustc: &'static str,
    opt_level: &'static str,
    version: &'static str,
    device: &'a str,
    threads: usize,
    /// Settings of glibc's allocator, which cargo sets.
    malloc: String,
    foreign_cpu_share: Option<f64>,
    /// Whether `foreign_cpu_share` is small enough for measurements to mean something.
    pub(super) idle: Option<bool>,
}

impl<'a> Host<'a> {
    /// This one, before the first measurement.
    pub(super) fn new(device: &'a str, foreign_cpu_share: Option<f64>) -> Self {
        Self {
            bench: "host",
            cpu: line_of("/proc/cpuinfo", "model name", ':'),
            n_cores: available_parallelism().ok().map(usize::from),
            memory_mib: memory_mib().map(f64::round),
            os: line_of("/etc/os-release", "PRETTY_NAME", '=')
                .unwrap_or_else(|| std::env::consts::OS.to_owned()),
            kernel: read_to_string("/proc/sys/kernel/osrelease")
                .ok()
                .map(|text| text.trim().to_owned()),
            arch: std::env::consts::ARCH,
            rustc: env!("EXTRACOT_RUSTC"),
            opt_level: env!("EXTRACOT_OPT_LEVEL"),
            version: env!("CARGO_PKG_VERSION"),
            device,
            threads: rayon::current_num_threads(),
            malloc: malloc(),
            foreign_cpu_share,
            idle: foreign_cpu_share.map(is_idle),
        }
    }
}

/// The value of the first line `key <separator> value` of a file.
fn line_of(path: &str, key: &str, separator: char) -> Option<String> {
    let text = read_to_string(path).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(separator));
    let (_, value) = pairs.find(|(found, _)| found.trim() == key)?;
    Some(value.trim().trim_matches('"').to_owned())
}

fn malloc() -> String {
    let settings = [
        "MALLOC_MMAP_THRESHOLD_",
        "MALLOC_TRIM_THRESHOLD_",
        "GLIBC_TUNABLES",
    ];
    let settings = settings.map(|name| {
        let value = std::env::var(name).unwrap_or_else(|_| "default".to_owned());
        format!("{name}={value}")
    });
    settings.join(" ")
}
