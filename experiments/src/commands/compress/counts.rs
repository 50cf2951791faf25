//! What `extracot compress` did, by target.

use std::collections::BTreeMap;

use extracot_core::CompressedCot;
use extracot_core::atom::math::n_unmatched_delimiters;

/// What was done, by target.
#[derive(Debug, Default)]
pub(super) struct Counts {
    n_rows: usize,
    n_empty: usize,
    /// Formula delimiters that are ordinary text for want of a partner.
    n_unmatched: usize,
    targets: BTreeMap<String, TargetCounts>,
}

#[derive(Debug, Default)]
struct TargetCounts {
    kept_tokens: usize,
    total_tokens: usize,
    lost_protected: usize,
    n_dropped: usize,
    degenerate: BTreeMap<&'static str, usize>,
}

impl Counts {
    /// Rows so far.
    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Counts a row.
    pub(super) fn add_row(&mut self, think: &str) {
        self.n_rows += 1;
        self.n_empty += usize::from(think.trim().is_empty());
        self.n_unmatched += n_unmatched_delimiters(think);
    }

    /// Counts a text of a row.
    pub(super) fn add(
        &mut self,
        compressed: &CompressedCot,
        degenerate: Option<&'static str>,
        lost_protected: usize,
        is_dropped: bool,
    ) {
        let target = match compressed.target_ratio {
            Some(ratio) => format!("ratio {}", ratio.value()),
            None => "threshold".to_owned(),
        };
        let counts = self.targets.entry(target).or_default();
        counts.kept_tokens += compressed.kept_tokens;
        counts.total_tokens += compressed.total_tokens;
        counts.lost_protected += lost_protected;
        counts.n_dropped += usize::from(is_dropped);
        if let Some(reason) = degenerate {
            *counts.degenerate.entry(reason).or_default() += 1;
        }
    }

    /// Says it on stderr.
    pub(super) fn report(&self) {
        let mut line = format!(
            "[compress] {} think texts, {} of them empty",
            self.n_rows, self.n_empty
        );
        if self.n_unmatched > 0 {
            line += &format!(", {} delimiters without a partner", self.n_unmatched);
        }
        eprintln!("{line}");
        for (target, counts) in &self.targets {
            let realized = counts.kept_tokens as f64 / counts.total_tokens.max(1) as f64;
            let mut line = format!("[compress] {target}: {realized:.3} of the tokens kept");
            for (reason, n) in &counts.degenerate {
                line += &format!(", {n} {reason}");
            }
            if counts.n_dropped > 0 {
                line += &format!(", {} left out", counts.n_dropped);
            }
            if counts.lost_protected > 0 {
                line += &format!(", {} protected atoms without room", counts.lost_protected);
            }
            eprintln!("{line}");
        }
    }
}
