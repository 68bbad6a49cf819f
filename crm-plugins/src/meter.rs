//! What a plugin has done so far, and the breaker that stops running one that keeps failing.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::fault::Fault;

/// Whether a plugin is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Active {
        /// How many of its calls have faulted since the last answer.
        faults_in_a_row: u32,
    },
    /// It is not, until someone clears it; each call answers [`Fault::Quarantined`].
    Quarantined {
        /// How many faults in a row it took.
        faults: u32,
        /// The [`Fault::kind`] of the last.
        last: &'static str,
    },
}

/// What a plugin has done since it was loaded.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// How many calls there were: batches, events, and instances that were made ahead of a batch.
    pub calls: u64,
    /// How many of them ended in a fault, by [`Fault::kind`]; those that did not run (`input`,
    /// `quarantined`) as well.
    pub faults: BTreeMap<&'static str, u64>,
    /// Wall-clock time of all calls together.
    pub busy: Duration,
    /// Units of fuel that the last workflow call took; none before the first and where the clock
    /// stopped it.
    pub last_fuel: Option<u64>,
    /// The last fault for which the plugin was to blame.
    pub last_fault: Option<LastFault>,
}

/// A fault for which the plugin was to blame.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LastFault {
    /// What happened.
    pub fault: Fault,
    /// Which of [`Counters::calls`] it was, from 1.
    pub call: u64,
    /// The time that the call came with, in milliseconds since 1970-01-01 UTC: that of the event, or
    /// `as_of_ms` of the batch. This crate reads no clock to tell the time by.
    pub at_ms: Option<i64>,
}

/// One call that is over.
pub(crate) struct Call<'a> {
    pub(crate) fault: Option<&'a Fault>,
    /// Whether an answer shows that the plugin works: making an instance ahead does not.
    pub(crate) proves_health: bool,
    pub(crate) took: Duration,
    /// None if none was counted.
    pub(crate) fuel: Option<u64>,
    pub(crate) at_ms: Option<i64>,
}

#[derive(Debug)]
pub(crate) struct Meter {
    quarantine_after: NonZeroU32,
    /// Whether `state.open` is some, for those who only want to know that. Changed with it, under its lock.
    is_open: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counters: Counters,
    faults_in_a_row: u32,
    /// The kind of the fault that opened the breaker.
    open: Option<&'static str>,
}

impl Meter {
    pub(crate) fn new(quarantine_after: NonZeroU32) -> Meter {
        Meter { quarantine_after, is_open: AtomicBool::new(false), state: Mutex::default() }
    }

    pub(crate) fn standing(&self) -> Standing {
        let state = self.state();
        match state.open {
            Some(last) => Standing::Quarantined { faults: state.faults_in_a_row, last },
            None => Standing::Active { faults_in_a_row: state.faults_in_a_row },
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.state().counters.clone()
    }

    /// Closes the breaker.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.open = None;
        self.is_open.store(false, Ordering::Release);
        state.faults_in_a_row = 0;
    }

    /// Whether a call may run.
    pub(crate) fn admit(&self) -> Result<(), Fault> {
        if !self.is_open.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.standing() {
            Standing::Active { .. } => Ok(()),
            Standing::Quarantined { faults, last } => Err(Fault::Quarantined { faults, last }),
        }
    }

    /// Counts a call, and says whether it opened the breaker. An open one stays so whatever calls
    /// that began before end in.
    pub(crate) fn note(&self, call: &Call<'_>) -> bool {
        let mut state = self.state();
        let state = &mut *state;
        let counters = &mut state.counters;
        counters.calls += 1;
        counters.busy = counters.busy.saturating_add(call.took);
        if let Some(fault) = call.fault {
            *counters.faults.entry(fault.kind()).or_default() += 1;
        }
        let has_run = !matches!(call.fault, Some(Fault::Input(_) | Fault::Quarantined { .. }));
        if has_run {
            counters.last_fuel = call.fuel;
        }
        if state.open.is_some() {
            return false;
        }
        match call.fault {
            Some(fault) if fault.is_plugins() => {
                let fault = fault.clone();
                let kind = fault.kind();
                counters.last_fault = Some(LastFault { fault, call: counters.calls, at_ms: call.at_ms });
                state.faults_in_a_row = state.faults_in_a_row.saturating_add(1);
                let opens = state.faults_in_a_row >= self.quarantine_after.get();
                state.open = opens.then_some(kind);
                self.is_open.store(opens, Ordering::Release);
                opens
            }
            None | Some(Fault::Refused { .. }) => {
                if call.proves_health {
                    state.faults_in_a_row = 0;
                }
                false
            }
            Some(_) => false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAP: Fault = Fault::Trap { reason: "division by zero" };

    fn ends(meter: &Meter, fault: Option<&Fault>) -> bool {
        meter.note(&Call { fault, proves_health: true, took: Duration::ZERO, fuel: None, at_ms: None })
    }

    fn meter(quarantine_after: u32) -> Meter {
        Meter::new(NonZeroU32::new(quarantine_after).unwrap())
    }

    #[test]
    fn faults_in_a_row_open_the_breaker_and_an_answer_between_them_does_not_let_them() {
        let meter = meter(3);
        for fault in [Some(&TRAP), Some(&TRAP), None, Some(&TRAP), Some(&TRAP)] {
            assert!(!ends(&meter, fault));
        }
        assert!(ends(&meter, Some(&TRAP)));
        assert_eq!(meter.admit(), Err(Fault::Quarantined { faults: 3, last: "trap" }));
        assert!(!ends(&meter, None), "a call that was in flight closes nothing");
        assert!(meter.admit().is_err());
        meter.clear();
        assert_eq!(meter.standing(), Standing::Active { faults_in_a_row: 0 });
    }

    #[test]
    fn the_breaker_counts_calls_and_no_time() {
        let meter = meter(2);
        // A replay of the past, and a clock that was set back.
        for (at_ms, opens) in [(Some(9), false), (Some(-9), true)] {
            let call = Call { fault: Some(&TRAP), proves_health: true, took: Duration::ZERO, fuel: None, at_ms };
            assert_eq!(meter.note(&call), opens);
        }
        assert_eq!(meter.counters().last_fault.unwrap().at_ms, Some(-9));
    }

    #[test]
    fn a_call_that_began_before_the_breaker_was_cleared_counts_towards_the_next_run() {
        let meter = meter(2);
        assert!(!ends(&meter, Some(&TRAP)));
        assert!(ends(&meter, Some(&TRAP)));
        meter.clear();
        assert!(!ends(&meter, Some(&TRAP)), "it takes two again");
        assert!(ends(&meter, Some(&TRAP)));
    }

    #[test]
    fn one_fault_is_enough_where_the_host_says_so() {
        assert!(ends(&meter(1), Some(&TRAP)));
    }

    #[test]
    fn what_the_caller_got_wrong_neither_counts_nor_heals() {
        let meter = meter(2);
        let twice = Fault::Input(crate::fault::InputError::Twice { name: "orders".into() });
        for fault in [&TRAP, &twice, &twice] {
            assert!(!ends(&meter, Some(fault)));
        }
        assert!(ends(&meter, Some(&TRAP)));
        assert_eq!(meter.counters().faults, BTreeMap::from([("input", 2), ("trap", 2)]));
    }
}
