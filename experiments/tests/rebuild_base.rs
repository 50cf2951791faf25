//! The shipped base model and its recipe belong together.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// A shortened rebuild.
fn rebuild(out: &Path, n_threads: usize) {
    let shortened = [
        "base.first.sft.n_steps=4",
        "base.first.sft.batch_size=4",
        "base.second.sft.n_steps=2",
        "base.second.sft.batch_size=4",
    ];
    let status = Command::new(env!("CARGO_BIN_EXE_build_base"))
        .args(shortened.iter().flat_map(|setting| ["--set", setting]))
        .args(["--quiet", "--out"])
        .arg(out)
        .env("RAYON_NUM_THREADS", n_threads.to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_rebuild_is_deterministic_and_fits_what_is_shipped() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    rebuild(&one, 1);
    rebuild(&two, 2);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base");
    for name in [
        "config.json",
        "tokenizer.json",
        "model.safetensors",
        "tokenizer_config.json",
        "generation_config.json",
        "chat_template.jinja",
    ] {
        let built = fs::read(one.join(name)).unwrap();
        assert!(
            built == fs::read(two.join(name)).unwrap(),
            "{name} differs between two rebuilds"
        );
        // The weights need the whole training; the rest must be what is shipped.
        if name != "model.safetensors" {
            assert!(
                built == fs::read(shipped.join(name)).unwrap(),
                "{name} is not what is shipped"
            );
        }
    }
    // The weights come from the recipe that stands in the source.
    let recipe = |text: &str| text.parse::<toml::Table>().unwrap();
    let shipped_recipe = fs::read_to_string(shipped.join("recipe.toml")).unwrap();
    let source = include_str!("../configs/build_base/base.toml");
    assert_eq!(recipe(&shipped_recipe), recipe(source));
    assert!(
        fs::read_to_string(one.join("recipe.toml"))
            .unwrap()
            .contains("n_steps = 4")
    );

    let size = fs::metadata(shipped.join("model.safetensors"))
        .unwrap()
        .len();
    assert!(size < 4_000_000, "{size}");
}
