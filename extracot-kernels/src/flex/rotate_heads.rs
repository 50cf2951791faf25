//! Heads split off, turned by rotary positions and scaled.

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

use super::chunks::{for_each, part};
use super::{tensor, values};
use crate::vectorized::vectorized;

/// By how much every position of every row turns.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    cos: FlexTensor,
    sin: FlexTensor,
    scale: f32,
}

impl Turn {
    pub(super) fn new(cos: &FlexTensor, sin: &FlexTensor, scale: f32) -> Self {
        Self {
            cos: cos.to_contiguous(),
            sin: sin.to_contiguous(),
            scale,
        }
    }

    /// Cosines and sines of one row of a batch, `[seq, head_dim]`.
    fn of_row(&self, row: usize) -> [&[f32]; 2] {
        let [rows, _, seq, head_dim] = self.cos.layout().shape().dims::<4>();
        let size = seq * head_dim;
        [&self.cos, &self.sin].map(|table| part(values(table), row % rows, size))
    }
}

/// One head at one position, by the angle (`direction` 1) or back (-1).
#[inline(always)]
fn turn(x: &[f32], [cos, sin]: [&[f32]; 2], (scale, direction): (f32, f32), out: &mut [f32]) {
    let half = x.len() / 2;
    let ((a, b), (out_a, out_b)) = (x.split_at(half), out.split_at_mut(half));
    let angles = cos[..half].iter().zip(&sin[..half]);
    let outs = out_a.iter_mut().zip(out_b);
    for (((a, b), (cos, sin)), (out_a, out_b)) in a.iter().zip(b).zip(angles).zip(outs) {
        let sin = sin * direction;
        *out_a = (a * cos - b * sin) * scale;
        *out_b = (b * cos + a * sin) * scale;
    }
}

/// `[batch, seq, n_heads, head_dim]` to `[batch, n_heads, seq, head_dim]`
pub(super) fn forward(x: &FlexTensor, turned: &Turn) -> FlexTensor {
    let [batch, seq, n_heads, head_dim] = x.layout().shape().dims::<4>();
    let x = x.to_contiguous();
    let x = values(&x);
    let mut out = vec![0.0; x.len()];
    for_each(&mut out, seq * head_dim, |idx, out| {
        let (row, head) = (idx / n_heads, idx % n_heads);
        let angles = turned.of_row(row);
        vectorized(
            #[inline(always)]
            || {
                for (position, out) in out.chunks_exact_mut(head_dim).enumerate() {
                    let start = ((row * seq + position) * n_heads + head) * head_dim;
                    let x = &x[start..start + head_dim];
                    let angles = angles.map(
                        #[inline(always)]
                        |table| &table[position * head_dim..(position + 1) * head_dim],
                    );
                    turn(x, angles, (turned.scale, 1.0), out);
                }
            },
        );
    });
    tensor(out, Shape::new([batch, n_heads, seq, head_dim]))
}

/// The gradient by `x`: back by the same angles.
fn backward(grad: &FlexTensor, turned: &Turn) -> FlexTensor {
    let [batch, n_heads, seq, head_dim] = grad.layout().shape().dims::<4>();
    let grad = grad.to_contiguous();
    let grad = values(&grad);
    let mut by_x = vec![0.0; grad.len()];
    let width = n_heads * head_dim;
    for_each(&mut by_x, seq * width, |row, by_x| {
        let angles = turned.of_row(row);
        vectorized(
            #[inline(always)]
            || {
                for (position, by_x) in by_x.chunks_exact_mut(width).enumerate() {
                    let angles = angles.map(
                        #[inline(always)]
                        |table| &table[position * head_dim..(position + 1) * head_dim],
                    );
                    for (head, by_x) in by_x.chunks_exact_mut(head_dim).enumerate() {
                        let start = ((row * n_heads + head) * seq + position) * head_dim;
                        let grad = &grad[start..start + head_dim];
                        turn(grad, angles, (turned.scale, -1.0), by_x);
                    }
                }
            },
        );
    });
    tensor(by_x, Shape::new([batch, seq, n_heads, head_dim]))
}

#[derive(Debug)]
struct RotateHeads;

impl Backward<Flex, 1> for RotateHeads {
    type State = Turn;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [x_node] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node);
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, backward(&grad, &ops.state));
        }
    }
}

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

pub(super) fn tracked<C: CheckpointStrategy>(
    x: Tracked<C>,
    cos: Tracked<C>,
    sin: Tracked<C>,
    scale: f32,
) -> Tracked<C> {
    let node = x.node();
    let turned = Turn::new(cos.primitive(), sin.primitive(), scale);
    let out = forward(x.primitive(), &turned);
    match RotateHeads.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(turned, out),
        OpsKind::UnTracked(prep) => prep.finish(out),
    }
}
