//! Initial weights, drawn on the host from a named stream: the same on every device, no device RNG.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
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

/// Draws the rows of an embedding that belong to new tokens like the rows of trained ones: each
/// channel from a normal distribution with the mean and deviation of the first `n_trained` rows.
///
/// A token that training never showed keeps its first draw as an input and, with a tied head, is
/// pushed like every other such token as an output: they end up alike. Drawn anew, they are as far
/// from each other as trained tokens are.
///
/// # Shapes
///
/// - `weight` and output: `[vocab, d_model]`
///
/// # Panics
///
/// If an id or `n_trained` exceeds the rows, or `n_trained` is 0.
///
/// # Source
///
/// Our choice.
pub fn draw_new_rows(weight: Tensor<2>, ids: &[u32], n_trained: usize, seed: Seed) -> Tensor<2> {
    let [vocab, d_model] = weight.dims();
    assert!((1..=vocab).contains(&n_trained), "{n_trained} of {vocab}");
    let (device, dtype) = (weight.device(), weight.dtype());
    let mut values: Vec<f32> = weight.into_data().iter::<f32>().collect();
    let moments: Vec<(f64, f64)> = (0..d_model)
        .map(|channel| {
            let column = values.iter().skip(channel).step_by(d_model).take(n_trained);
            let column: Vec<f64> = column.map(|value| f64::from(*value)).collect();
            let mean = column.iter().sum::<f64>() / n_trained as f64;
            let square = |value: &f64| (value - mean).powi(2);
            let variance = column.iter().map(square).sum::<f64>() / n_trained as f64;
            (mean, variance.sqrt())
        })
        .collect();
    for id in ids {
        let mut rng = seed.derive("new-row", u64::from(*id)).rng();
        let start = *id as usize * d_model;
        for (value, (mean, deviation)) in values[start..start + d_model].iter_mut().zip(&moments) {
            *value = (mean + normal(&mut rng) * deviation) as f32;
        }
    }
    let data = TensorData::new(values, [vocab, d_model]);
    Tensor::from_data(data, (&device, dtype))
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
                Tensor::<D>::from_data(TensorData::new(values, dims), (&device, tensor.dtype()));
            if tensor.is_require_grad() {
                fresh.require_grad()
            } else {
                fresh
            }
        })
    }
}

/// A standard normal draw (Box-Muller, one of the pair).
pub(crate) fn normal(rng: &mut impl RngExt) -> f64 {
    let u: f64 = 1.0 - rng.random::<f64>();
    let v: f64 = rng.random();
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn new_rows_are_like_the_trained_ones_and_unlike_each_other() {
        let device = Device::flex();
        // Channels 0 and 1 are 3 and alternately 1 and -1 in the trained rows; the last two are new.
        let trained = (0..4).flat_map(|row| [3.0, 1.0 - 2.0 * (row % 2) as f32]);
        let values: Vec<f32> = trained.chain([0.0; 4]).collect();
        let weight = Tensor::from_data(TensorData::new(values.clone(), [6, 2]), &device);
        let found = draw_new_rows(weight, &[4, 5], 4, Seed(1)).into_data();
        let found: Vec<f32> = found.iter::<f32>().collect();
        assert_eq!(found[..8], values[..8]);
        // No deviation in the first channel, one in the second.
        assert_eq!((found[8], found[10]), (3.0, 3.0));
        assert!((found[9] - found[11]).abs() > 1e-3 && found[9].abs() < 5.0);
    }
}
