//! New keys and values in a cache, on any device.

use burn::tensor::Tensor;

use crate::plain;

/// A cache of transposed keys and one of values, with those of new tokens as its slots from `start` on. The fused code
/// writes into caches that nothing else holds.
///
/// # Shapes
///
/// - `cache` and output: `[batch, n_kv_heads, head_dim, capacity]` and `[batch, n_kv_heads, capacity, head_dim]`
/// - `new`, keys and values: `[batch, n_kv_heads, n_new, head_dim]`
///
/// # Gradients
///
/// Those of assignments to slices if a tensor is on an autodiff device, else none.
///
/// # Panics
///
/// If the shapes do not fit, or there is no room.
pub fn write_to_cache(cache: [Tensor<4>; 2], new: [Tensor<4>; 2], start: usize) -> [Tensor<4>; 2] {
    let [batch, n_kv_heads, head_dim, capacity] = cache[0].dims();
    let n_new = new[0].dims()[2];
    assert_eq!(
        cache[1].dims(),
        [batch, n_kv_heads, capacity, head_dim],
        "as many values as keys"
    );
    for new in &new {
        let shape = [batch, n_kv_heads, n_new, head_dim];
        assert_eq!(new.dims(), shape, "what is new fits the cache");
    }
    assert!(
        start.checked_add(n_new).is_some_and(|end| end <= capacity),
        "{n_new} tokens behind {start} exceed {capacity} slots"
    );
    #[cfg(feature = "flex")]
    if cache
        .iter()
        .chain(&new)
        .all(|tensor| crate::flex::applies(tensor) && !tensor.device().is_autodiff())
    {
        let [keys_cache, values_cache] = cache.map(Tensor::into_dispatch);
        let [keys, values] = new.map(Tensor::into_dispatch);
        let (keys, values) = <burn::backend::Dispatch as crate::flex::Steps>::write_to_cache(
            keys_cache,
            values_cache,
            keys,
            values,
            start,
        );
        return [keys, values].map(Tensor::from_dispatch);
    }
    plain::write_to_cache(cache, new, start)
}
