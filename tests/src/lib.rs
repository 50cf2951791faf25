//! Cross-crate, parity, learning and layering tests; see the files in `tests/`.
