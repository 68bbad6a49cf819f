//! Guests in Rust, by cargo.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::error::BuildError;
use crate::tool::{root, run};

/// The target of guests in Rust and in C.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the plugin `name` of the workspace of `manifest` into `directory`.
pub(crate) fn build(manifest: &Path, name: &str, directory: &Path, flags: &str) -> Result<Vec<u8>, BuildError> {
    ensure_target()?;
    let mut command = cargo();
    // Its own directory has its own lock: the build that runs this holds the one of `target`.
    // Cargo's lock there also puts several processes in a row.
    command
        .args(["build", "--release", "--locked", "--quiet", "--target", TARGET])
        .args(["--package", name])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(directory);
    if !flags.is_empty() {
        command.env("RUSTFLAGS", flags);
    }
    run(name, &mut command)?;
    let path = directory.join(format!("{TARGET}/release/{}.wasm", name.replace('-', "_")));
    std::fs::read(&path).map_err(BuildError::file(path))
}

/// Cargo as a person would call it. What the outer cargo, rustc or test run set for itself is left
/// out, because flags for the host would break or rebuild the guests.
fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        if is_outer(&name) {
            command.env_remove(name);
        }
    }
    command
}

fn is_outer(name: &OsStr) -> bool {
    const PREFIXES: [&str; 9] = [
        "CARGO_BUILD_",
        "CARGO_CFG_",
        "CARGO_ENCODED_",
        "CARGO_FEATURE_",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_PROFILE_",
        "CARGO_TARGET_",
        "CARGO_LLVM_COV",
    ];
    const NAMES: [&str; 12] = [
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_INCREMENTAL",
        "CARGO_PRIMARY_PACKAGE",
        "LLVM_PROFILE_FILE",
        "RUSTC",
        "RUSTC_LINKER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOC",
        "RUSTDOCFLAGS",
        "RUSTFLAGS",
    ];
    let Some(name) = name.to_str() else {
        return false;
    };
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Sees to it that the WASM target is installed. Checked once in each process.
fn ensure_target() -> Result<(), BuildError> {
    static CHECKED: Mutex<bool> = Mutex::new(false);
    // A test that panicked meanwhile has not made the flag wrong.
    let mut checked = CHECKED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !*checked && !has_target()? {
        let added = rustup_add();
        if !added || !has_target()? {
            return Err(BuildError::Target);
        }
    }
    *checked = true;
    Ok(())
}

fn has_target() -> Result<bool, BuildError> {
    let output = Command::new(rustc())
        .current_dir(root())
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|source| BuildError::Run { program: "rustc".to_owned(), source })?;
    let directory = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(directory.trim()).is_dir())
}

fn rustup_add() -> bool {
    let output = Command::new("rustup").current_dir(root()).args(["target", "add", TARGET]).output();
    output.is_ok_and(|output| output.status.success())
}

/// The rustc beside the cargo in use.
fn rustc() -> OsString {
    env::var_os("CARGO")
        .map(|cargo| Path::new(&cargo).with_file_name("rustc").with_extension(env::consts::EXE_EXTENSION))
        .filter(|rustc| rustc.is_file())
        .map_or_else(|| "rustc".into(), PathBuf::into_os_string)
}
