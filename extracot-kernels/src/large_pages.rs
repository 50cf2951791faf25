//! Weights in large pages of memory.

use burn::module::Module;

/// Asks the system to move the weights of a model into large pages (2 MiB), before few rows at a time are multiplied
/// by them again and again.
///
/// Such products wait for weights, and longest where the processor has to look up which page they are in: it knows
/// some 8 MiB of small pages (4 KiB) by heart. With 34 M parameters on the Flex device, decoding of 8 to 64 rows is a
/// tenth faster in large pages. No result depends on it.
///
/// Moving takes one to three milliseconds per MiB, and next to nothing if the weights are there already: they stay
/// where they are when [`adamw`](crate::adamw) overwrites them. Left alone are less than 16 MiB, quantized weights, those
/// that wait for their first use, and those of other devices or with autodiff. It takes Linux 6.1 or later with glibc on
/// x86-64, whatever `/sys/kernel/mm/transparent_hugepage/enabled` says. Elsewhere, where the process may have none
/// (`prctl`), or where the system has no large page to give, weights stay in small ones.
///
/// Our choice: `docs/decisions/0019-large-pages.md`.
pub fn prefer_large_pages<M: Module>(model: &M) {
    #[cfg(all(
        feature = "flex",
        target_os = "linux",
        target_env = "gnu",
        target_arch = "x86_64"
    ))]
    crate::flex::large_pages::prefer_large_pages(model);
    let _ = model;
}
