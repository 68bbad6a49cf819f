//! Builds guests for the tests and examples that load them, so that no built file is kept and none
//! is out of date.
//!
//! ```no_run
//! let churn: Vec<u8> = guest_build::build("churn")?;
//! # Ok::<(), guest_build::BuildError>(())
//! ```

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

const TARGET: &str = "wasm32-unknown-unknown";

/// Builds the example plugin `name` as its author would, and returns the file. Costs a fraction of
/// a second if nothing changed.
///
/// # Errors
///
/// If the WASM target is neither there nor to be had, or the plugin does not build.
pub fn build(name: &str) -> Result<Vec<u8>, BuildError> {
    build_in(&root().join("examples/plugins/Cargo.toml"), name)
}

/// Builds the plugin `name` of another workspace, which must have a `Cargo.lock`. All guests are
/// built into one directory, so `name` must not be that of an example plugin.
///
/// # Errors
///
/// As [`build`].
pub fn build_in(manifest: &Path, name: &str) -> Result<Vec<u8>, BuildError> {
    ensure_target()?;
    // Its own directory has its own lock: the build that runs this holds the one of `target`.
    // Cargo's lock there also puts several processes in a row.
    let directory = root().join("target/guests");
    let output = cargo()
        .args(["build", "--release", "--locked", "--quiet", "--target", TARGET])
        .args(["--package", name])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(&directory)
        .output()
        .map_err(|source| BuildError::Run { program: "cargo", source })?;
    if !output.status.success() {
        return Err(BuildError::Cargo { name: name.to_owned(), output: words(&output) });
    }
    let file = format!("{TARGET}/release/{}.wasm", name.replace('-', "_"));
    let path = directory.join(file);
    std::fs::read(&path).map_err(|source| BuildError::Read { path, source })
}

/// Why a guest was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A program did not start.
    #[error("could not run {program}")]
    Run {
        /// Which one.
        program: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The compiler can't build for WASM, and rustup could not change that.
    #[error("the target {TARGET} is missing; run `rustup target add {TARGET}`")]
    Target,
    /// The guest does not compile.
    #[error("plugin `{name}` did not build:\n{output}")]
    Cargo {
        /// The guest.
        name: String,
        /// What cargo said.
        output: String,
    },
    /// The guest was built, and its file can't be read.
    #[error("could not read {}", path.display())]
    Read {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// The root of the repository.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
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
        .map_err(|source| BuildError::Run { program: "rustc", source })?;
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

fn words(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}
