//! The names of the contract, and the worlds that a core module is turned into.

use wit_component::StringEncoding;
use wit_parser::Resolve;

use crate::fault::printable;
use crate::load::{BoxError, LoadError};

/// Version 0.1 of the contract, word for word.
const WIT: &str = include_str!("../wit/v0_1/plugin.wit");

const PACKAGE: &str = "crm:plugin/";
const VERSION: &str = "0.1.0";

/// The interface that a scorer exports.
pub(crate) const SCORER: &str = "crm:plugin/scorer@0.1.0";
/// The interface that a workflow exports.
pub(crate) const WORKFLOW: &str = "crm:plugin/workflow@0.1.0";
/// The log.
pub(crate) const DIAG: &str = "crm:plugin/diag@0.1.0";
/// Look-ups; for workflows whose manifest names sources.
pub(crate) const LOOKUP: &str = "crm:plugin/lookup@0.1.0";
/// Holds types only, so importing it gives nothing.
const TYPES: &str = "crm:plugin/types@0.1.0";

/// What a guest exports, as far as the contract knows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(crate) scorer: bool,
    pub(crate) workflow: bool,
}

/// Refuses an import that no plugin is given; whether this one may have look-ups shows later. A module imports `item` from an interface, a
/// component the interface as a whole.
pub(crate) fn check_import(interface: &str, item: Option<&str>) -> Result<(), LoadError> {
    if [DIAG, LOOKUP, TYPES].contains(&interface) {
        return Ok(());
    }
    check_version(interface)?;
    let import = match item {
        Some(item) => format!("{interface} {item}"),
        None => interface.to_owned(),
    };
    Err(LoadError::UnknownImport { import: printable(&import, 256) })
}

/// Whether an import lets a guest do something; types do not.
pub(crate) fn gives_something(interface: &str) -> bool {
    interface != TYPES
}

/// Notes what an export makes of a plugin. Exports that the contract does not know are no harm:
/// nothing calls them.
pub(crate) fn note_export(roles: &mut Roles, name: &str) -> Result<(), LoadError> {
    check_version(name)?;
    roles.scorer |= name == SCORER;
    roles.workflow |= name == WORKFLOW;
    Ok(())
}

/// Refuses an interface of this contract in a version that this host does not know.
fn check_version(name: &str) -> Result<(), LoadError> {
    let version = name.strip_prefix(PACKAGE).map(|rest| rest.split_once('@'));
    match version {
        None | Some(Some((_, VERSION))) => Ok(()),
        Some(_) => Err(LoadError::UnknownContract { interface: printable(name, 128) }),
    }
}

/// What turns a core module into a component: for each world one section that says how its
/// functions are called. It is written here from this host's own copy of the contract, so that
/// nothing has to be believed that a stranger wrote into a file.
#[derive(Debug)]
pub(crate) struct Worlds {
    scorer: Vec<u8>,
    workflow: Vec<u8>,
}

impl Worlds {
    /// Reads the contract. About a millisecond, once for each host.
    pub(crate) fn read() -> Result<Worlds, BoxError> {
        let mut resolve = Resolve::default();
        let package = resolve.push_source("plugin.wit", WIT)?;
        let section = |world| {
            let world = resolve.select_world(&[package], Some(world))?;
            let mut section = Vec::new();
            wit_component::embed_component_metadata(&mut section, &resolve, world, StringEncoding::UTF8, false)?;
            Ok::<_, BoxError>(section)
        };
        Ok(Worlds { scorer: section("scorer-plugin")?, workflow: section("workflow-plugin")? })
    }

    /// The sections for a module with these roles.
    pub(crate) fn sections(&self, roles: Roles) -> Vec<u8> {
        let scorer = if roles.scorer { self.scorer.as_slice() } else { &[] };
        let workflow = if roles.workflow { self.workflow.as_slice() } else { &[] };
        [scorer, workflow].concat()
    }
}
