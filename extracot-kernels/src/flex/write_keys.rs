//! New keys in a cache by channel.

use burn::backend::flex::FlexTensor;

use super::chunks::{for_each_of, part};
use super::prefetch::to_first_cache;
use super::{to_overwrite, values, values_mut};

/// Work of writing one value, which has a line of the cache for itself, in values that are computed.
const WORK: usize = 8;

/// In the memory of the cache, if nothing else holds it.
pub(super) fn write_keys(cache: FlexTensor, keys: &FlexTensor, start: usize) -> FlexTensor {
    let [_, n_heads, head_dim, capacity] = cache.layout().shape().dims::<4>();
    let n_new = keys.layout().shape()[2];
    if n_heads * n_new * head_dim == 0 {
        return cache;
    }
    let mut cache = to_overwrite(cache);
    let keys = keys.to_contiguous();
    let keys = values(&keys);
    let size = n_heads * head_dim * capacity;
    let row = |idx: usize, heads: &mut [f32]| {
        let keys = part(keys, idx, n_heads * n_new * head_dim).chunks_exact(n_new * head_dim);
        for (head, keys) in keys.enumerate() {
            let (channels, behind) =
                heads[head * head_dim * capacity..].split_at_mut(head_dim * capacity);
            // Asked for one head ahead: the processor would do it line by line, in the order of writing.
            for channel in behind.chunks_exact(capacity).take(head_dim) {
                to_first_cache(&raw const channel[start]);
            }
            for (slot, key) in keys.chunks_exact(head_dim).enumerate() {
                for (channel, value) in channels.chunks_exact_mut(capacity).zip(key) {
                    channel[start + slot] = *value;
                }
            }
        }
    };
    for_each_of(values_mut(&mut cache), size, keys.len() * WORK, row);
    cache
}
