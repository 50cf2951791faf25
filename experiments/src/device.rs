//! The one place that picks a device.

use std::num::NonZeroUsize;

use anyhow::{Result, bail};
use burn::tensor::Device;
#[cfg(any(feature = "vulkan", feature = "wgpu", feature = "cuda"))]
use burn::tensor::DeviceType;

/// Which device of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(any(feature = "vulkan", feature = "wgpu", feature = "cuda")),
    allow(dead_code, reason = "the CPU has no number")
)]
enum Place {
    /// What the driver prefers; the only one of flex.
    Preferred,
    /// The discrete GPU of this number.
    Number(usize),
    /// A driver that computes on the CPU.
    Software,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Preferred => Ok(()),
            Self::Number(number) => write!(f, ":{number}"),
            Self::Software => f.write_str(":cpu"),
        }
    }
}

/// The device of a `--device` argument, if this build and this machine have it.
///
/// `flex` is the CPU. `vulkan`, `wgpu` and `cuda` are what the driver prefers, with `:N` the discrete GPU of
/// that number; `vulkan:cpu` and `wgpu:cpu` are a driver that computes on the CPU, as Mesa's lavapipe does.
///
/// # Errors
///
/// If the name is unknown, its feature is off, or no driver finds such a device.
pub fn device(name: &str) -> Result<Device> {
    let (kind, place) = parse(name)?;
    // Without a GPU feature no arm reads it.
    let _ = place;
    match kind {
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "vulkan")]
        "vulkan" => present(kind, place, DeviceType::Vulkan, |place| {
            Device::vulkan(adapter(place))
        }),
        #[cfg(feature = "wgpu")]
        "wgpu" => present(kind, place, DeviceType::Wgpu, |place| {
            Device::wgpu(adapter(place))
        }),
        #[cfg(feature = "cuda")]
        "cuda" => present(kind, place, DeviceType::Cuda, |place| match place {
            Place::Number(number) => Device::cuda(number),
            Place::Preferred | Place::Software => Device::cuda(0),
        }),
        _ => bail!(
            "this build has no `{kind}` device; build with `--features {kind}` \
             (see README, section Devices)"
        ),
    }
}

/// The kind of a device and which one of it.
fn parse(name: &str) -> Result<(&str, Place)> {
    let (kind, place) = match name.split_once(':') {
        Some((kind, place)) => (kind, Some(place)),
        None => (name, None),
    };
    let place = match (kind, place) {
        ("flex" | "vulkan" | "wgpu" | "cuda", None) => Place::Preferred,
        ("vulkan" | "wgpu", Some("cpu")) => Place::Software,
        ("vulkan" | "wgpu" | "cuda", Some(number)) => match number.parse() {
            Ok(number) => Place::Number(number),
            Err(_) => bail!("device `{name}`: `{number}` is no device number"),
        },
        ("flex", Some(_)) => bail!("device `{name}`: flex is the CPU, write `flex`"),
        _ => bail!(
            "unknown device `{name}`; known are flex, vulkan, wgpu, cuda, with :N for a number; \
             vulkan:cpu and wgpu:cpu for a software device"
        ),
    };
    Ok((kind, place))
}

/// What the device is called by its driver; nothing for flex. Opens the device.
pub fn adapter_name(device: &Device) -> Option<String> {
    #[cfg(any(feature = "vulkan", feature = "wgpu", feature = "cuda"))]
    return device.identity().map(|identity| identity.name);
    #[cfg(not(any(feature = "vulkan", feature = "wgpu", feature = "cuda")))]
    {
        let _ = device;
        None
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

#[cfg(any(feature = "vulkan", feature = "wgpu"))]
fn adapter(place: Place) -> burn::tensor::DeviceKind {
    match place {
        Place::Preferred => burn::tensor::DeviceKind::DefaultDevice,
        Place::Number(number) => burn::tensor::DeviceKind::DiscreteGpu(number),
        Place::Software => burn::tensor::DeviceKind::Cpu,
    }
}

/// The device at `place` if a driver has it: burn panics at the first tensor on one that is not there.
#[cfg(any(feature = "vulkan", feature = "wgpu", feature = "cuda"))]
fn present(
    kind: &str,
    place: Place,
    listed: DeviceType,
    at: impl Fn(Place) -> Device,
) -> Result<Device> {
    let found = Device::enumerate(listed);
    let is_there = match place {
        // Another name of one of those found.
        Place::Preferred => !found.is_empty(),
        Place::Number(_) | Place::Software => found.contains(&at(place)),
    };
    if is_there {
        return Ok(at(place));
    }
    let numbers = (0..found.len()).map(Place::Number);
    let names: Vec<String> = numbers
        .chain([Place::Software])
        .filter(|place| found.contains(&at(*place)))
        .map(|place| format!("`{kind}{place}`"))
        .collect();
    let found = match (found.len(), names.is_empty()) {
        (0, _) => "none".to_owned(),
        (n_devices, true) => format!("{n_devices} without a number"),
        (_, false) => names.join(", "),
    };
    bail!("this machine has no device `{kind}{place}` (found: {found}); see docs/backends.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_kind_and_place() {
        assert_eq!(parse("flex").unwrap(), ("flex", Place::Preferred));
        assert_eq!(parse("wgpu").unwrap(), ("wgpu", Place::Preferred));
        assert_eq!(parse("wgpu:cpu").unwrap(), ("wgpu", Place::Software));
        assert_eq!(parse("vulkan:cpu").unwrap(), ("vulkan", Place::Software));
        assert_eq!(parse("cuda:12").unwrap(), ("cuda", Place::Number(12)));
    }

    #[test]
    fn a_wrong_name_is_told_by_what_is_wrong_with_it() {
        for (name, part) in [
            ("tpu", "unknown device `tpu`; known are flex"),
            ("tpu:0", "unknown device `tpu:0`"),
            ("", "unknown device ``"),
            ("wgpu:", "`` is no device number"),
            ("vulkan:gpu", "`gpu` is no device number"),
            ("cuda:cpu", "`cpu` is no device number"),
            ("flex:0", "device `flex:0`: flex is the CPU"),
        ] {
            let error = parse(name).unwrap_err().to_string();
            assert!(error.contains(part), "{name}: {error}");
        }
    }
}
