//! What a guest can reach and use up: its memory, a log that nobody reads back, and look-ups.

mod fetch;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{Linker, WasmStr};
use wasmtime::{Engine, ResourceLimiter, StoreContextMut};

use crate::bare::Border;
use crate::contract::{DIAG, LOOKUP};
use crate::fault::{GuestText, InputError, printable};
use crate::limits::Limits;
use crate::lookup::{Lookups, Need};
use crate::plugin::Plugin;
use crate::wire::LevelOut;

/// The most bytes of one log line.
const LINE_BYTES_MAX: usize = 1_024;

/// The host's side of one instance.
pub(crate) struct Sandbox {
    /// Named in each log line; its manifest lists the sources.
    plugin: Plugin,
    /// None: nothing is at hand.
    lookups: Option<Arc<dyn Lookups>>,
    memory: Quota,
    table: Quota,
    /// When the current call must be over.
    deadline: Instant,
    host_calls_left: u32,
    log_bytes_left: usize,
    /// The way into a guest that has no component around it; none before its instance is whole.
    pub(crate) border: Option<Border>,
    /// Whether such a guest makes or frees room just now, and so may not call the host.
    pub(crate) is_closed: bool,
}

/// Why a host function, or the way across the border, stopped a guest.
#[derive(Debug, Clone)]
pub(crate) enum Stop {
    /// A value or an export that the contract does not allow.
    Border(&'static str),
    /// More to read than a call may return.
    TooMuch,
    Deadline,
    HostCalls,
    /// A look-up of more than this many of these.
    Lookup {
        what: &'static str,
        limit: usize,
    },
    UndeclaredLookup(GuestText),
    /// A look-up whose field has no proper name.
    LookupField,
    Need(Need),
    Answer(InputError),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stop::Border(reason) => reason,
            Stop::TooMuch => "too much to read",
            Stop::Deadline => "the deadline has passed",
            Stop::HostCalls => "too many host calls",
            Stop::Lookup { .. } | Stop::UndeclaredLookup(_) | Stop::LookupField => "a look-up that is not allowed",
            Stop::Need(_) => "a look-up of what is not at hand",
            Stop::Answer(_) => "a look-up that was answered wrongly",
        })
    }
}

impl std::error::Error for Stop {}

impl Sandbox {
    pub(crate) fn new(plugin: Plugin, lookups: Option<Arc<dyn Lookups>>) -> Sandbox {
        let limits = plugin.limits();
        let (memory, table) = (Quota::new(limits.memory_bytes), Quota::new(limits.table_elements));
        Sandbox {
            plugin,
            lookups,
            memory,
            table,
            deadline: Instant::now(),
            host_calls_left: 0,
            log_bytes_left: 0,
            border: None,
            is_closed: false,
        }
    }

    /// What may be read of a guest's memory at once.
    pub(crate) fn output_bytes(&self) -> usize {
        self.plugin.limits().output_bytes
    }

    /// Fills up what one call may use.
    pub(crate) fn begin_call(&mut self, started: Instant, limits: &Limits) {
        self.deadline = started + limits.deadline;
        self.host_calls_left = limits.host_calls;
        self.log_bytes_left = limits.log_bytes;
        self.memory.denied = false;
        self.table.denied = false;
    }

    /// Whether the current call was denied memory or a table.
    pub(crate) fn was_denied(&self) -> bool {
        self.memory.denied || self.table.denied
    }

    /// Counts a call from the guest. Fuel and epochs do not bound the time spent in the host, so
    /// each host function looks at the clock itself.
    pub(crate) fn count_host_call(&mut self) -> Result<(), Stop> {
        if Instant::now() > self.deadline {
            return Err(Stop::Deadline);
        }
        self.host_calls_left = self.host_calls_left.checked_sub(1).ok_or(Stop::HostCalls)?;
        Ok(())
    }
}

/// How much of something all of an instance's memories or tables have together.
struct Quota {
    used: usize,
    max: usize,
    denied: bool,
}

impl Quota {
    fn new(max: usize) -> Quota {
        Quota { used: 0, max, denied: false }
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        if used > self.max {
            self.denied = true;
            return false;
        }
        self.used = used;
        true
    }
}

impl ResourceLimiter for Sandbox {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.memory.grow(current, desired))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.table.grow(current, desired))
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        16
    }
}

/// What each guest may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Sandbox>> {
    let mut linker = Linker::new(engine);
    linker.instance(DIAG)?.func_wrap("emit", emit)?;
    Ok(linker)
}

/// What a guest may import whose manifest names sources.
pub(crate) fn linker_with_lookups(engine: &Engine) -> wasmtime::Result<Linker<Sandbox>> {
    let mut linker = linker(engine)?;
    linker.instance(LOOKUP)?.func_wrap("fetch", fetch::fetch)?;
    Ok(linker)
}

fn emit(mut store: StoreContextMut<'_, Sandbox>, (level, text): (LevelOut, WasmStr)) -> wasmtime::Result<()> {
    if let Some(line_max) = store.data_mut().begin_line()? {
        let line = printable(&text.to_str(&store)?, line_max);
        store.data_mut().log(level, &line);
    }
    Ok(())
}

impl Sandbox {
    /// Counts a line of the log; says how long it may be, none if there may be no more lines.
    pub(crate) fn begin_line(&mut self) -> Result<Option<usize>, Stop> {
        self.count_host_call()?;
        Ok((self.log_bytes_left > 0).then(|| self.log_bytes_left.min(LINE_BYTES_MAX)))
    }

    /// Writes a line of the log.
    pub(crate) fn log(&mut self, level: LevelOut, line: &str) {
        // An empty line costs a byte as well, so that the number of lines is bounded.
        self.log_bytes_left = self.log_bytes_left.saturating_sub(line.len().max(1));
        let plugin = self.plugin.name();
        match level {
            LevelOut::Debug => tracing::debug!(target: "crm_plugins::guest", plugin, "{line}"),
            LevelOut::Info => tracing::info!(target: "crm_plugins::guest", plugin, "{line}"),
            LevelOut::Warn => tracing::warn!(target: "crm_plugins::guest", plugin, "{line}"),
            LevelOut::Error => tracing::error!(target: "crm_plugins::guest", plugin, "{line}"),
            LevelOut::Panic => {
                tracing::error!(target: "crm_plugins::guest", plugin, panicked = true, "{line}");
            }
        }
    }
}
