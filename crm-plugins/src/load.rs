//! From a file to a plugin: look at it, read its manifest, make it a component, compile it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wit_component::ComponentEncoder;

use crate::contract::Roles;
use crate::engine::{Host, HostInner};
use crate::inspect::{self, Form};
use crate::manifest::{Manifest, ManifestError};
use crate::plugin::{Plugin, PluginInner};

/// The error of a library below, kept as a cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a file is no plugin for this host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file is neither a core module nor a component.
    #[error("this is no WebAssembly module or component")]
    NotWasm,
    /// The file is larger or more involved than allowed. Nothing was compiled.
    #[error("{actual} {what} are over the limit of {max}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is; the count stops at the first excess.
        actual: usize,
        /// How much there may be.
        max: usize,
    },
    /// The file is cut off, damaged, or uses a feature of WebAssembly that is off.
    #[error("this is no valid WebAssembly")]
    Invalid(#[from] wasmparser::BinaryReaderError),
    /// The file imports what no plugin is given.
    #[error("plugins are not given `{import}`")]
    UnknownImport {
        /// The import's name, without control characters.
        import: String,
    },
    /// The file is written for a version of the contract that this host does not know.
    #[error("`{interface}` is of a version that this host does not know; it knows 0.1.0")]
    UnknownContract {
        /// The interface's name, without control characters.
        interface: String,
    },
    /// The file exports neither a scorer nor a workflow.
    #[error("this exports neither a scorer nor a workflow")]
    NoRole,
    /// The file has no custom section `crm:manifest`.
    #[error("this has no manifest")]
    NoManifest,
    /// The file has more than one manifest.
    #[error("this has more than one manifest")]
    TwoManifests,
    /// The manifest is refused.
    #[error("the manifest is refused")]
    Manifest(#[from] ManifestError),
    /// The manifest and the exports disagree.
    #[error("{reason}")]
    Mismatch {
        /// On what.
        reason: &'static str,
    },
    /// The module's functions do not have the shape that the contract gives them.
    #[error("this module does not fit the contract")]
    Componentize(#[source] BoxError),
    /// The component does not compile or does not fit the contract.
    #[error("this component does not compile or does not fit the contract")]
    Compile(#[source] BoxError),
}

pub(crate) fn load(host: &Host, bytes: &[u8]) -> Result<Plugin, LoadError> {
    let inner = host.inner();
    let inspection = inspect::inspect(bytes, inner.limits())?;
    let manifest = Manifest::parse(inspection.manifest)?;
    check_agreement(&manifest, inspection.roles)?;
    let component = match inspection.form {
        Form::Module { sections } => {
            let mut module = strip(bytes, &sections);
            module.extend(inner.worlds().sections(inspection.roles));
            guarded(|| ComponentEncoder::default().module(&module)?.encode()).map_err(LoadError::Componentize)?
        }
        Form::Component => bytes.to_vec(),
    };
    let (scorer, workflow) = guarded(|| compile(inner, &component, inspection.roles)).map_err(LoadError::Compile)?;
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    Ok(Plugin::new(PluginInner { host: Arc::clone(inner), manifest, digest, scorer, workflow }))
}

type Compiled = Option<crate::engine::Compiled>;

fn compile(inner: &HostInner, component: &[u8], roles: Roles) -> Result<(Compiled, Compiled), BoxError> {
    let scorer = roles.scorer.then(|| inner.compile_scorer(component)).transpose()?;
    let workflow = roles.workflow.then(|| inner.compile_workflow(component)).transpose()?;
    Ok((scorer, workflow))
}

fn check_agreement(manifest: &Manifest, roles: Roles) -> Result<(), LoadError> {
    let reason = match (roles.scorer, manifest.outputs.is_empty()) {
        (true, true) => Some("this exports a scorer, and its manifest declares no outputs"),
        (false, false) => Some("the manifest declares outputs, and this exports no scorer"),
        (true, false) | (false, true) => None,
    };
    let reason = reason.or(match (roles.workflow, manifest.events.is_empty()) {
        (true, true) => Some("this exports a workflow, and its manifest listens to no event"),
        (false, false) => Some("the manifest listens to events, and this exports no workflow"),
        (true, false) | (false, true) => None,
    });
    match reason {
        Some(reason) => Err(LoadError::Mismatch { reason }),
        None => Ok(()),
    }
}

/// The module with its header and the given sections only.
fn strip(bytes: &[u8], sections: &[std::ops::Range<usize>]) -> Vec<u8> {
    let mut module = Vec::with_capacity(bytes.len());
    module.extend(bytes.iter().take(8));
    for section in sections {
        module.extend(bytes.get(section.clone()).unwrap_or_default());
    }
    module
}

/// Turns a panic of a library that reads a stranger's file into an error. The file has passed
/// validation by then, so none is known; but one must not stop a shop.
fn guarded<T, E: Into<BoxError>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, BoxError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err("the file made a library panic".into()),
    }
}
