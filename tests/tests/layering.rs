//! Dependencies point one way, the core knows no tensors, and libraries pick no backend.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

/// Lines of the `[dependencies]` section of a member's manifest.
fn dependencies(member: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(member)
        .join("Cargo.toml");
    let text = fs::read_to_string(path).unwrap();
    let section = text
        .split("\n[")
        .find(|section| section.starts_with("dependencies]"))
        .unwrap();
    section
        .lines()
        .skip(1)
        .filter(|line| line.contains('='))
        .map(str::to_owned)
        .collect()
}

#[test]
fn crates_depend_downwards_only() {
    let order = [
        "extracot-core",
        "extracot-kernels",
        "extracot-models",
        "extracot-train",
        "experiments",
    ];
    for (idx, member) in order.iter().enumerate() {
        for upper in &order[idx..] {
            let found = dependencies(member)
                .into_iter()
                .find(|line| line.starts_with(upper));
            assert_eq!(found, None, "{member} depends on {upper}");
        }
    }
}

#[test]
fn the_core_has_no_burn_and_libraries_no_backend() {
    assert!(
        !dependencies("extracot-core")
            .iter()
            .any(|line| line.starts_with("burn"))
    );
    for member in ["extracot-models", "extracot-train"] {
        for line in dependencies(member) {
            for backend in ["flex", "wgpu", "vulkan", "cuda", "rayon"] {
                assert!(!line.contains(backend), "{member}: {line}");
            }
        }
    }
}

#[test]
fn libraries_print_nothing_and_read_no_environment() {
    fn visit(folder: &Path, check: &dyn Fn(&Path, &str)) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, check);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                check(&path, &fs::read_to_string(&path).unwrap());
            }
        }
    }
    for member in [
        "extracot-core",
        "extracot-kernels",
        "extracot-models",
        "extracot-train",
    ] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(member)
            .join("src");
        visit(&source, &|path, text| {
            for word in ["println!", "eprintln!", "env::var", "Device::default()"] {
                assert!(!text.contains(word), "{} has {word}", path.display());
            }
        });
    }
}
