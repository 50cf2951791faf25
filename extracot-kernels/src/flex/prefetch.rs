//! Memory that will be needed soon.
#![allow(
    unsafe_code,
    reason = "the instruction is behind an unsafe function, though it cannot fail"
)]

/// Asks for the line of the cache around a value, wherever it is, into the second cache.
#[inline(always)]
pub(super) fn to_second_cache(value: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: all processors of this architecture have the instruction, which reads nothing and never fails.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(value.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// The same into the first cache.
#[inline(always)]
pub(super) fn to_first_cache(value: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(value.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
