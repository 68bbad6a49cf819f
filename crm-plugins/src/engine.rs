//! The host: two compilers that share a clock. Fuel is compiled into a guest's code, and only
//! workflows have it, hence two.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use crate::code::{Compiler, Fuel, Role};
use crate::code_folder::CodeFolder;
use crate::contract::Worlds;
use crate::limits::Limits;
use crate::load::{self, BoxError, LoadError};
use crate::plugin::Plugin;
use crate::slots::Slots;
use crate::ticker::{Running, Ticker};
use crate::workflow::RUNNING_MAX;

/// Loads plugins and holds what they run on. Cheap to clone; one for each process is enough.
///
/// It has one thread of its own, which sleeps while nothing runs and ends when the host and all
/// that was loaded by it are gone.
#[derive(Clone)]
pub struct Host(Arc<HostInner>);

impl Host {
    /// A host whose plugins have these limits. Takes about a millisecond.
    ///
    /// # Errors
    ///
    /// If a limit is out of range, the thread does not start, or this machine cannot run
    /// WebAssembly.
    pub fn new(limits: Limits) -> Result<Host, HostError> {
        Host::make(limits, None, Fuel::OfWorkflows)
    }

    /// The same, with a folder that keeps compiled code: a plugin that was loaded before, by this or
    /// an earlier process, then loads in about a millisecond. The folder never fails a load: what it
    /// cannot give is compiled, and what it cannot keep is warned about.
    ///
    /// # Errors
    ///
    /// As [`Host::new`].
    pub fn with_code_folder(limits: Limits, code_folder: CodeFolder) -> Result<Host, HostError> {
        Host::make(limits, Some(code_folder), Fuel::OfWorkflows)
    }

    /// A host that counts the instructions of scorers as well, to measure them: what the last call took is in
    /// [`Counters::last_fuel`](crate::Counters::last_fuel). [`Limits::fuel`] then holds for all batches that one instance
    /// of a scorer is given, and counting slows it by a fifth.
    ///
    /// # Errors
    ///
    /// As [`Host::new`].
    pub fn counting(limits: Limits) -> Result<Host, HostError> {
        Host::make(limits, None, Fuel::OfAll)
    }

    fn make(limits: Limits, code_folder: Option<CodeFolder>, fuel: Fuel) -> Result<Host, HostError> {
        if limits.deadline < Duration::from_millis(1) || limits.deadline > Duration::from_secs(3600) {
            return Err(HostError::Deadline { deadline: limits.deadline });
        }
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let loading = Slots::new(u32::try_from(cores - 1).unwrap_or(u32::MAX).max(1));
        let compiler = |role| Compiler::new(role, &limits, fuel).map_err(HostError::Engine);
        let (scoring, workflows) = (compiler(Role::Scorer)?, compiler(Role::Workflow)?);
        let worlds = Worlds::read().map_err(HostError::Engine)?;
        let engines = [scoring.engine().clone(), workflows.engine().clone()];
        let ticker = Ticker::start(engines, limits.deadline).map_err(HostError::Ticker)?;
        Ok(Host(Arc::new(HostInner {
            limits,
            worlds,
            scoring,
            workflows,
            code_folder,
            ticker,
            loading,
            running: Slots::new(RUNNING_MAX),
        })))
    }

    /// Makes a plugin of a file: a core module for `wasm32-unknown-unknown` built with the SDK, or
    /// a finished component. Nothing of it runs. Takes tens of milliseconds, most of it
    /// compiling; a file that is loaded already shares its code. Threads that load at once do so on all cores but
    /// one, which is left to whoever has other work, and wait for each other.
    ///
    /// A core module is made a component in process, by this host's own copy of the contract; its
    /// strings are UTF-8. The file is checked against [`LoadLimits`](crate::LoadLimits) before
    /// anything is compiled.
    ///
    /// # Errors
    ///
    /// If the file is damaged, too large, imports what is not given, speaks another version of the
    /// contract, has no proper manifest, or does not fit the contract. A finished component whose
    /// exports have the contract's names but other types loads, and faults with
    /// [`Fault::Contract`](crate::Fault::Contract) when it is first used.
    pub fn load(&self, bytes: &[u8]) -> Result<Plugin, LoadError> {
        let _loading = self.0.loading.take(Duration::MAX);
        load::load(self, bytes)
    }

    /// The limits that plugins of this host have.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn inner(&self) -> &Arc<HostInner> {
        &self.0
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}

/// Why a host could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The deadline is shorter than a millisecond or longer than an hour.
    #[error("a deadline of {deadline:?} is not between 1 ms and 1 h")]
    Deadline {
        /// What was asked for.
        deadline: Duration,
    },
    /// The thread that stops guests did not start.
    #[error("could not start the thread that stops plugins")]
    Ticker(#[source] std::io::Error),
    /// WebAssembly does not run here.
    #[error("could not set up WebAssembly")]
    Engine(#[source] BoxError),
}

/// What a host shares with the plugins loaded by it.
pub(crate) struct HostInner {
    limits: Limits,
    worlds: Worlds,
    scoring: Compiler,
    workflows: Compiler,
    code_folder: Option<CodeFolder>,
    ticker: Ticker,
    /// Who loads.
    loading: Slots,
    running: Slots,
}

impl HostInner {
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn worlds(&self) -> &Worlds {
        &self.worlds
    }

    /// The room for instances of workflows.
    pub(crate) fn running(&self) -> &Slots {
        &self.running
    }

    /// Keeps the clock ticking until the guard is dropped.
    pub(crate) fn run(&self) -> Running<'_> {
        self.ticker.run()
    }

    /// How many ticks a call of such a deadline has.
    pub(crate) fn ticks(&self, deadline: Duration) -> u64 {
        self.ticker.ticks(deadline)
    }

    pub(crate) fn compiler(&self, role: Role) -> &Compiler {
        match role {
            Role::Scorer => &self.scoring,
            Role::Workflow => &self.workflows,
        }
    }

    pub(crate) fn code_folder(&self) -> Option<&CodeFolder> {
        self.code_folder.as_ref()
    }
}
