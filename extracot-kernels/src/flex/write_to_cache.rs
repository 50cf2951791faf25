//! New keys and values in a cache.

use burn::backend::flex::FlexTensor;

use super::chunks::{for_each3_of, part};
use super::prefetch::to_first_cache;
use super::{to_overwrite, values, values_mut};

/// Work of writing one key, whose values have a line of the cache each, in values that are computed.
const WORK: usize = 8;

/// In the memory of the cache, if nothing else holds it.
pub(super) fn write_to_cache(
    [keys_cache, values_cache]: [FlexTensor; 2],
    [keys, new_values]: [&FlexTensor; 2],
    start: usize,
) -> [FlexTensor; 2] {
    let [_, n_heads, head_dim, capacity] = keys_cache.layout().shape().dims::<4>();
    let n_new = keys.layout().shape()[2];
    if n_heads * n_new * head_dim == 0 {
        return [keys_cache, values_cache];
    }
    let [mut keys_cache, mut values_cache] = [keys_cache, values_cache].map(to_overwrite);
    let [keys, new_values] = [keys, new_values].map(FlexTensor::to_contiguous);
    let (keys, new_values) = (values(&keys), values(&new_values));
    let (size, n_written) = (head_dim * capacity, n_new * head_dim);
    let buffers = [
        values_mut(&mut keys_cache),
        values_mut(&mut values_cache),
        &mut [],
    ];
    for_each3_of(
        buffers,
        [n_heads * size, n_heads * size, 1],
        keys.len() * WORK,
        |row, [by_channel, by_slot, _]| {
            let of_row = |new| part(new, row, n_heads * n_written).chunks_exact(n_written);
            for (head, (keys, new_values)) in of_row(keys).zip(of_row(new_values)).enumerate() {
                let (channels, behind) = by_channel[head * size..].split_at_mut(size);
                // Asked for one head ahead: the processor would do it line by line, in the order of writing.
                for channel in behind.chunks_exact(capacity).take(head_dim) {
                    to_first_cache(&raw const channel[start]);
                }
                for (slot, key) in keys.chunks_exact(head_dim).enumerate() {
                    for (channel, value) in channels.chunks_exact_mut(capacity).zip(key) {
                        channel[start + slot] = *value;
                    }
                }
                by_slot[head * size + start * head_dim..][..n_written].copy_from_slice(new_values);
            }
        },
    );
    [keys_cache, values_cache]
}
