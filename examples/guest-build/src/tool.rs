//! Programs and files around a build.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::error::BuildError;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where built guests are kept.
pub(crate) fn directory() -> PathBuf {
    root().join("target/guests")
}

/// The contract that guests are built against.
pub(crate) fn wit() -> PathBuf {
    root().join("crm-plugins/wit/v0_1")
}

/// Runs a program to its end. What it says is an error's text if it fails.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<(), BuildError> {
    let output = command.output().map_err(|source| {
        let program = command.get_program().to_string_lossy().into_owned();
        BuildError::Run { program, source }
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(BuildError::Build { name: name.to_owned(), output: words(&output) })
}

/// Refuses by name if a program does not start.
pub(crate) fn ensure(program: &'static str, hint: &'static str) -> Result<(), BuildError> {
    match Command::new(program).arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(_) | Err(_) => Err(BuildError::Missing { program, hint }),
    }
}

fn words(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}
