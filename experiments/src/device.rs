//! The one place that picks a device.

use std::num::NonZeroUsize;

use anyhow::{Result, bail};
use burn::tensor::Device;

/// The device of a `--device` argument, if this build has it.
///
/// # Errors
///
/// If the name is unknown or its feature is off.
pub fn device(name: &str) -> Result<Device> {
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) => match index.parse::<usize>() {
            Ok(index) => (kind, index),
            Err(_) => bail!("device `{name}`: `{index}` is no device number"),
        },
        None => (name, 0),
    };
    // Without a GPU feature no arm reads the number.
    let _ = index;
    match kind {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(kind_of(name, index))),
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Device::wgpu(kind_of(name, index))),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(index)),
        #[allow(
            unreachable_patterns,
            reason = "a build with every feature knows every name above"
        )]
        "flex" | "vulkan" | "wgpu" | "cuda" => bail!(
            "this build has no `{kind}` device; build with `--features {kind}` \
             (see README, section Devices)"
        ),
        _ => bail!(
            "unknown device `{name}`; known are flex, vulkan, wgpu, cuda, with :N for a number"
        ),
    }
}

/// Sets the number of threads that burn-flex computes in; without one it is that of the cores.
///
/// # Errors
///
/// If it was set before.
pub fn set_threads(n_threads: Option<NonZeroUsize>) -> Result<()> {
    if let Some(n_threads) = n_threads {
        let pool = rayon::ThreadPoolBuilder::new();
        pool.num_threads(n_threads.get()).build_global()?;
    }
    Ok(())
}

/// The numbered discrete GPU where a number was given, else what the driver prefers.
#[cfg(any(feature = "vulkan", feature = "wgpu"))]
fn kind_of(name: &str, index: usize) -> burn::tensor::DeviceKind {
    match name.contains(':') {
        true => burn::tensor::DeviceKind::DiscreteGpu(index),
        false => burn::tensor::DeviceKind::DefaultDevice,
    }
}
