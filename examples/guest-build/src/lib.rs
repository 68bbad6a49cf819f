//! Builds guests for the tests and examples that load them, so that no built file is kept and none
//! is out of date.
//!
//! ```no_run
//! let churn: Vec<u8> = guest_build::build("churn")?;
//! let in_python = guest_build::Language::Python.build()?;
//! # Ok::<(), guest_build::BuildError>(())
//! ```

mod c;
mod cargo;
mod error;
mod javascript;
mod kept;
mod python;
mod section;
mod tool;

use std::path::Path;

pub(crate) use cargo::TARGET;
pub use error::BuildError;
pub use section::with_manifest;

/// Builds the example plugin `name` as its author would, and returns the file. Costs a fraction of
/// a second if nothing changed.
///
/// # Errors
///
/// If the WASM target is neither there nor to be had, or the plugin does not build.
pub fn build(name: &str) -> Result<Vec<u8>, BuildError> {
    build_in(&tool::root().join("examples/plugins/Cargo.toml"), name)
}

/// Builds the plugin `name` of another workspace, which must have a `Cargo.lock`. All guests are
/// built into one directory, so `name` must not be that of an example plugin.
///
/// # Errors
///
/// As [`build`].
pub fn build_in(manifest: &Path, name: &str) -> Result<Vec<u8>, BuildError> {
    cargo::build(manifest, name, &tool::directory(), "")
}

/// As [`build_in`], with fixed-width vector instructions, which every host runs.
///
/// # Errors
///
/// As [`build`].
pub fn build_simd_in(manifest: &Path, name: &str) -> Result<Vec<u8>, BuildError> {
    cargo::build(manifest, name, &tool::directory().join("simd"), "-C target-feature=+simd128")
}

/// The languages in which `examples/plugins` has the churn scorer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// By cargo: `churn`.
    Rust,
    /// By clang and wasm-ld: `churn-c`.
    C,
    /// By componentize-js from npm: `churn-javascript`. The first build installs 400 MB of packages below `target`.
    JavaScript,
    /// By componentize-py from PyPI: `churn-python`. The first build makes an environment below `target`.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 4] = [Language::Rust, Language::C, Language::JavaScript, Language::Python];

    /// Builds the churn scorer in this language. A file that was built of the same sources is taken as it is.
    ///
    /// # Errors
    ///
    /// [`BuildError::Missing`] if the language's tools are not there; else as [`build`].
    pub fn build(self) -> Result<Vec<u8>, BuildError> {
        match self {
            Language::Rust => build("churn"),
            Language::C => c::build("churn-c", "churn"),
            Language::JavaScript => javascript::build("churn-javascript", "churn"),
            Language::Python => python::build("churn-python", "churn"),
        }
    }
}
