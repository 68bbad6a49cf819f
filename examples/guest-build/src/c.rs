//! Guests in C, by clang and wasm-ld, without a library.

use std::fs;
use std::process::Command;

use crate::error::BuildError;
use crate::kept::{Inputs, kept};
use crate::section::with_manifest;
use crate::tool::{ensure, root, run};

const FLAGS: [&str; 13] = [
    "--target=wasm32-unknown-unknown",
    "-std=c11",
    "-O2",
    // Exactly the operations that stand there, in their order.
    "-ffp-contract=off",
    "-ffreestanding",
    "-fno-builtin",
    "-nostdlib",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wl,--no-entry",
    "-Wl,--strip-all",
    "-Wl,-z,stack-size=16384",
];

/// Builds `name.c` in the example plugin `folder`, with the manifest `plugin.json` beside it.
pub(crate) fn build(folder: &str, name: &str) -> Result<Vec<u8>, BuildError> {
    const HINT: &str = "install Debian's packages clang and lld";
    ensure("clang", HINT)?;
    ensure("wasm-ld", HINT)?;
    let folder = root().join("examples/plugins").join(folder);
    let source = folder.join(format!("{name}.c"));
    let inputs = Inputs::default().word("c").word(&FLAGS.join(" "));
    let inputs = inputs.file(&source)?.file(&folder.join("crm_plugin.h"))?;
    let module = kept(&format!("{name}-c"), inputs, |output| {
        run(name, Command::new("clang").args(FLAGS).arg("-o").arg(output).arg(&source))
    })?;
    let manifest = folder.join("plugin.json");
    Ok(with_manifest(module, &fs::read(&manifest).map_err(BuildError::file(manifest))?))
}
