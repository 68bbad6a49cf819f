//! The host: two compilers that share a clock.
//!
//! Scoring runs without fuel, because counting instructions slows a scorer by a fifth and a score
//! has a deadline anyway. Workflows run with fuel, so that what stops them is the same on every
//! machine, and with the deadline as a backstop. Fuel is compiled into a guest's code, hence two
//! engines.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wasmtime::{Config, Engine};

use crate::contract::{self, Worlds};
use crate::limits::Limits;
use crate::load::{self, BoxError, LoadError};
use crate::plugin::Plugin;
use crate::sandbox::{self, Sandbox};
use crate::ticker::{Running, Ticker};

const STACK_BYTES: usize = 512 << 10;

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
        if limits.deadline < Duration::from_millis(1) || limits.deadline > Duration::from_secs(3600) {
            return Err(HostError::Deadline { deadline: limits.deadline });
        }
        let scoring = Side::new(false).map_err(HostError::Engine)?;
        let workflows = Side::new(true).map_err(HostError::Engine)?;
        let worlds = Worlds::read().map_err(HostError::Engine)?;
        let engines = [scoring.engine.clone(), workflows.engine.clone()];
        let ticker = Ticker::start(engines, limits.deadline).map_err(HostError::Ticker)?;
        Ok(Host(Arc::new(HostInner { limits, worlds, scoring, workflows, ticker })))
    }

    /// Makes a plugin of a file: a core module for `wasm32-unknown-unknown` built with the SDK, or
    /// a finished component. Nothing of it runs. Takes tens of milliseconds, most of it compiling.
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
    scoring: Side,
    workflows: Side,
    ticker: Ticker,
}

/// An engine and what its guests may import.
struct Side {
    engine: Engine,
    linker: Linker<Sandbox>,
}

/// A guest's code, ready for instances.
pub(crate) struct Compiled {
    pub(crate) pre: InstancePre<Sandbox>,
    pub(crate) configure: ComponentExportIndex,
    /// `score` or `handle`.
    pub(crate) call: ComponentExportIndex,
    /// Whether instructions are counted.
    pub(crate) has_fuel: bool,
}

impl HostInner {
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn worlds(&self) -> &Worlds {
        &self.worlds
    }

    /// Keeps the clock ticking until the guard is dropped.
    pub(crate) fn run(&self) -> Running<'_> {
        self.ticker.run()
    }

    /// How many ticks a call has.
    pub(crate) fn deadline_ticks(&self) -> u64 {
        self.ticker.ticks(self.limits.deadline)
    }

    pub(crate) fn compile_scorer(&self, component: &[u8]) -> Result<Compiled, BoxError> {
        self.scoring.compile(component, contract::SCORER, "score", false)
    }

    pub(crate) fn compile_workflow(&self, component: &[u8]) -> Result<Compiled, BoxError> {
        self.workflows.compile(component, contract::WORKFLOW, "handle", true)
    }
}

impl Side {
    fn new(has_fuel: bool) -> Result<Side, BoxError> {
        let mut config = Config::new();
        config
            .consume_fuel(has_fuel)
            .epoch_interruption(true)
            .max_wasm_stack(STACK_BYTES)
            .concurrency_support(false)
            .wasm_tail_call(false)
            .wasm_multi_memory(false)
            .wasm_memory64(false)
            .wasm_relaxed_simd(false)
            .wasm_wide_arithmetic(false)
            .wasm_custom_page_sizes(false);
        let engine = Engine::new(&config)?;
        let linker = sandbox::linker(&engine)?;
        Ok(Side { engine, linker })
    }

    fn compile(&self, component: &[u8], interface: &str, function: &str, has_fuel: bool) -> Result<Compiled, BoxError> {
        let component = Component::new(&self.engine, component)?;
        let pre = self.linker.instantiate_pre(&component)?;
        let exports =
            component.get_export_index(None, interface).ok_or_else(|| format!("it does not export `{interface}`"))?;
        let export = |name: &str| {
            component
                .get_export_index(Some(&exports), name)
                .ok_or_else(|| format!("`{interface}` does not export `{name}`"))
        };
        let (configure, call) = (export("configure")?, export(function)?);
        Ok(Compiled { pre, configure, call, has_fuel })
    }
}
