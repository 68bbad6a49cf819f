//! From a project, or from what another language's tools made, to the file that a shop gets.

use std::path::{Path, PathBuf};

use crm_plugins::{MANIFEST_SECTION, Manifest};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::BuildArgs;
use crate::answer::{Answer, hex, size};
use crate::error::Error;
use crate::{embed, manifest};

pub(crate) fn run(args: &BuildArgs) -> Result<Answer, Error> {
    let path = &args.path;
    let built = if path.join("Cargo.toml").is_file() {
        crm_plugin_harness::build(path)?.bytes
    } else if path.is_file() {
        std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source })?
    } else {
        return Err(Error::NothingToBuild { path: path.clone() });
    };
    if !built.starts_with(b"\0asm") {
        return Err(Error::NotWasm { path: path.clone() });
    }
    let (name, wasm) = with_manifest(args, built)?;
    let output = args.output.clone().unwrap_or_else(|| format!("{name}.wasm").into());
    std::fs::write(&output, &wasm).map_err(|source| Error::Write { path: output.clone(), source })?;

    let digest = hex(&Sha256::digest(&wasm));
    let text = format!("{}  {}\nsha256  {digest}\n", output.display(), size(wasm.len()));
    Ok(Answer::well(text, json!({ "file": output, "name": name, "bytes": wasm.len(), "sha256": digest })))
}

/// The file with its manifest, and the plugin's name. A manifest that was asked for replaces the one
/// that is there; else what is there stays.
fn with_manifest(args: &BuildArgs, wasm: Vec<u8>) -> Result<(String, Vec<u8>), Error> {
    let there = embed::find(&wasm, MANIFEST_SECTION).map(Manifest::parse);
    let path = match (&args.manifest, there, beside(&args.path)) {
        (Some(path), ..) => path.clone(),
        (None, Some(Ok(manifest)), _) => return Ok((manifest.name, wasm)),
        (None, _, Some(path)) => path,
        (None, Some(Err(error)), None) => {
            return Err(Error::Manifest { path: args.path.clone(), reason: crate::advice::causes(&error) });
        }
        (None, None, None) => return Err(Error::NoManifest { path: args.path.clone() }),
    };
    let (manifest, json) = manifest::read(&path)?;
    let file = embed::with_section(&wasm, MANIFEST_SECTION, &json);
    let file = file.ok_or_else(|| Error::NotWasm { path: args.path.clone() })?;
    Ok((manifest.name, file))
}

/// The `plugin.toml`, or the `plugin.json`, in a project's folder or beside a file.
fn beside(path: &Path) -> Option<PathBuf> {
    let folder = if path.is_dir() { path } else { path.parent()? };
    ["plugin.toml", "plugin.json"].iter().map(|name| folder.join(name)).find(|path| path.is_file())
}
