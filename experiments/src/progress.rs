//! Progress with rate and time left: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Progress of one stage.
#[derive(Debug)]
pub struct Progress {
    name: String,
    unit: String,
    bar: ProgressBar,
    lines: Option<Mutex<Instant>>,
    tokens: Mutex<usize>,
    started: Instant,
}

impl Progress {
    /// Progress over `n` units called `unit`.
    pub fn new(name: &str, n: usize, unit: &str, quiet: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = if is_terminal {
            ProgressBar::new(n as u64)
        } else {
            ProgressBar::hidden()
        };
        bar.set_length(n as u64);
        let template = format!(
            "[{name}] {{bar:30}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left {{msg}}"
        );
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        let lines = (!is_terminal && !quiet).then(|| Mutex::new(Instant::now()));
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            bar,
            lines,
            tokens: Mutex::new(0),
            started: Instant::now(),
        }
    }

    /// Counts `n` more units, with a word on how it goes.
    pub fn advance(&self, n: usize, message: &str) {
        self.bar.inc(n as u64);
        self.bar.set_message(message.to_owned());
        let Some(last) = &self.lines else { return };
        let mut last = last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            let elapsed = self.started.elapsed().as_secs_f64();
            let left = elapsed / done.max(1) as f64 * all.saturating_sub(done) as f64;
            let (name, unit, rate) = (&self.name, &self.unit, done as f64 / elapsed.max(1e-9));
            eprintln!("[{name}] {done}/{all} {unit}, {rate:.1}/s, {left:.0} s left {message}");
        }
    }

    /// Counts finished prompts and the tokens generated for them.
    pub fn advance_tokens(&self, n_tokens: usize, n_prompts: usize) {
        let total = {
            let mut tokens = self
                .tokens
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *tokens += n_tokens;
            *tokens
        };
        let rate = total as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        self.advance(n_prompts, &format!("{rate:.0} tokens/s"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
