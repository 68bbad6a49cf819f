//! A project made a WASM file, as its author would by hand.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target that plugins are built for: it has no system below it, so nothing to import.
const TARGET: &str = "wasm32-unknown-unknown";

/// A file that cargo built.
#[derive(Debug, Clone)]
pub struct Built {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no project in the folder itself; cargo would take one around it.
    #[error("there is no Cargo.toml in {}", project.display())]
    NoProject {
        /// The folder.
        project: PathBuf,
    },
    /// Cargo did not start.
    #[error("could not run cargo")]
    Cargo(#[source] std::io::Error),
    /// The project does not build.
    #[error("cargo could not build {}:\n{output}", project.display())]
    Failed {
        /// Which one.
        project: PathBuf,
        /// What cargo said.
        output: String,
    },
    /// The project built, but into no WASM file.
    #[error("{} builds no WASM file", project.display())]
    NoFile {
        /// Which one.
        project: PathBuf,
    },
    /// The file was built and can't be read.
    #[error("could not read {}", path.display())]
    Read {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Builds the project in the folder `project` in release mode and returns its WASM file. Cargo's own
/// settings hold, the target folder among them. Costs a fraction of a second if nothing changed.
///
/// # Errors
///
/// If cargo is missing, the project does not build, or it makes no `cdylib`.
pub fn build(project: impl AsRef<Path>) -> Result<Built, BuildError> {
    let project = project.as_ref();
    if !project.join("Cargo.toml").is_file() {
        return Err(BuildError::NoProject { project: project.to_owned() });
    }
    let output = cargo()
        .current_dir(project)
        .args(["build", "--release", "--lib", "--target", TARGET, "--message-format", "json-render-diagnostics"])
        .stdin(Stdio::null())
        .output()
        .map_err(BuildError::Cargo)?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(BuildError::Failed { project: project.to_owned(), output });
    }
    // The project's own file comes after those of what it depends on.
    let messages = String::from_utf8_lossy(&output.stdout);
    let path =
        messages.lines().rev().find_map(wasm_of).ok_or_else(|| BuildError::NoFile { project: project.into() })?;
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Built { path, bytes }),
        Err(source) => Err(BuildError::Read { path, source }),
    }
}

/// The WASM file that a message of cargo's names.
fn wasm_of(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let files = message.get("filenames")?.as_array()?;
    let file = files.iter().filter_map(|file| file.as_str()).find(|file| file.ends_with(".wasm"))?;
    Some(file.into())
}

/// Cargo as a person would call it: what an outer cargo or test run set for the build of this machine's
/// own code would break or rebuild a guest.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let is_outers = name.to_str().is_some_and(|name| {
            ["CARGO_CFG_", "CARGO_ENCODED_", "CARGO_FEATURE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_LLVM_COV"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
                || ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "LLVM_PROFILE_FILE"].contains(&name)
        });
        if is_outers {
            command.env_remove(name);
        }
    }
    command
}
