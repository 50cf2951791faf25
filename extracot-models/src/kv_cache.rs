//! Keys and values of the tokens seen so far: passed in, never kept inside a model.
//!
//! A decoding step attends to the whole buffer with the free slots masked: a slice of it would be copied
//! every time. The buffer grows by a few slots at a time, so little of it is ever free.

use burn::tensor::{DType, Device, Int, Tensor};
use extracot_kernels::write_to_cache;

/// Slots by which the buffers grow.
const GROWTH: usize = 32;

/// Keys and values of one layer.
#[derive(Debug, Clone)]
pub struct LayerCache {
    /// `[batch, n_kv_heads, head_dim, capacity]`: the layout that the product with one query reads
    /// without packing, which is most of the work of a decoding step.
    keys_transposed: Tensor<4>,
    /// `[batch, n_kv_heads, capacity, head_dim]`
    values: Tensor<4>,
}

/// Keys and values of all layers, for a batch whose rows advance together.
#[derive(Debug, Clone)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    n_slots: usize,
    capacity: usize,
}

impl KvCache {
    /// An empty cache.
    ///
    /// # Shapes
    ///
    /// - `shape`: `[batch, n_kv_heads, head_dim]` of every layer
    pub fn new(n_layers: usize, shape: [usize; 3], (device, dtype): (&Device, DType)) -> Self {
        let [batch, n_kv_heads, head_dim] = shape;
        let zeros = |shape: [usize; 4]| Tensor::zeros(shape, (device, dtype));
        let layers = (0..n_layers)
            .map(|_| LayerCache {
                keys_transposed: zeros([batch, n_kv_heads, head_dim, GROWTH]),
                values: zeros([batch, n_kv_heads, GROWTH, head_dim]),
            })
            .collect();
        Self {
            layers,
            n_slots: 0,
            capacity: GROWTH,
        }
    }

    /// Slots filled so far.
    pub fn n_slots(&self) -> usize {
        self.n_slots
    }

    /// Slots of the buffers once there is room for `n_new` more tokens: the keys of the next call.
    pub fn capacity_for(&self, n_new: usize) -> usize {
        (self.n_slots + n_new)
            .next_multiple_of(GROWTH)
            .max(self.capacity)
    }

    /// Makes room for `n_new` more tokens in every layer.
    pub fn reserve(&mut self, n_new: usize) {
        let capacity = self.capacity_for(n_new);
        if capacity == self.capacity {
            return;
        }
        let n_free = capacity - self.capacity;
        let grow = |buffer: Tensor<4>, dim: usize| {
            let mut shape = buffer.dims();
            shape[dim] = n_free;
            let free = Tensor::zeros(shape, (&buffer.device(), buffer.dtype()));
            Tensor::cat(vec![buffer, free], dim)
        };
        for layer in &mut self.layers {
            layer.keys_transposed.inplace(|buffer| grow(buffer, 3));
            layer.values.inplace(|buffer| grow(buffer, 2));
        }
        self.capacity = capacity;
    }

    /// Writes the keys and values of one layer and returns all of that layer's. Call
    /// [`KvCache::reserve`] before the first layer and [`KvCache::advance`] after the last.
    ///
    /// # Shapes
    ///
    /// - `keys`, `values`: `[batch, n_kv_heads, n_new, head_dim]`
    /// - output: transposed keys `[batch, n_kv_heads, head_dim, capacity]` and values
    ///   `[batch, n_kv_heads, capacity, head_dim]`
    ///
    /// # Panics
    ///
    /// If there is no room for `n_new` more tokens.
    pub fn append(
        &mut self,
        layer_idx: usize,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        let end = self.n_slots + keys.dims()[2];
        assert!(
            end <= self.capacity,
            "{end} tokens exceed the cache's {}",
            self.capacity
        );
        // Taken out, so that nothing else holds the buffers and they are written in place: what this returns is
        // dropped by then.
        let layer = self.layers.remove(layer_idx);
        let cache = [layer.keys_transposed, layer.values];
        let [keys_transposed, values] = write_to_cache(cache, [keys, values], self.n_slots);
        let layer = LayerCache {
            keys_transposed: keys_transposed.clone(),
            values: values.clone(),
        };
        self.layers.insert(layer_idx, layer);
        (keys_transposed, values)
    }

    /// Counts `n_new` slots as filled.
    pub fn advance(&mut self, n_new: usize) {
        self.n_slots += n_new;
    }

    /// Keeps (and repeats) rows: the shared prefill of a group, or the rows still running.
    ///
    /// # Shapes
    ///
    /// - `rows`: `[new_batch]` indices into the batch
    #[must_use]
    pub fn select_rows(self, rows: &Tensor<1, Int>) -> Self {
        let pick = |tensor: Tensor<4>| tensor.select(0, rows.clone());
        let layers = self
            .layers
            .into_iter()
            .map(|layer| LayerCache {
                keys_transposed: pick(layer.keys_transposed),
                values: pick(layer.values),
            })
            .collect();
        Self { layers, ..self }
    }
}
