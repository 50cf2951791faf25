//! `silu(gate) * up`

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;

use super::chunks::{VALUES, for_each, for_each2, part};
use super::simd::sigmoid;
use super::{tensor, to_overwrite, values, values_mut};
use crate::vectorized::vectorized;

/// In the memory of `gate` where nothing else holds it.
pub(super) fn forward(gate: FlexTensor, up: &FlexTensor) -> FlexTensor {
    let mut out = to_overwrite(gate);
    let up = up.to_contiguous();
    let up = values(&up);
    for_each(values_mut(&mut out), VALUES, |idx, out| {
        let up = part(up, idx, VALUES);
        vectorized(
            #[inline(always)]
            || {
                for (out, up) in out.iter_mut().zip(up) {
                    *out = *out * sigmoid(*out) * up;
                }
            },
        );
    });
    out
}

/// Gradients by gate and up:
///
/// ```text
/// d gate = g up s (1 + gate (1 - s))        s = sigmoid(gate)
/// d up   = g gate s
/// ```
fn backward(gate: &FlexTensor, up: &FlexTensor, grad: FlexTensor) -> (FlexTensor, FlexTensor) {
    let shape = gate.layout().shape().clone();
    let mut by_gate = to_overwrite(grad);
    let (gate, up) = (gate.to_contiguous(), up.to_contiguous());
    let (gate, up) = (values(&gate), values(&up));
    let mut by_up = vec![0.0; gate.len()];
    let grads = (values_mut(&mut by_gate), VALUES);
    for_each2(grads, (&mut by_up, VALUES), |idx, grad, by_up| {
        let (gate, up) = (part(gate, idx, VALUES), part(up, idx, VALUES));
        vectorized(
            #[inline(always)]
            || {
                let inputs = gate.iter().zip(up);
                for ((grad, by_up), (gate, up)) in grad.iter_mut().zip(by_up).zip(inputs) {
                    let s = sigmoid(*gate);
                    *by_up = *grad * gate * s;
                    *grad = *grad * up * (s * (1.0 + gate * (1.0 - s)));
                }
            },
        );
    });
    (by_gate, tensor(by_up, shape))
}

#[derive(Debug)]
struct SiluGate;

impl Backward<Flex, 2> for SiluGate {
    type State = (FlexTensor, FlexTensor);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [gate_node, up_node] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node);
        let (gate, up) = ops.state;
        let (by_gate, by_up) = backward(&gate, &up, grad);
        if let Some(node) = gate_node {
            grads.register::<Flex>(node.id, by_gate);
        }
        if let Some(node) = up_node {
            grads.register::<Flex>(node.id, by_up);
        }
    }
}

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

pub(super) fn tracked<C: CheckpointStrategy>(gate: Tracked<C>, up: Tracked<C>) -> Tracked<C> {
    let nodes = [gate.node(), up.node()];
    let (gate, up) = (gate.into_primitive(), up.into_primitive());
    match SiluGate.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let out = forward(gate.clone(), &up);
            prep.finish((gate, up), out)
        }
        OpsKind::UnTracked(prep) => prep.finish(forward(gate, &up)),
    }
}
