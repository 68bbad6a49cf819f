//! Guests in JavaScript, by componentize-js from npm, which puts SpiderMonkey and the script into one component.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::error::BuildError;
use crate::kept::{Inputs, kept};
use crate::section::with_manifest;
use crate::tool::{directory, ensure, root, run, wit};

const SOURCES: [&str; 3] = ["build.mjs", "package.json", "package-lock.json"];

/// Builds `name.js` in the example plugin `folder`, with the manifest `plugin.json` beside it.
pub(crate) fn build(folder: &str, name: &str) -> Result<Vec<u8>, BuildError> {
    ensure("node", "install Node.js 20 or newer")?;
    ensure("npm", "install npm")?;
    let folder = root().join("examples/plugins").join(folder);
    let script = format!("{name}.js");
    let mut inputs = Inputs::default().word("javascript").file(&folder.join(&script))?;
    inputs = inputs.file(&wit().join("plugin.wit"))?;
    for source in SOURCES {
        inputs = inputs.file(&folder.join(source))?;
    }
    let component = kept(&format!("{name}-javascript"), inputs, |output| {
        // A copy, so that nothing is installed among the sources.
        let copy = directory().join("javascript");
        fs::create_dir_all(&copy).map_err(BuildError::file(&copy))?;
        for source in SOURCES.into_iter().chain([script.as_str()]) {
            fs::copy(folder.join(source), copy.join(source)).map_err(BuildError::file(copy.join(source)))?;
        }
        install(&copy)?;
        run(name, Command::new("node").current_dir(&copy).arg("build.mjs").arg(output).env("CRM_WIT", wit()))
    })?;
    let manifest = folder.join("plugin.json");
    Ok(with_manifest(component, &fs::read(&manifest).map_err(BuildError::file(manifest))?))
}

/// What the lock file says, if it is not there yet.
fn install(copy: &Path) -> Result<(), BuildError> {
    let lock = copy.join("package-lock.json");
    let installed = copy.join("node_modules/installed-lock.json");
    let read = |path: &Path| fs::read(path).ok();
    if read(&lock).is_some() && read(&lock) == read(&installed) {
        return Ok(());
    }
    // Not `npm ci`, which refuses a lock that lacks the packages of platforms that a registry does not carry. What is in
    // the lock is installed as it says, checked against its digests.
    let arguments = ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
    run("npm packages", Command::new("npm").current_dir(copy).args(arguments))?;
    fs::copy(&lock, &installed).map_err(BuildError::file(installed))?;
    Ok(())
}
