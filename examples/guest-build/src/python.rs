//! Guests in Python, by componentize-py from PyPI, which puts CPython and the script into one component.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::BuildError;
use crate::kept::{Inputs, kept};
use crate::section::with_manifest;
use crate::tool::{directory, ensure, root, run, wit};

/// Builds `name.py` in the example plugin `folder`, with the manifest `plugin.json` beside it.
pub(crate) fn build(folder: &str, name: &str) -> Result<Vec<u8>, BuildError> {
    const HINT: &str = "install Python 3.9 or newer with its module venv (Debian: python3-venv)";
    ensure("python3", HINT)?;
    let has_venv = Command::new("python3").args(["-c", "import ensurepip, venv"]).output();
    if !has_venv.is_ok_and(|output| output.status.success()) {
        return Err(BuildError::Missing { program: "venv of Python", hint: HINT });
    }
    let folder = root().join("examples/plugins").join(folder);
    let script = format!("{name}.py");
    let requirements = folder.join("requirements.txt");
    let inputs = Inputs::default().word("python").file(&folder.join(&script))?;
    let inputs = inputs.file(&requirements)?.file(&wit().join("plugin.wit"))?;
    let component = kept(&format!("{name}-python"), inputs, |output| {
        let environment = directory().join("python");
        install(&environment, &requirements)?;
        // A copy, so that Python leaves no compiled files among the sources.
        let copy = environment.join("source");
        fs::create_dir_all(&copy).map_err(BuildError::file(&copy))?;
        fs::copy(folder.join(&script), copy.join(&script)).map_err(BuildError::file(copy.join(&script)))?;
        let mut command = Command::new(environment.join("bin/componentize-py"));
        command.current_dir(&copy).arg("-d").arg(wit()).args(["-w", "scorer-plugin", "componentize"]);
        // A plugin is given nothing of WASI: what the interpreter would ask for traps.
        command.arg(name).arg("--stub-wasi").arg("-o").arg(output);
        run(name, &mut command)
    })?;
    let manifest = folder.join("plugin.json");
    Ok(with_manifest(component, &fs::read(&manifest).map_err(BuildError::file(manifest))?))
}

/// What the requirements say, in an environment of its own, if it is not there yet.
fn install(environment: &Path, requirements: &Path) -> Result<(), BuildError> {
    let installed = environment.join("installed-requirements.txt");
    let read = |path: &Path| fs::read(path).ok();
    if read(requirements).is_some() && read(requirements) == read(&installed) {
        return Ok(());
    }
    run("a Python environment", Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r"]);
    run("Python packages", pip.arg(requirements))?;
    fs::copy(requirements, &installed).map_err(BuildError::file(installed))?;
    Ok(())
}
