//! Tells the program what compiled it: `extracot bench` writes it beside its measurements.
#![allow(clippy::print_stdout, reason = "cargo reads standard output")]

use std::process::Command;

fn main() {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("--version").output().ok();
    let version = output.and_then(|output| String::from_utf8(output.stdout).ok());
    let version = version.as_deref().map_or("unknown", str::trim);
    let optimization = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo::rustc-env=EXTRACOT_RUSTC={version}");
    println!("cargo::rustc-env=EXTRACOT_OPT_LEVEL={optimization}");
    println!("cargo::rerun-if-changed=build.rs");
}
