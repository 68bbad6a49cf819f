//! One guest that runs, and the accounting around each of its calls.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::{ComponentNamedList, Func, Lift, Lower};
use wasmtime::{Store, Trap};

use crate::bare::{Arguments, BareInstance, FromGuest};
use crate::code::{Compiled, Linked};
use crate::fault::{Fault, GuestText};
use crate::limits::Limits;
use crate::lookup::Lookups;
use crate::manifest::is_name;
use crate::plugin::Plugin;
use crate::sandbox::{Sandbox, Stop};
use crate::ticker::Running;
use crate::value::Entry;
use crate::wire::{self, EntryIn, FailureOut};

/// A guest with its memory. Whoever gets a fault from it drops it.
pub(crate) struct Instance {
    store: Store<Sandbox>,
    guest: Guest,
    has_fuel: bool,
}

enum Guest {
    /// In a component, with its function besides `configure`.
    Component {
        configure: Func,
        call: Func,
    },
    Bare(Box<BareInstance>),
}

/// A call that is being accounted for: from here on its time runs.
pub(crate) struct Call<'a> {
    plugin: &'a Plugin,
    started: Instant,
    fuel: Cell<Option<u64>>,
    /// How long it had been running when the guest was last back.
    took: Cell<Option<Duration>>,
    _running: Running<'a>,
}

impl<'a> Call<'a> {
    pub(crate) fn begin(plugin: &'a Plugin) -> Call<'a> {
        Call {
            plugin,
            started: Instant::now(),
            fuel: Cell::new(None),
            took: Cell::new(None),
            _running: plugin.inner().host.run(),
        }
    }

    /// How long the call has been running.
    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long it ran: until the guest was back, or until now if it did not come back.
    pub(crate) fn took(&self) -> Duration {
        self.took.get().unwrap_or_else(|| self.elapsed())
    }

    /// How much fuel the guest took; none if none was counted or the clock stopped it.
    pub(crate) fn fuel(&self) -> Option<u64> {
        self.fuel.get()
    }

    /// A fresh instance, configured.
    pub(crate) fn instantiate(
        &self,
        compiled: &Compiled,
        params: &[Entry],
        lookups: Option<Arc<dyn Lookups>>,
    ) -> Result<Instance, Fault> {
        let limits = self.limits();
        let sandbox = Sandbox::new(self.plugin.clone(), lookups);
        let mut store = Store::new(compiled.engine(), sandbox);
        store.limiter(|sandbox| sandbox);
        store.epoch_deadline_trap();
        self.fill_up(&mut store);
        if compiled.has_fuel {
            store.set_fuel(limits.fuel).map_err(|_| broken("the engine has no fuel"))?;
        }
        let guest = match &compiled.linked {
            Linked::Bare(bare) => {
                let instance = bare.instantiate(&mut store);
                Guest::Bare(Box::new(instance.map_err(|error| self.explain(&store, &error))?))
            }
            Linked::Component { pre, configure, call } => {
                store.set_hostcall_fuel(limits.output_bytes);
                let instance = pre.instantiate(&mut store);
                let instance = instance.map_err(|error| self.explain(&store, &error))?;
                let func = |store: &mut Store<Sandbox>, export| {
                    instance.get_func(store, export).ok_or(broken("an export is no function"))
                };
                Guest::Component { configure: func(&mut store, configure)?, call: func(&mut store, call)? }
            }
        };
        let mut instance = Instance { store, guest, has_fuel: compiled.has_fuel };
        let params = wire::entries(params);
        self.call::<(&[EntryIn<'_>],), ()>(&mut instance, (&params,))?;
        Ok(instance)
    }

    /// Fills up what one call of an instance may use. Fuel is not among it: only instances that
    /// live for a single call have any.
    pub(crate) fn renew(&self, instance: &mut Instance) {
        self.fill_up(&mut instance.store);
    }

    /// Calls `score` or `handle`.
    #[inline]
    pub(crate) fn run<P, R>(&self, instance: &mut Instance, params: P) -> Result<R, Fault>
    where
        P: ComponentNamedList + Lower + Arguments,
        R: Lift + FromGuest + 'static,
    {
        let result = self.call::<P, R>(instance, params);
        // Fuel may read 0 after an epoch stopped a guest.
        if instance.has_fuel && !matches!(result, Err(Fault::Deadline { .. })) {
            let left = instance.store.get_fuel().ok();
            self.fuel.set(left.map(|left| self.limits().fuel.saturating_sub(left)));
        }
        result
    }

    fn limits(&self) -> &'a Limits {
        self.plugin.limits()
    }

    fn fill_up(&self, store: &mut Store<Sandbox>) {
        let limits = self.limits();
        store.data_mut().begin_call(self.started, limits);
        store.set_epoch_deadline(self.plugin.inner().deadline_ticks);
    }

    #[inline]
    fn call<P, R>(&self, instance: &mut Instance, params: P) -> Result<R, Fault>
    where
        P: ComponentNamedList + Lower + Arguments,
        R: Lift + FromGuest + 'static,
    {
        let Instance { store, guest, .. } = instance;
        self.took.set(None);
        let answer = match guest {
            Guest::Bare(bare) => bare.call::<P, R>(store, &params, self.limits().output_bytes),
            Guest::Component { configure, call } => {
                let func = if P::CONFIGURES { configure } else { call };
                let func = func
                    .typed::<P, (Result<R, FailureOut>,)>(&*store)
                    .map_err(|_| broken("an exported function has other types"))?;
                func.call(&mut *store, params).map(|(answer,)| answer)
            }
        };
        let answer = answer.map_err(|error| self.explain(store, &error))?;
        // A guest may have slept through its deadline inside the host, where no epoch stops it.
        let took = self.elapsed();
        self.took.set(Some(took));
        if took > self.limits().deadline {
            return Err(self.too_late());
        }
        answer.map_err(refused)
    }

    /// What stopped a guest. Nothing of the error's text is kept.
    fn explain(&self, store: &Store<Sandbox>, error: &wasmtime::Error) -> Fault {
        let limits = self.limits();
        match error.downcast_ref::<Stop>() {
            Some(Stop::Deadline) => return self.too_late(),
            Some(Stop::Border(_)) => return broken(NOT_ALLOWED),
            Some(Stop::TooMuch) => return Fault::Output { what: "bytes", limit: limits.output_bytes },
            Some(Stop::HostCalls) => {
                return Fault::HostCalls { limit: limits.host_calls };
            }
            Some(Stop::Lookup { what, limit }) => return Fault::Lookup { what, limit: *limit },
            Some(Stop::UndeclaredLookup(name)) => return Fault::UndeclaredLookup { name: name.clone() },
            Some(Stop::LookupField) => return broken("a look-up of a field without a proper name"),
            Some(Stop::Need(need)) => return Fault::Need(need.clone()),
            Some(Stop::Answer(wrong)) => return Fault::Input(wrong.clone()),
            None => {}
        }
        // Fuel may read 0 after an epoch stopped a guest, so only the trap itself is believed.
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => return self.too_late(),
            Some(Trap::OutOfFuel) => return Fault::Fuel { limit: limits.fuel },
            Some(Trap::StackOverflow) => return Fault::Stack,
            // Allocators panic when they are denied memory: the denial is the cause.
            Some(_) | None if store.data().was_denied() => {
                return Fault::Memory { limit_bytes: limits.memory_bytes };
            }
            Some(trap) => {
                return Fault::Trap { reason: describe(*trap) };
            }
            None => {}
        }
        // wasmtime keeps the types of these errors to itself; tests hold the words in place.
        let says = |words: &str| error.chain().any(|cause| cause.to_string().contains(words));
        if says("fuel allocated for hostcalls") {
            return Fault::Output { what: "bytes", limit: limits.output_bytes };
        }
        if says("mmap failed") {
            return Fault::NoRoom;
        }
        broken(NOT_ALLOWED)
    }

    fn too_late(&self) -> Fault {
        Fault::Deadline { limit: self.limits().deadline }
    }
}

const NOT_ALLOWED: &str = "a value or a call that the contract does not allow";

fn broken(reason: &'static str) -> Fault {
    Fault::Contract { reason }
}

fn refused(failure: FailureOut) -> Fault {
    let code = if is_name(&failure.code) { failure.code } else { "unspecified".to_owned() };
    Fault::Refused { code, message: GuestText::new(&failure.message) }
}

/// The kinds of trap that today's guests can run into, in this crate's own words.
fn describe(trap: Trap) -> &'static str {
    const WORDS: [(Trap, &str); 10] = [
        (Trap::UnreachableCodeReached, "unreachable code or a panic"),
        (Trap::MemoryOutOfBounds, "memory access out of bounds"),
        (Trap::TableOutOfBounds, "table access out of bounds"),
        (Trap::IndirectCallToNull, "call of a null function"),
        (Trap::BadSignature, "call of a function of another type"),
        (Trap::IntegerOverflow, "integer overflow"),
        (Trap::IntegerDivisionByZero, "division by zero"),
        (Trap::BadConversionToInteger, "a number that fits no integer"),
        (Trap::CannotEnterComponent, "a call into a plugin that is running"),
        (Trap::CannotLeaveComponent, "a call to the host where none is allowed"),
    ];
    WORDS.iter().find(|(known, _)| *known == trap).map_or("another trap", |(_, words)| words)
}
