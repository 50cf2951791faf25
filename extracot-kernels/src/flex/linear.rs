//! Rows times a matrix of weights.

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

use super::gemm::{Matrix, forwards, in_slices, matrix_at, product, steady_product};
use super::{tensor, values};

/// All rows of a contiguous tensor.
fn rows(x: &FlexTensor) -> Matrix<'_> {
    let (width, outer) = match x.layout().shape().as_slice() {
        [outer @ .., width] => (*width, outer),
        [] => (1, [].as_slice()),
    };
    Matrix::rows(values(x), [outer.iter().product(), width])
}

fn with_width(shape: &Shape, width: usize) -> Shape {
    let mut dims = shape.as_slice().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = width;
    }
    Shape::from(dims)
}

/// `x w` for `x` of `[.., d_input]` and `w` of `[d_input, d_output]`: a row does not depend on those beside it, so
/// that a rollout does not on its batch.
pub(super) fn forward(x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    forward_by(steady_product, x, weight)
}

fn forward_by(
    product: impl Fn(Matrix<'_>, Matrix<'_>) -> Vec<f32>,
    x: &FlexTensor,
    weight: &FlexTensor,
) -> FlexTensor {
    let shape = with_width(x.layout().shape(), weight.layout().shape()[1]);
    let (x, weight) = (x.to_contiguous(), in_slices(weight));
    tensor(product(rows(&x), matrix_at(&weight, 0)), shape)
}

fn by_input(weight: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let shape = with_width(grad.layout().shape(), weight.layout().shape()[0]);
    let weight = forwards(weight);
    let by_input = product(rows(grad), matrix_at(&weight, 0).transposed());
    tensor(by_input, shape)
}

/// In the memory order of the weight, so that a transposed view of a weight gets one of its gradient.
fn by_weight(x: &FlexTensor, weight: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
    let x = x.to_contiguous();
    let [d_input, d_output] = weight.layout().shape().dims::<2>();
    let (x, grad) = (rows(&x), rows(grad));
    match matrix_at(&forwards(weight), 0).is_row_major() {
        true => {
            let shape = Shape::new([d_input, d_output]);
            tensor(product(x.transposed(), grad), shape)
        }
        false => {
            let shape = Shape::new([d_output, d_input]);
            tensor(product(grad.transposed(), x), shape).transpose(0, 1)
        }
    }
}

#[derive(Debug)]
struct Linear;

impl Backward<Flex, 2> for Linear {
    type State = (FlexTensor, FlexTensor);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [x_node, weight_node] = ops.parents;
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (x, weight) = ops.state;
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, by_input(&weight, &grad));
        }
        if let Some(node) = weight_node {
            grads.register::<Flex>(node.id, by_weight(&x, &weight, &grad));
        }
    }
}

type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

pub(super) fn tracked<C: CheckpointStrategy>(x: Tracked<C>, weight: Tracked<C>) -> Tracked<C> {
    let nodes = [x.node(), weight.node()];
    let (x, weight) = (x.into_primitive(), weight.into_primitive());
    let out = forward_by(product, &x, &weight);
    match Linear.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((x, weight), out),
        OpsKind::UnTracked(prep) => prep.finish(out),
    }
}
