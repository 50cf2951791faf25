//! Initial weights, drawn on the host from a named stream: the same on every device, no device RNG.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor, TensorData};
use extracot_core::Seed;
use rand::RngExt;

/// Draws every matrix of `module` from a normal distribution; vectors are left as they are.
///
/// A matrix gets the deviation `gain / sqrt(d_input)`; the one named `embed_tokens` (or another
/// embedding) gets `gain_embedding`. Each parameter has its own stream, named by its path.
///
/// # Source
///
/// Our choice: the scale of transformers' `initializer_range = 0.02` is that of wide models.
pub fn randomize<M: Module>(module: M, gain: f64, gain_embedding: f64, seed: Seed) -> M {
    let mut mapper = Randomizer {
        path: Vec::new(),
        gain,
        gain_embedding,
        seed,
    };
    module.map(&mut mapper)
}

struct Randomizer {
    path: Vec<(String, bool)>,
    gain: f64,
    gain_embedding: f64,
    seed: Seed,
}

impl ModuleMapper for Randomizer {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path
            .push((name.to_owned(), container_type == "Struct:Embedding"));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 2 {
            return param;
        }
        let names: Vec<&str> = self.path.iter().map(|(name, _)| name.as_str()).collect();
        let is_embedding = self.path.iter().any(|(_, embedding)| *embedding);
        let mut rng = self.seed.derive(&names.join("."), 0).rng();
        param.map(|tensor| {
            let dims: [usize; D] = tensor.dims();
            let deviation = match is_embedding {
                true => self.gain_embedding,
                false => self.gain / (dims[0] as f64).sqrt(),
            };
            let n_values = dims.iter().product();
            let values: Vec<f32> = (0..n_values)
                .map(|_| (normal(&mut rng) * deviation) as f32)
                .collect();
            let device = tensor.device();
            let fresh =
                Tensor::<D>::from_data(TensorData::new(values, dims), (&device, DType::F32));
            if tensor.is_require_grad() {
                fresh.require_grad()
            } else {
                fresh
            }
        })
    }
}

/// A standard normal draw (Box-Muller, one of the pair).
fn normal(rng: &mut impl RngExt) -> f64 {
    let u: f64 = 1.0 - rng.random::<f64>();
    let v: f64 = rng.random();
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
