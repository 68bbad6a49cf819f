//! From a file to a plugin: look at it, read its manifest, make it a component, compile it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tracing::Span;
use tracing::field::Empty;
use wasmtime::Engine;
use wit_component::ComponentEncoder;

use crate::bare;
use crate::code::{Role, Source};
use crate::code_folder;
use crate::contract::{LOOKUP, Roles};
use crate::engine::{Host, HostInner};
use crate::inspect::{self, Form, Inspection};
use crate::manifest::{Manifest, ManifestError};
use crate::meter::Meter;
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
    /// The file is compiled code. Such code is run as it stands, so none is taken from outside: load
    /// the WebAssembly that it was made from.
    #[error("this is compiled code, of which none is taken; load the WebAssembly it was made from")]
    Precompiled,
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

impl LoadError {
    /// A short stable name for records and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            LoadError::NotWasm => "not_wasm",
            LoadError::Precompiled => "precompiled",
            LoadError::TooLarge { .. } => "too_large",
            LoadError::Invalid(_) => "invalid",
            LoadError::UnknownImport { .. } => "unknown_import",
            LoadError::UnknownContract { .. } => "unknown_contract",
            LoadError::NoRole => "no_role",
            LoadError::NoManifest => "no_manifest",
            LoadError::TwoManifests => "two_manifests",
            LoadError::Manifest(_) => "manifest",
            LoadError::Mismatch { .. } => "mismatch",
            LoadError::Componentize(_) => "componentize",
            LoadError::Compile(_) => "compile",
        }
    }
}

pub(crate) fn load(host: &Host, bytes: &[u8]) -> Result<Plugin, LoadError> {
    let span = tracing::debug_span!("load", bytes = bytes.len(), plugin = Empty, version = Empty, outcome = Empty);
    let _entered = span.enter();
    let result = load_in(&span, host.inner(), bytes);
    span.record("outcome", result.as_ref().err().map_or("ok", LoadError::kind));
    result
}

fn load_in(span: &Span, host: &Arc<HostInner>, bytes: &[u8]) -> Result<Plugin, LoadError> {
    if Engine::detect_precompiled(bytes).is_some() || bytes.starts_with(&code_folder::MAGIC) {
        return Err(LoadError::Precompiled);
    }
    let inspection = inspect::inspect(bytes, host.limits())?;
    let manifest = Manifest::parse(inspection.manifest)?;
    span.record("plugin", manifest.name.as_str()).record("version", manifest.version.as_str());
    check_agreement(&manifest, &inspection)?;
    let Inspection { roles, form, imports, .. } = inspection;
    let (module, component);
    let source = match form {
        Form::Module { sections, exports } => {
            module = strip(bytes, &sections);
            let described = [module.as_slice(), &host.worlds().sections(roles)].concat();
            // This also finds out whether the functions have the types of the contract.
            let made = guarded(|| ComponentEncoder::default().module(&described)?.encode());
            component = made.map_err(LoadError::Componentize)?;
            let is_plain = bare::is_plain(exports.iter().map(String::as_str), roles);
            if is_plain { Source::Bare(&module) } else { Source::Component(&component) }
        }
        Form::Component => Source::Component(bytes),
    };
    let has_lookups = imports.contains(LOOKUP);
    let compile = |is_role: bool, role| {
        let compiler = host.compiler(role);
        is_role.then(|| guarded(|| compiler.code(source, has_lookups, host.code_folder()))).transpose()
    };
    let limits = host.limits().narrowed(&manifest.limits);
    Ok(Plugin::new(PluginInner {
        scorer: compile(roles.scorer, Role::Scorer).map_err(LoadError::Compile)?,
        workflow: compile(roles.workflow, Role::Workflow).map_err(LoadError::Compile)?,
        host: Arc::clone(host),
        deadline_ticks: host.ticks(limits.deadline),
        limits,
        meter: Meter::new(host.limits().quarantine_after),
        manifest,
        digest: Sha256::digest(bytes).into(),
        file_bytes: bytes.len(),
        imports: imports.into_iter().collect(),
    }))
}

fn check_agreement(manifest: &Manifest, inspection: &Inspection<'_>) -> Result<(), LoadError> {
    let Roles { scorer, workflow } = inspection.roles;
    let imports_lookups = inspection.imports.contains(LOOKUP);
    let (outputs, events) = (!manifest.outputs.is_empty(), !manifest.events.is_empty());
    let (lookups, fields) = (!manifest.lookups.is_empty(), !manifest.fields.is_empty());
    let disagreements = [
        (scorer && !outputs, "this exports a scorer, and its manifest declares no outputs"),
        (outputs && !scorer, "the manifest declares outputs, and this exports no scorer"),
        (workflow && !events, "this exports a workflow, and its manifest listens to no event"),
        (events && !workflow, "the manifest listens to events, and this exports no workflow"),
        (imports_lookups && scorer, "this imports look-ups and exports a scorer, and only workflows have look-ups"),
        (imports_lookups && !lookups, "this imports look-ups, and its manifest names no source for them"),
        (lookups && !workflow, "the manifest names sources for look-ups, and this exports no workflow"),
        (fields && !workflow, "the manifest asks for personal fields, and only workflows see those"),
    ];
    match disagreements.into_iter().find(|(disagrees, _)| *disagrees) {
        Some((_, reason)) => Err(LoadError::Mismatch { reason }),
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
