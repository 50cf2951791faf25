//! Loops for the processor at hand.

#[cfg(feature = "flex")]
use macerator::{AutoArch, Simd, WithSimd};

#[cfg(feature = "flex")]
struct Work<F>(F);

#[cfg(feature = "flex")]
impl<F: FnOnce() -> T, T> WithSimd for Work<F> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: Simd>(self) -> T {
        (self.0)()
    }
}

/// Runs `work` compiled for the best instructions that this processor has; without the feature `flex`, as it
/// is. Only what is inlined into it counts: it has to be marked `#[inline(always)]`, and so do the functions it
/// calls.
pub(crate) fn vectorized<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(feature = "flex")]
    return AutoArch::new().dispatch(Work(work));
    #[cfg(not(feature = "flex"))]
    work()
}
