//! New keys in a cache by channel, on any device.

use burn::tensor::Tensor;

use crate::plain;

/// A cache of transposed keys, with the keys of new tokens as its slots from `start` on. The fused code writes into a
/// cache that nothing else holds.
///
/// # Shapes
///
/// - `cache` and output: `[batch, n_kv_heads, head_dim, capacity]`
/// - `keys`: `[batch, n_kv_heads, n_new, head_dim]`
///
/// # Gradients
///
/// Where a tensor is on an autodiff device, through both; the fused code has none.
///
/// # Panics
///
/// If the shapes do not fit, or there is no room.
pub fn write_keys(cache: Tensor<4>, keys: Tensor<4>, start: usize) -> Tensor<4> {
    let [batch, n_kv_heads, head_dim, capacity] = cache.dims();
    let n_new = keys.dims()[2];
    assert_eq!(
        keys.dims(),
        [batch, n_kv_heads, n_new, head_dim],
        "keys fit the cache"
    );
    assert!(
        start.checked_add(n_new).is_some_and(|end| end <= capacity),
        "{n_new} keys behind {start} exceed {capacity} slots"
    );
    #[cfg(feature = "flex")]
    if [&cache, &keys]
        .into_iter()
        .all(|tensor| crate::flex::applies(tensor) && !tensor.device().is_autodiff())
    {
        let written = <burn::backend::Dispatch as crate::flex::Steps>::write_keys(
            cache.into_dispatch(),
            keys.into_dispatch(),
            start,
        );
        return Tensor::from_dispatch(written);
    }
    plain::write_keys(cache, keys, start)
}
