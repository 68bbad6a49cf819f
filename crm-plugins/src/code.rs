//! A guest's code: compiled once for each content and engine, and shared by all that run it.

use std::collections::HashMap;
use std::hash::{Hash as _, Hasher};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, Module, PoolingAllocationConfig};

use crate::bare::{self, Bare};
use crate::code_folder::{CodeFolder, CodeId, OwnCode};
use crate::contract;
use crate::limits::Limits;
use crate::load::BoxError;
use crate::sandbox::{self, Sandbox};
use crate::workflow::RUNNING_MAX;

const STACK_BYTES: usize = 512 << 10;

/// A guest's code, ready for instances.
pub(crate) struct Compiled {
    pub(crate) linked: Linked,
    /// Whether instructions are counted.
    pub(crate) has_fuel: bool,
}

/// A guest's code with what it imports.
pub(crate) enum Linked {
    /// A module that runs as it is.
    Bare(Bare),
    Component {
        pre: InstancePre<Sandbox>,
        configure: ComponentExportIndex,
        /// `score` or `handle`.
        call: ComponentExportIndex,
    },
}

impl Compiled {
    pub(crate) fn engine(&self) -> &Engine {
        match &self.linked {
            Linked::Bare(bare) => bare.engine(),
            Linked::Component { pre, .. } => pre.engine(),
        }
    }
}

/// WebAssembly to be compiled.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// A module that is [plain](bare::is_plain).
    Bare(&'a [u8]),
    /// A component.
    Component(&'a [u8]),
}

/// What is made of it.
enum Code {
    Bare(Module),
    Component(Component),
}

impl Code {
    fn compile(engine: &Engine, source: Source<'_>) -> wasmtime::Result<Code> {
        Ok(match source {
            Source::Bare(bytes) => Code::Bare(Module::new(engine, bytes)?),
            Source::Component(bytes) => Code::Component(Component::new(engine, bytes)?),
        })
    }

    fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        match self {
            Code::Bare(module) => module.serialize(),
            Code::Component(component) => component.serialize(),
        }
    }
}

/// One of the two things that a guest can be compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Scorer,
    Workflow,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Scorer => "scorer",
            Role::Workflow => "workflow",
        }
    }

    /// The interface that such a guest exports, and its function besides `configure`.
    fn exports(self) -> (&'static str, &'static str) {
        match self {
            Role::Scorer => (contract::SCORER, bare::SCORE),
            Role::Workflow => (contract::WORKFLOW, bare::HANDLE),
        }
    }
}

/// Whose instructions are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fuel {
    OfWorkflows,
    OfAll,
}

/// The compiler for one role, and the code that it made.
pub(crate) struct Compiler {
    role: Role,
    has_fuel: bool,
    engine: Engine,
    linker: Linker<Sandbox>,
    linker_with_lookups: Linker<Sandbox>,
    bare_linker: wasmtime::Linker<Sandbox>,
    bare_linker_with_lookups: wasmtime::Linker<Sandbox>,
    /// Identifies engine, settings and target: code made under another is none.
    compatibility: [u8; 32],
    /// Code in use, by content. It is freed with the last plugin that uses it.
    in_use: Mutex<HashMap<[u8; 32], Weak<Compiled>>>,
}

/// The most memories and tables of a component. What is built by today's tools has one memory and two tables.
const MEMORIES: u32 = 4;
const TABLES: u32 = 16;
const CORE_INSTANCES: u32 = 64;
/// How much of what an instance wrote to is cleared by writing zeros instead of giving pages back.
const KEPT_BYTES: usize = 512 << 10;
const GUARD_BYTES: u64 = 64 << 10;

fn pooled<'a>(config: &'a mut Config, limits: &Limits) -> &'a Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(RUNNING_MAX)
        .total_core_instances(RUNNING_MAX * CORE_INSTANCES)
        .total_memories(RUNNING_MAX * MEMORIES)
        .total_tables(RUNNING_MAX * TABLES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .max_memory_size(limits.memory_bytes)
        .table_elements(limits.table_elements)
        .linear_memory_keep_resident(KEPT_BYTES)
        .table_keep_resident(KEPT_BYTES)
        .pagemap_scan(Enabled::Auto);
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_reservation(limits.memory_bytes as u64)
        .memory_guard_size(GUARD_BYTES)
}

impl Compiler {
    /// Scoring runs without fuel, because counting instructions slows a scorer by a fifth and a score
    /// has a deadline anyway. Workflows run with fuel, so that what stops them is the same on every
    /// machine.
    ///
    /// Each workflow call has an instance of its own, so these come from a pool that keeps their memory mapped: a new
    /// mapping for each call takes twice as long as all else. A scorer's instance serves many batches, and its memory is
    /// reserved so widely that its code needs no checks of bounds.
    pub(crate) fn new(role: Role, limits: &Limits, fuel: Fuel) -> Result<Compiler, BoxError> {
        let has_fuel = role == Role::Workflow || fuel == Fuel::OfAll;
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
        let engine = match role {
            Role::Scorer => Engine::new(&config)?,
            // Where so much address space is not to be had, each instance maps its own.
            Role::Workflow => Engine::new(pooled(&mut config.clone(), limits)).or_else(|error| {
                tracing::debug!(%error, "no room for a pool of instances: each call of a workflow maps its own");
                Engine::new(&config)
            })?,
        };
        let linker = sandbox::linker(&engine)?;
        let linker_with_lookups = sandbox::linker_with_lookups(&engine)?;
        let (bare_linker, bare_linker_with_lookups) = (bare::linker(&engine, false)?, bare::linker(&engine, true)?);
        let mut hasher = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let compatibility = hasher.0.finalize().into();
        Ok(Compiler {
            role,
            has_fuel,
            engine,
            linker,
            linker_with_lookups,
            bare_linker,
            bare_linker_with_lookups,
            compatibility,
            in_use: Mutex::default(),
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The code of a guest: what is in use already, else from the folder, else compiled.
    pub(crate) fn code(
        &self,
        source: Source<'_>,
        has_lookups: bool,
        folder: Option<&CodeFolder>,
    ) -> Result<Arc<Compiled>, BoxError> {
        let (Source::Bare(bytes) | Source::Component(bytes)) = source;
        let content: [u8; 32] = Sha256::digest(bytes).into();
        if let Some(compiled) = self.in_use(&content) {
            return Ok(compiled);
        }
        // Compiling takes long: what is in use stays at hand for others meanwhile. Where several load at once, two with
        // one file may both compile it, and the later one is shared from then on.
        let code = self.compile(source, &content, folder)?;
        let compiled = Arc::new(self.link(&code, has_lookups)?);
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|_, code| code.strong_count() > 0);
        in_use.insert(content, Arc::downgrade(&compiled));
        Ok(compiled)
    }

    fn in_use(&self, content: &[u8; 32]) -> Option<Arc<Compiled>> {
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.get(content).and_then(Weak::upgrade)
    }

    fn compile(&self, source: Source<'_>, content: &[u8; 32], folder: Option<&CodeFolder>) -> Result<Code, BoxError> {
        let Some(folder) = folder else {
            return Ok(Code::compile(&self.engine, source)?);
        };
        let id = self.id(content);
        if let Some(code) = folder.read(&id).and_then(|code| self.revive(source, &code)) {
            tracing::debug!(code = id.name, "compiled code was at hand");
            return Ok(code);
        }
        let code = Code::compile(&self.engine, source)?;
        let written = code.serialize().map_err(BoxError::from);
        let written = written.and_then(|code| Ok(folder.write(&id, &code)?));
        if let Err(error) = written {
            // The plugin works without; the next start compiles again.
            tracing::warn!(code = id.name, error, "compiled code could not be kept");
        }
        Ok(code)
    }

    fn id(&self, content: &[u8; 32]) -> CodeId {
        let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
        let identity = Sha256::new()
            .chain_update(self.role.name())
            .chain_update(self.compatibility)
            .chain_update(content)
            .finalize();
        CodeId { name: format!("{hex}.{}", self.role.name()), identity: identity.into() }
    }

    /// Code that this host compiled of `source` before; none if wasmtime does not want it.
    #[allow(unsafe_code, reason = "wasmtime trusts the bytes, and the proof that it may stands below")]
    fn revive(&self, source: Source<'_>, code: &OwnCode) -> Option<Code> {
        // SAFETY: `deserialize` asks that the bytes are, unmodified, what `serialize` returned for a
        // module, or a component, of this version of wasmtime. An `OwnCode` is only made by `CodeFolder::read` of
        // bytes in memory whose HMAC under the host's secret key was verified, and the only bytes that
        // get one are those that `compile` above hands to `CodeFolder::write`: the result of
        // `serialize`. The HMAC also covers `CodeId::identity`, hence the content, the role and the
        // engine's compatibility hash, which holds wasmtime's version, the settings and the target:
        // so they were made by this version, for this engine. The content also tells whether they are of a
        // module or of a component: both begin with other bytes. They are not read from the file
        // again, so nobody can change them after the check. Without the key no other bytes verify.
        match source {
            Source::Bare(_) => unsafe { Module::deserialize(&self.engine, code.bytes()) }.ok().map(Code::Bare),
            Source::Component(_) => {
                unsafe { Component::deserialize(&self.engine, code.bytes()) }.ok().map(Code::Component)
            }
        }
    }

    fn link(&self, code: &Code, has_lookups: bool) -> Result<Compiled, BoxError> {
        let linked = match code {
            Code::Bare(module) => {
                let linker = if has_lookups { &self.bare_linker_with_lookups } else { &self.bare_linker };
                Linked::Bare(Bare::new(module, linker, self.role.exports())?)
            }
            Code::Component(component) => self.link_component(component, has_lookups)?,
        };
        Ok(Compiled { linked, has_fuel: self.has_fuel })
    }

    fn link_component(&self, component: &Component, has_lookups: bool) -> Result<Linked, BoxError> {
        let linker = if has_lookups { &self.linker_with_lookups } else { &self.linker };
        let pre = linker.instantiate_pre(component)?;
        let (interface, function) = self.role.exports();
        let exports =
            component.get_export_index(None, interface).ok_or_else(|| format!("it does not export `{interface}`"))?;
        let export = |name: &str| {
            component
                .get_export_index(Some(&exports), name)
                .ok_or_else(|| format!("`{interface}` does not export `{name}`"))
        };
        let (configure, call) = (export(bare::CONFIGURE)?, export(function)?);
        Ok(Linked::Component { pre, configure, call })
    }
}

/// Collects what is hashed, so that the result does not depend on the standard library's hasher.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The first eight bytes; nothing here asks for them.
    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest.iter().take(8).fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component() -> Vec<u8> {
        let interface = contract::SCORER;
        wat::parse_str(format!(
            r#"(component
                (core module $m (func (export "f")))
                (core instance $i (instantiate $m))
                (func $f (canon lift (core func $i "f")))
                (instance $scorer (export "configure" (func $f)) (export "score" (func $f)))
                (export "{interface}" (instance $scorer)))"#
        ))
        .unwrap()
    }

    fn compiler(role: Role) -> Compiler {
        Compiler::new(role, &Limits::default(), Fuel::OfWorkflows).unwrap()
    }

    #[test]
    fn the_same_content_shares_its_code_until_nobody_uses_it() {
        let compiler = compiler(Role::Scorer);
        let code = || compiler.code(Source::Component(&component()), false, None).unwrap();
        let (first, second) = (code(), code());
        assert!(Arc::ptr_eq(&first, &second));
        let weak = Arc::downgrade(&first);
        drop((first, second));
        assert!(weak.upgrade().is_none());
        let _again = code();
        assert_eq!(compiler.in_use.lock().unwrap().len(), 1);
    }

    #[test]
    fn two_compilers_of_one_role_are_compatible_and_two_roles_are_not() {
        let compatibility = |role| compiler(role).compatibility;
        assert_eq!(compatibility(Role::Scorer), compatibility(Role::Scorer));
        assert_ne!(compatibility(Role::Scorer), compatibility(Role::Workflow));
    }
}
