//! `extracot bench`: the speed of the parts, as JSON lines.

mod chrpo_step;
mod compressor;
mod decoder;
mod host;
mod machine;
mod measurement;
mod verifier;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use burn::tensor::Device;
use clap::Args;
use extracot_core::Seed;
use serde::Serialize;

use crate::config::AblationConfig;
use crate::word_problems::{Split, WordProblem, problem_set};
use host::Host;
use machine::CpuTimes;
use measurement::{Measurement, print};

/// Measures how fast the parts are: JSON lines on standard output.
///
/// The first line tells the machine and whether anything else ran on it, the last the peak of resident
/// memory and what others took of the processors meanwhile. Texts, problems and answers are the embedded
/// task's; weights are random, but those of a folder that is named and of the shipped base in chrpo-step.
#[derive(Debug, Args)]
pub struct Bench {
    /// What is measured
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "PART",
        default_value = "atomizer,compressor,verifier,decoder,chrpo-step"
    )]
    parts: Vec<Part>,
    /// Text to cut into atoms, instead of the embedded task's
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// So many measurements of each kind, after one that does not count
    #[arg(long, default_value = "5")]
    repeats: NonZeroUsize,
    /// Threads, all cores by default
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Draw the compressor's time by length into an SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Wait so long before the first measurement, and look what others do; 0 does not look
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    idle_seconds: f64,
    /// End with an error if others take more than 5 % of the processor time
    #[arg(long)]
    require_idle: bool,
    /// Preset of `chrpo_ablation` whose sizes the compressor and chrpo-step have
    #[arg(long, default_value = "default")]
    preset: String,
    /// Fine-tuned model folder for chrpo-step, instead of the shipped base
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// flex (CPU), vulkan, wgpu or cuda; :N for a GPU of that number, :cpu for a software device
    #[arg(long, default_value = "flex")]
    device: String,
    #[command(flatten)]
    decoder: decoder::DecoderWork,
}

/// Parts that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A text cut into atoms, on one thread
    Atomizer,
    /// Think texts of several lengths, compressed
    Compressor,
    /// Answers judged, on one thread
    Verifier,
    /// Training steps, prefill and decoding of a decoder
    Decoder,
    /// A step of CHRPO: rollouts, verdicts, log-probabilities, update
    ChrpoStep,
}

/// The last line.
#[derive(Debug, Serialize)]
struct End {
    bench: &'static str,
    peak_resident_mib: Option<f64>,
    /// While the measurements ran.
    foreign_cpu_share: Option<f64>,
}

/// Runs the command.
///
/// # Errors
///
/// If the device or a file cannot be used, or the machine is not idle and has to be.
pub fn run(arguments: &Bench) -> Result<()> {
    crate::device::set_threads(arguments.threads)?;
    let device = crate::device::device(&arguments.device)?;
    arguments.check()?;
    if let Some(path) = &arguments.decoder.parity {
        return decoder::write_parity(&arguments.decoder, path, &device);
    }
    let host = Host::new(&arguments.device, arguments.look_at_others()?);
    print(&host)?;
    let before = CpuTimes::now();
    for part in &arguments.parts {
        arguments.measure(*part, &device, &mut |measurement| {
            print(&measurement.on(&host))
        })?;
    }
    let times = before.zip(CpuTimes::now());
    print(&End {
        bench: "end",
        peak_resident_mib: machine::peak_resident_mib(),
        foreign_cpu_share: times.and_then(|(before, now)| now.foreign_share_since(&before)),
    })
}

impl Bench {
    /// Refuses arguments of parts that are not asked for.
    fn check(&self) -> Result<()> {
        let decoder = &self.decoder;
        let folders = [&decoder.model, &decoder.save, &decoder.parity];
        let of_decoder = folders.iter().any(|folder| folder.is_some());
        for (what, is_given, part) in [
            ("--text", self.text.is_some(), Part::Atomizer),
            ("--plot", self.plot.is_some(), Part::Compressor),
            ("--policy", self.policy.is_some(), Part::ChrpoStep),
            ("--model, --save, --parity", of_decoder, Part::Decoder),
        ] {
            if is_given && !self.parts.contains(&part) {
                bail!("{what}: no effect without the part {part:?} of --parts");
            }
        }
        Ok(())
    }

    /// What others take of the processors.
    #[allow(clippy::print_stderr, reason = "a warning for whoever measures")]
    fn look_at_others(&self) -> Result<Option<f64>> {
        let Ok(wait) = Duration::try_from_secs_f64(self.idle_seconds) else {
            bail!("--idle-seconds {}: a time is asked for", self.idle_seconds);
        };
        let share = match wait.is_zero() {
            true => None,
            false => machine::foreign_share(wait),
        };
        let warning = match share {
            Some(share) if machine::is_idle(share) => return Ok(Some(share)),
            Some(share) => format!(
                "other processes take {:.0} % of the processor time",
                100.0 * share
            ),
            None if wait.is_zero() => "nobody looked whether this machine is idle".to_owned(),
            None => "this system does not say whether it is idle".to_owned(),
        };
        if self.require_idle {
            bail!("{warning}, and --require-idle is given");
        }
        // Whoever turned the look off knows.
        if !wait.is_zero() {
            eprintln!("warning: {warning}: the measurements mean little");
        }
        Ok(share)
    }

    fn measure(
        &self,
        part: Part,
        device: &Device,
        report: &mut dyn FnMut(Measurement) -> Result<()>,
    ) -> Result<()> {
        let repeats = self.repeats;
        let config = || AblationConfig::preset(&self.preset, &[]);
        match part {
            Part::Atomizer => report(compressor::measure_atomizer(self.text.as_deref(), repeats)?),
            Part::Compressor => {
                let plot = self.plot.as_deref();
                compressor::measure(&config()?.compressor, repeats, (device, plot), report)
            }
            Part::Verifier => verifier::measure(repeats, report),
            Part::Decoder => decoder::measure(&self.decoder, repeats, device, report),
            Part::ChrpoStep => {
                let policy = self.policy.as_deref();
                chrpo_step::measure(&config()?, policy, (repeats, device), report)
            }
        }
    }
}

/// Problems of the embedded task, with their chains of thought.
fn worked_problems() -> Result<Vec<WordProblem>> {
    problem_set(Split::Train, 300, Seed(1))
}
