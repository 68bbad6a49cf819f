//! A core module that runs as it is, without a component around it.
//!
//! All that a component adds to a module which keeps to this contract is the way across its border: the Canonical ABI of
//! the component model. For the few types that the contract has it is walked here, [`heap`] and [`lower`] inwards and
//! [`lift`] outwards, and an empty call then takes little more than half of what it takes through a component. What is not
//! plain ([`is_plain`]) gets a component.
//!
//! The rules, from the Canonical ABI: a value's bytes are little-endian and aligned to their own size; a list or a text is
//! an address and a length, in room that the guest's `cabi_realloc` gave; an answer lies at the address that the function
//! returns, and is given back by `cabi_post_…`; a guest that makes or frees room may not call the host.

mod heap;
mod imports;
mod lift;
mod lower;

use wasmtime::{InstancePre, Linker, Memory, Module, ModuleExport, Store, TypedFunc};

use crate::contract::{self, Roles};
use crate::load::BoxError;
use crate::sandbox::{Sandbox, Stop};
use crate::wire::FailureOut;

pub(crate) use imports::linker;
pub(crate) use lift::FromGuest;
pub(crate) use lower::Arguments;

const MEMORY: &str = "memory";
const REALLOC: &str = "cabi_realloc";
const INITIALIZE: &str = "_initialize";
const POST_RETURN: &str = "cabi_post_";

/// Exports by which a module asks for more of the component model than this: another allocator, another spelling of
/// names, calls that wait.
const MORE: [&str; 6] =
    ["cabi_export_realloc", "cabi_import_realloc", "canonical_abi_realloc", "cm32p2", "[async-lift", "__wasm_"];

/// Whether a module with these exports can run as it is. Their types are known to be right once a component could be
/// made of it.
pub(crate) fn is_plain<'a>(exports: impl Iterator<Item = &'a str> + Clone, roles: Roles) -> bool {
    let has = |name: &str| exports.clone().any(|export| export == name);
    let has_role = |interface: &str, function: &str| {
        [CONFIGURE, function].iter().all(|function| has(&format!("{interface}#{function}")))
    };
    has(MEMORY)
        && has(REALLOC)
        && (!roles.scorer || has_role(contract::SCORER, SCORE))
        && (!roles.workflow || has_role(contract::WORKFLOW, HANDLE))
        && !exports.clone().any(|export| MORE.iter().any(|more| export.starts_with(more)))
}

/// The function that both interfaces have.
pub(crate) const CONFIGURE: &str = "configure";
/// The function of a scorer.
pub(crate) const SCORE: &str = "score";
/// The function of a workflow.
pub(crate) const HANDLE: &str = "handle";

/// A module, linked, with the places of what it exports.
pub(crate) struct Bare {
    pre: InstancePre<Sandbox>,
    memory: ModuleExport,
    realloc: ModuleExport,
    initialize: Option<ModuleExport>,
    configure: Function,
    call: Function,
    scores: bool,
}

struct Function {
    call: ModuleExport,
    done: Option<ModuleExport>,
}

impl Bare {
    /// Links a module that [is plain](is_plain). `function` is the one that it has besides `configure`.
    pub(crate) fn new(
        module: &Module,
        linker: &Linker<Sandbox>,
        (interface, function): (&str, &str),
    ) -> Result<Bare, BoxError> {
        let find = |name: &str| module.get_export_index(name).ok_or_else(|| format!("it does not export `{name}`"));
        let exported = |function: &str| {
            let name = format!("{interface}#{function}");
            let done = module.get_export_index(&format!("{POST_RETURN}{name}"));
            find(&name).map(|call| Function { call, done })
        };
        Ok(Bare {
            pre: linker.instantiate_pre(module)?,
            memory: find(MEMORY)?,
            realloc: find(REALLOC)?,
            initialize: module.get_export_index(INITIALIZE),
            configure: exported(CONFIGURE)?,
            call: exported(function)?,
            scores: function == SCORE,
        })
    }

    pub(crate) fn engine(&self) -> &wasmtime::Engine {
        self.pre.module().engine()
    }

    pub(crate) fn instantiate(&self, store: &mut Store<Sandbox>) -> wasmtime::Result<BareInstance> {
        let instance = self.pre.instantiate(&mut *store)?;
        let export = |store: &mut Store<Sandbox>, export: &ModuleExport| {
            instance.get_module_export(store, export).ok_or(Stop::Border("an export is not there"))
        };
        let func = |store: &mut Store<Sandbox>, place: &ModuleExport| {
            export(store, place)?.into_func().ok_or(Stop::Border("an export is no function"))
        };
        let memory = export(store, &self.memory)?.into_memory().ok_or(Stop::Border("an export is no memory"))?;
        let realloc = func(store, &self.realloc)?.typed(&*store)?;
        let border = Border { memory, realloc };
        store.data_mut().border = Some(border.clone());
        if let Some(initialize) = &self.initialize {
            func(store, initialize)?.typed::<(), ()>(&*store)?.call(&mut *store, ())?;
        }
        let configure = func(store, &self.configure.call)?.typed(&*store)?;
        let call = func(store, &self.call.call)?;
        let (score, handle) = match self.scores {
            true => (Some(call.typed(&*store)?), None),
            false => (None, Some(call.typed(&*store)?)),
        };
        let done = |store: &mut Store<Sandbox>, done: &Option<ModuleExport>| {
            done.as_ref().map(|done| func(store, done)?.typed(&*store)).transpose()
        };
        Ok(BareInstance {
            border,
            functions: Functions { configure, score, handle },
            configure_done: done(store, &self.configure.done)?,
            call_done: done(store, &self.call.done)?,
        })
    }
}

/// What the way across needs of an instance.
#[derive(Clone)]
pub(crate) struct Border {
    memory: Memory,
    /// Where something is, its size, the alignment and the new size.
    realloc: TypedFunc<(u32, u32, u32, u32), u32>,
}

/// The functions of the contract, each with its parameters flat; each returns the address of its answer.
pub(crate) struct Functions {
    configure: TypedFunc<lower::ListArgs, u32>,
    score: Option<TypedFunc<lower::BatchArgs, u32>>,
    handle: Option<TypedFunc<lower::EventArgs, u32>>,
}

/// An instance of a module.
pub(crate) struct BareInstance {
    border: Border,
    functions: Functions,
    configure_done: Option<TypedFunc<u32, ()>>,
    call_done: Option<TypedFunc<u32, ()>>,
}

impl BareInstance {
    /// Calls the function that takes such arguments. `bytes_max` bounds what is read of its answer.
    #[inline]
    pub(crate) fn call<A: Arguments, R: FromGuest>(
        &self,
        store: &mut Store<Sandbox>,
        arguments: &A,
        bytes_max: usize,
    ) -> wasmtime::Result<Result<R, FailureOut>> {
        let Some(function) = A::function(&self.functions) else {
            return Err(Stop::Border("this plugin has no such function").into());
        };
        let mut heap = heap::Heap::new(&mut *store, &self.border);
        let flat = arguments.lower(&mut heap)?;
        let at = function.call(&mut *store, flat)?;
        let answer = lift::answer(self.border.memory.data(&*store), at, bytes_max)?;
        let done = if A::CONFIGURES { &self.configure_done } else { &self.call_done };
        if let Some(done) = done {
            store.data_mut().is_closed = true;
            let freed = done.call(&mut *store, at);
            store.data_mut().is_closed = false;
            freed?;
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORER: Roles = Roles { scorer: true, workflow: false };

    fn exports() -> Vec<String> {
        let functions = [CONFIGURE, SCORE].map(|function| format!("{}#{function}", contract::SCORER));
        [MEMORY, REALLOC].map(String::from).into_iter().chain(functions).collect()
    }

    fn is_plain_scorer(exports: &[String]) -> bool {
        is_plain(exports.iter().map(String::as_str), SCORER)
    }

    #[test]
    fn a_module_is_plain_if_it_has_what_a_call_takes_and_asks_for_no_more() {
        let whole = exports();
        assert!(is_plain_scorer(&whole));
        for left_out in 0..whole.len() {
            let mut rest = whole.clone();
            rest.remove(left_out);
            assert!(!is_plain_scorer(&rest), "without {}", whole[left_out]);
        }
        for more in ["cabi_export_realloc", "cm32p2_memory", "[async-lift]crm:plugin/scorer@0.1.0#score"] {
            assert!(!is_plain_scorer(&[whole.clone(), vec![more.into()]].concat()), "{more}");
        }
        assert!(is_plain_scorer(&[whole, vec!["of_the_authors_own".into()]].concat()));
    }
}
