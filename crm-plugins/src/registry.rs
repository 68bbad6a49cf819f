//! Plugins that are installed, by name.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::engine::Host;
use crate::load::LoadError;
use crate::plugin::{Plugin, PluginInfo};

/// The plugins that are installed: for each name a current version, and older ones beside it for
/// work that began with them.
///
/// Whoever got a [`Plugin`] keeps it: a call in flight, a scorer and a workflow finish on the version
/// that they began with, and that version's memory is freed when the last of them is gone.
///
/// ```no_run
/// use crm_plugins::{Host, Limits, Registry};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new(Host::new(Limits::default())?);
/// let old = registry.install(&std::fs::read("churn-1.wasm")?)?;
/// // A journey that began with version 1 stays on it.
/// registry.install_beside(&std::fs::read("churn-2.wasm")?)?;
/// assert_eq!(registry.get("churn").map(|plugin| plugin.version().to_owned()), Some("2".into()));
/// assert!(registry.get_version("churn", &old.digest()).is_some());
/// // It has ended.
/// registry.retire("churn", &old.digest())?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Registry {
    host: Host,
    plugins: RwLock<BTreeMap<String, Versions>>,
}

#[derive(Debug)]
struct Versions {
    current: Plugin,
    /// Kept for work that began with them, oldest first; the current one is not among them.
    older: Vec<Plugin>,
}

/// Why the registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No plugin of this name is installed.
    #[error("no plugin `{name}` is installed")]
    NotInstalled {
        /// The name.
        name: String,
    },
    /// The plugin is installed, and no older version with this digest is kept.
    #[error("plugin `{name}` has no older version of this digest")]
    NoSuchVersion {
        /// The plugin's name.
        name: String,
    },
}

impl Registry {
    /// A registry without plugins.
    pub fn new(host: Host) -> Registry {
        Registry { host, plugins: RwLock::default() }
    }

    /// The host that loads and runs the plugins.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Loads a file and makes it the current version of its name; the one before is no longer found.
    ///
    /// The file that is current already stays as it is, with its counters and its quarantine. An
    /// older version that is kept becomes current again, likewise as it is.
    ///
    /// # Errors
    ///
    /// As [`Host::load`]; what is installed then stays as it was.
    pub fn install(&self, bytes: &[u8]) -> Result<Plugin, LoadError> {
        self.put(bytes, Before::Drop)
    }

    /// As [`Registry::install`], and keeps the version before for [`Registry::get_version`] until it
    /// is retired.
    ///
    /// # Errors
    ///
    /// As [`Registry::install`].
    pub fn install_beside(&self, bytes: &[u8]) -> Result<Plugin, LoadError> {
        self.put(bytes, Before::Keep)
    }

    /// The current version of `name`.
    pub fn get(&self, name: &str) -> Option<Plugin> {
        self.read().get(name).map(|versions| versions.current.clone())
    }

    /// The version of `name` with this digest, current or kept.
    pub fn get_version(&self, name: &str, digest: &[u8; 32]) -> Option<Plugin> {
        self.read().get(name)?.all().find(|plugin| plugin.digest() == *digest).cloned()
    }

    /// Lets go of an older version that was kept.
    ///
    /// # Errors
    ///
    /// If there is none of this name and digest. The current version is not an older one:
    /// [`Registry::remove`] lets go of all.
    pub fn retire(&self, name: &str, digest: &[u8; 32]) -> Result<(), RegistryError> {
        let mut plugins = self.write();
        let versions = plugins.get_mut(name).ok_or_else(|| not_installed(name))?;
        let place = versions.older.iter().position(|plugin| plugin.digest() == *digest);
        let place = place.ok_or_else(|| RegistryError::NoSuchVersion { name: name.to_owned() })?;
        versions.older.remove(place);
        Ok(())
    }

    /// Lets go of all versions of `name`.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn remove(&self, name: &str) -> Result<(), RegistryError> {
        self.write().remove(name).map(|_| ()).ok_or_else(|| not_installed(name))
    }

    /// Ends the quarantine of the current version of `name`.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn clear(&self, name: &str) -> Result<(), RegistryError> {
        self.get(name).map(|plugin| plugin.clear()).ok_or_else(|| not_installed(name))
    }

    /// What is known about the current version of `name`.
    pub fn inspect(&self, name: &str) -> Option<PluginInfo> {
        self.get(name).map(|plugin| plugin.inspect())
    }

    /// All versions of all plugins by name: of each the current one, then those kept, oldest first.
    pub fn list(&self) -> Vec<PluginInfo> {
        self.read().values().flat_map(Versions::all).map(Plugin::inspect).collect()
    }

    fn put(&self, bytes: &[u8], before: Before) -> Result<Plugin, LoadError> {
        // Compiling takes long and needs no lock.
        let plugin = self.host.load(bytes)?;
        let mut plugins = self.write();
        let Some(versions) = plugins.get_mut(plugin.name()) else {
            let versions = Versions { current: plugin.clone(), older: Vec::new() };
            plugins.insert(plugin.name().to_owned(), versions);
            return Ok(plugin);
        };
        if versions.current.digest() == plugin.digest() {
            return Ok(versions.current.clone());
        }
        let kept = versions.older.iter().position(|older| older.digest() == plugin.digest());
        let plugin = kept.map_or(plugin, |place| versions.older.remove(place));
        let old = std::mem::replace(&mut versions.current, plugin.clone());
        match before {
            Before::Keep => versions.older.push(old),
            Before::Drop => {}
        }
        Ok(plugin)
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Versions>> {
        // Nothing in here panics half-way through a change.
        self.plugins.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Versions>> {
        self.plugins.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of the version that was current.
#[derive(Debug, Clone, Copy)]
enum Before {
    Drop,
    Keep,
}

impl Versions {
    fn all(&self) -> impl Iterator<Item = &Plugin> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

fn not_installed(name: &str) -> RegistryError {
    RegistryError::NotInstalled { name: name.to_owned() }
}
