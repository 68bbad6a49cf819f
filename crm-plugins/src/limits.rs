//! What a plugin may use. Each limit has a test with a guest that trips it.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::manifest::WantedLimits;

/// How many keys one look-up may have.
pub const LOOKUP_KEYS_MAX: usize = 256;

/// The limits of one host. The defaults suit plugins written in a compiled language.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Before a file is compiled.
    pub load: LoadLimits,
    /// Wall-clock time of one call with all that belongs to it, from 1 ms on. 50 ms.
    pub deadline: Duration,
    /// Instructions, about, of one workflow call; counted the same way on every machine, so a
    /// replay stops at the same place. 20 million, which is less than the deadline on most machines.
    pub fuel: u64,
    /// Linear memory of one instance, in bytes. 16 MiB.
    pub memory_bytes: usize,
    /// Entries in the tables of one instance. 100,000.
    pub table_elements: usize,
    /// What one call may return, in bytes. 1 MiB.
    pub output_bytes: usize,
    /// Actions that one workflow call may ask for. 100.
    pub actions: usize,
    /// Arguments of one action. 32.
    pub action_args: usize,
    /// What a workflow may keep for a customer between calls, in bytes. 64 KiB.
    pub kept_bytes: usize,
    /// Calls from the guest into the host during one call. 10,000.
    pub host_calls: u32,
    /// Keys of one look-up. [`LOOKUP_KEYS_MAX`], which is as many as the CRM answers.
    pub lookup_keys: usize,
    /// Bytes of all keys of one look-up. 64 KiB.
    pub lookup_bytes: usize,
    /// Log text of one call, in bytes; what goes beyond is dropped. 64 KiB.
    pub log_bytes: usize,
    /// How many faults in a row put a plugin into quarantine. 5.
    pub quarantine_after: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            load: LoadLimits::default(),
            deadline: Duration::from_millis(50),
            fuel: 20_000_000,
            memory_bytes: 16 << 20,
            table_elements: 100_000,
            output_bytes: 1 << 20,
            actions: 100,
            action_args: 32,
            kept_bytes: 64 << 10,
            host_calls: 10_000,
            lookup_keys: LOOKUP_KEYS_MAX,
            lookup_bytes: 64 << 10,
            log_bytes: 64 << 10,
            quarantine_after: NonZeroU32::MIN.saturating_add(4),
        }
    }
}

impl Limits {
    /// What holds for a plugin that wants less: of each limit the smaller one.
    pub(crate) fn narrowed(&self, wanted: &WantedLimits) -> Limits {
        let mut limits = self.clone();
        if let Some(bytes) = wanted.memory_bytes {
            limits.memory_bytes = limits.memory_bytes.min(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        if let Some(millis) = wanted.deadline_ms {
            limits.deadline = limits.deadline.min(Duration::from_millis(millis.into()));
        }
        limits
    }
}

/// What a file may hold. Compilation is where a small hostile file hurts: 30 KB of nested loops
/// take seconds, so all of this is checked before.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoadLimits {
    /// Bytes of the file. 4 MiB; an interpreter for JavaScript or Python needs more.
    pub file_bytes: usize,
    /// Functions of all modules in the file, and of a component those that cross a border. 20,000.
    pub functions: usize,
    /// Types, imports, exports, globals, segments and the like of all modules and components in the file. 50,000.
    pub definitions: usize,
    /// Bytes of one function. 128 KiB.
    pub function_bytes: usize,
    /// Local variables of one function. 2,000.
    pub locals: u32,
    /// Blocks, loops and conditions inside each other. 1,024.
    pub nesting: usize,
    /// Loops inside each other. 64.
    pub loop_nesting: usize,
    /// Targets of one branch table. 4,096.
    pub branch_targets: u32,
    /// Modules and components inside a component. 64.
    pub modules: usize,
    /// Instances that a component makes of the modules and components in it, multiplied where those make instances of
    /// their own: a few hundred bytes could otherwise come to more than there is memory. 64, of which an interpreter for
    /// Python takes 40.
    pub instances: usize,
    /// Work that one function is for the compiler, in units of about a microsecond, by an estimate from the code alone.
    /// 1,000,000. The compiler may take half a KiB of memory for each unit while it is
    /// at such a function.
    pub function_work: u64,
    /// Work that all code of the file is, once for each role that the plugin has. 10,000,000.
    pub work: u64,
    /// Bytes of the manifest. 64 KiB.
    pub manifest_bytes: usize,
}

impl Default for LoadLimits {
    fn default() -> Self {
        LoadLimits {
            file_bytes: 4 << 20,
            functions: 20_000,
            definitions: 50_000,
            function_bytes: 128 << 10,
            locals: 2_000,
            nesting: 1_024,
            loop_nesting: 64,
            branch_targets: 4_096,
            modules: 64,
            instances: 64,
            function_work: 1_000_000,
            work: 10_000_000,
            manifest_bytes: 64 << 10,
        }
    }
}
