//! A low-variance estimate of the divergence from the reference policy.

use burn::tensor::Tensor;

/// The k3 estimate of KL(policy || reference) at each sampled token, in nats:
///
/// ```text
/// k3_t = exp(ref_t - logp_t) - (ref_t - logp_t) - 1
/// ```
///
/// Never negative, zero where the two agree.
///
/// # Shapes
///
/// - all tensors and output: `[n_tokens]`
///
/// # Gradients
///
/// Only through `logprobs`.
///
/// # Source
///
/// J. Schulman, "Approximating KL divergence" (2020), estimator k3; used as in DeepSeekMath, arXiv
/// 2402.03300, eq. 4.
pub fn kl_k3(logprobs: Tensor<1>, ref_logprobs: Tensor<1>) -> Tensor<1> {
    let log_weight = ref_logprobs - logprobs;
    log_weight.clone().exp() - log_weight - 1.0
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData, Tolerance};

    use super::*;

    #[test]
    fn the_estimate_and_its_gradient_are_those_of_the_formula() {
        let device = Device::flex().autodiff();
        let leaf = Tensor::<1>::from_data([0.5f32.ln(), 0.25f32.ln()], &device).require_grad();
        let reference = Tensor::<1>::from_data([0.5f32.ln(), 0.5f32.ln()], &device);
        let estimate = kl_k3(leaf.clone(), reference);
        // Second token: weight 2, so 2 - ln 2 - 1.
        let want = TensorData::from([0.0f32, 1.0 - 2.0f32.ln()]);
        estimate
            .clone()
            .into_data()
            .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-6));
        // d k3 / d logp = 1 - weight.
        let found = leaf.grad(&estimate.sum().backward()).unwrap().into_data();
        found.assert_approx_eq::<f32>(&TensorData::from([0.0f32, -1.0]), Tolerance::absolute(1e-5));
    }
}
