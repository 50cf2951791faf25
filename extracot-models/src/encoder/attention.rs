//! Self-attention with what follows it, under the names of the checkpoint.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::{Device, Tensor};

use super::{EncoderSize, ResidualNorm, SelfAttention};

/// Self-attention and what follows it in one block.
///
/// A module by hand: in the checkpoint the first part is called `self`, which no field can be.
#[derive(Debug, Clone)]
pub(crate) struct Attention<A> {
    attention: A,
    output: ResidualNorm,
}

/// The names of the parts in the checkpoint.
const ATTENTION: &str = "self";
const OUTPUT: &str = "output";
const CONTAINER: &str = "Struct:Attention";

impl<A: SelfAttention> Attention<A> {
    pub(super) fn new(size: &EncoderSize, device: &Device) -> Self {
        Self {
            attention: A::new(size, device),
            output: ResidualNorm::new(size.hidden_size, size, device),
        }
    }

    /// # Shapes
    ///
    /// - `x` and output: `[batch, seq, d_model]`
    pub(super) fn forward(&self, x: Tensor<3>, pattern: &A::Pattern) -> Tensor<3> {
        self.output
            .forward(self.attention.forward(x.clone(), pattern), x)
    }
}

impl<A: Module> Module for Attention<A> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.output
            .collect_devices(self.attention.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        Self {
            attention: self.attention.fork(device),
            output: self.output.fork(device),
        }
    }

    fn to_device(self, device: &Device) -> Self {
        Self {
            attention: self.attention.to_device(device),
            output: self.output.to_device(device),
        }
    }

    fn train(self) -> Self {
        Self {
            attention: self.attention.train(),
            output: self.output.train(),
        }
    }

    fn valid(&self) -> Self {
        Self {
            attention: self.attention.valid(),
            output: self.output.valid(),
        }
    }

    fn materialize(self) -> Self {
        Self {
            attention: self.attention.materialize(),
            output: self.output.materialize(),
        }
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.enter_module(ATTENTION, CONTAINER);
        self.attention.visit(visitor);
        visitor.exit_module(ATTENTION, CONTAINER);
        visitor.enter_module(OUTPUT, CONTAINER);
        self.output.visit(visitor);
        visitor.exit_module(OUTPUT, CONTAINER);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        mapper.enter_module(ATTENTION, CONTAINER);
        let attention = self.attention.map(mapper);
        mapper.exit_module(ATTENTION, CONTAINER);
        mapper.enter_module(OUTPUT, CONTAINER);
        let output = self.output.map(mapper);
        mapper.exit_module(OUTPUT, CONTAINER);
        Self { attention, output }
    }
}

impl<A: Module + ModuleDisplay> ModuleDisplayDefault for Attention<A> {
    fn content(&self, content: Content) -> Option<Content> {
        content
            .add(ATTENTION, &self.attention)
            .add(OUTPUT, &self.output)
            .optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl<A: Module + ModuleDisplay> ModuleDisplay for Attention<A> {}
