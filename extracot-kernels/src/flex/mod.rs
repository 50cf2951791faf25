//! The fused code for the Flex device: slices of f32, in loops that the compiler vectorizes for the
//! processor it finds at run time.

mod adamw;
mod attention;
mod chunks;
mod gemm;
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
pub(crate) mod large_pages;
mod linear;
mod prefetch;
mod rms_norm;
mod rotate_heads;
mod silu_gate;
mod simd;
mod target_logprobs;
#[cfg(test)]
mod tests;
mod write_to_cache;

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchDevice, Flex, backend_extension};
use burn::tensor::{Bytes, DType, Device, Shape, Tensor};

use crate::AdamWStep;
use crate::visible::Ranges;

/// Whether a tensor is one that the fused code takes.
pub(crate) fn applies<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && is_flex(&tensor.device())
}

/// Whether a device is burn-flex, with autodiff or without.
pub(crate) fn is_flex(device: &Device) -> bool {
    matches!(
        device.clone().inner().as_dispatch(),
        DispatchDevice::Flex(_)
    )
}

/// The operations as burn dispatches them; shapes are checked before.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Kernels: Backend {
    fn silu_gate(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;
    fn rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self>;
    fn rotate_heads(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self>;
    fn target_logprobs(logits: FloatTensor<Self>, targets: Vec<i32>) -> FloatTensor<Self>;
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        ranges: Arc<Ranges>,
    ) -> FloatTensor<Self>;
}

/// The operations without a gradient.
#[backend_extension(Flex)]
pub(crate) trait Steps: Backend {
    fn write_to_cache(
        keys_cache: FloatTensor<Self>,
        values_cache: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        start: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    fn adamw(
        weights: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl Steps for Flex {
    fn write_to_cache(
        keys_cache: FlexTensor,
        values_cache: FlexTensor,
        keys: FlexTensor,
        values: FlexTensor,
        start: usize,
    ) -> (FlexTensor, FlexTensor) {
        let cache = [keys_cache, values_cache];
        write_to_cache::write_to_cache(cache, [&keys, &values], start).into()
    }

    fn adamw(
        weights: FlexTensor,
        grad: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        adamw::adamw(weights, &grad, [first, second], step)
    }
}

impl Kernels for Flex {
    fn silu_gate(gate: FlexTensor, up: FlexTensor) -> FlexTensor {
        silu_gate::forward(gate, &up)
    }

    fn rms_norm(x: FlexTensor, gamma: FlexTensor, epsilon: f32) -> FlexTensor {
        rms_norm::forward(&x, &gamma, epsilon).0
    }

    fn rotate_heads(x: FlexTensor, cos: FlexTensor, sin: FlexTensor, scale: f32) -> FlexTensor {
        rotate_heads::forward(&x, &rotate_heads::Turn::new(&cos, &sin, scale))
    }

    fn target_logprobs(logits: FlexTensor, targets: Vec<i32>) -> FlexTensor {
        target_logprobs::forward(&logits, &targets).0
    }

    fn linear(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        linear::forward(&x, &weight)
    }

    fn attention(q: FlexTensor, k: FlexTensor, v: FlexTensor, ranges: Arc<Ranges>) -> FlexTensor {
        attention::forward(&attention::Inputs::new([&q, &k, &v], ranges))
    }
}

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn silu_gate(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        silu_gate::tracked::<C>(gate, up)
    }

    fn rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self> {
        rms_norm::tracked::<C>(x, gamma, epsilon)
    }

    fn rotate_heads(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        scale: f32,
    ) -> FloatTensor<Self> {
        rotate_heads::tracked::<C>(x, cos, sin, scale)
    }

    fn target_logprobs(logits: FloatTensor<Self>, targets: Vec<i32>) -> FloatTensor<Self> {
        target_logprobs::tracked::<C>(logits, targets)
    }

    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        linear::tracked::<C>(x, weight)
    }

    fn attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        ranges: Arc<Ranges>,
    ) -> FloatTensor<Self> {
        attention::tracked::<C>([q, k, v], ranges)
    }
}

/// The values of a contiguous tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    let (start, end) = tensor
        .layout()
        .contiguous_offsets()
        .unwrap_or_else(|| unreachable!("the tensor was made contiguous"));
    &tensor.storage()[start..end]
}

/// Values as a tensor, without a copy.
fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}

/// The tensor's own values to overwrite, if nothing else holds them and they are all there is.
fn owned(tensor: &mut FlexTensor) -> Option<&mut [f32]> {
    let n_values = tensor.layout().num_elements();
    if tensor.layout().contiguous_offsets() != Some((0, n_values)) {
        return None;
    }
    tensor
        .try_storage_mut::<f32>()
        .filter(|values| values.len() == n_values)
}

/// A tensor whose values may be overwritten: `tensor` itself, or a copy of it.
fn to_overwrite(tensor: FlexTensor) -> FlexTensor {
    let mut contiguous = tensor.to_contiguous();
    // A second handle, with which it would be copied every time.
    drop(tensor);
    match owned(&mut contiguous) {
        Some(_) => contiguous,
        None => {
            let shape = contiguous.layout().shape().clone();
            self::tensor(values(&contiguous).to_vec(), shape)
        }
    }
}

/// The values of what [`to_overwrite`] gave.
fn values_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    tensor.storage_mut()
}
