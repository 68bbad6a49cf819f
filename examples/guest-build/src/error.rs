//! Why a guest was not built.

use std::path::PathBuf;

/// Why a guest was not built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A program did not start.
    #[error("could not run {program}")]
    Run {
        /// Which one.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program that a language needs is not there.
    #[error("there is no {program} here; {hint}")]
    Missing {
        /// Which one.
        program: &'static str,
        /// How to get it.
        hint: &'static str,
    },
    /// The compiler can't build for WASM, and rustup could not change that.
    #[error("the target {} is missing; run `rustup target add {}`", crate::TARGET, crate::TARGET)]
    Target,
    /// The guest does not build.
    #[error("plugin `{name}` did not build:\n{output}")]
    Build {
        /// The guest.
        name: String,
        /// What the tool said.
        output: String,
    },
    /// A file can't be read or written.
    #[error("could not use {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl BuildError {
    /// For `map_err`: what went wrong with a file.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> BuildError {
        let path = path.into();
        |source| BuildError::File { path, source }
    }
}
