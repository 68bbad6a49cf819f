//! A plugin that was built and loaded, asked in the words of the SDK.

use std::path::Path;
use std::sync::Arc;

use crm_plugin_sdk::{Action, Batch, Column, Entries, Event, Outcome, Scorer, Workflow, lookup};
use crm_plugins::{Answer, BatchError, Fault, Host, HostError, Limits, LoadError, Lookups, Plugin, TriggerEvent};

use crate::build::{BuildError, build};
use crate::translate::{self, column, entries, from_host, to_host};

/// A plugin in a host with the limits that shops have.
#[derive(Debug, Clone)]
pub struct Guest {
    plugin: Plugin,
}

/// Why a plugin can't be tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// It does not build.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// There is no host on this machine.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The host refuses it.
    #[error("a host refuses this plugin")]
    Load(#[from] LoadError),
    /// It failed, or refused what it was given.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The rows make no batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

impl Guest {
    /// Builds the project in a folder and loads it.
    ///
    /// # Errors
    ///
    /// If it does not build or a host refuses it.
    pub fn build(project: impl AsRef<Path>) -> Result<Guest, HarnessError> {
        Guest::load(&build(project)?.bytes)
    }

    /// Loads a file's bytes.
    ///
    /// # Errors
    ///
    /// If a host refuses it.
    pub fn load(wasm: &[u8]) -> Result<Guest, HarnessError> {
        Ok(Guest { plugin: Host::new(Limits::default())?.load(wasm)? })
    }

    /// What the host made of it.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Scores a batch. Of its columns the plugin sees those that it asks for.
    ///
    /// # Errors
    ///
    /// What the plugin faulted with, or what it was given and does not take.
    pub fn score(&self, params: &Entries, batch: &Batch) -> Result<Vec<Column>, HarnessError> {
        let batch = translate::batch(batch, &self.plugin.manifest().features)?;
        let columns = self.plugin.scorer(&entries(params))?.score(&batch)?;
        Ok(columns.iter().map(column).collect())
    }

    /// Handles an event. What it looks up is answered with what the test has
    /// [provided](crm_plugin_sdk::lookup::provide) in this thread, as in a native test.
    ///
    /// # Errors
    ///
    /// As [`Guest::score`]; a look-up of what was not provided is the fault [`Need`](crm_plugins::Fault::Need).
    pub fn handle(
        &self,
        params: &Entries,
        event: &Event,
        customer: &Entries,
        memory: &[u8],
    ) -> Result<Outcome, HarnessError> {
        let event = TriggerEvent {
            id: event.id.clone(),
            kind: event.kind.clone(),
            at_ms: event.at_ms,
            seed: event.seed,
            fields: entries(&event.fields),
        };
        let sources: Vec<&str> = self.plugin.manifest().lookups.iter().map(String::as_str).collect();
        let workflow = self.plugin.workflow_with(&entries(params), &sources)?;
        let provided: Arc<dyn Lookups> = Arc::new(Provided);
        let outcome = workflow.handle_with(&event, &entries(customer), memory, &provided)?;
        let actions = outcome.actions.into_iter().map(|action| {
            let args = action.args.iter().map(|arg| (arg.name.clone(), from_host(&arg.value)));
            Action { kind: action.kind, args: args.collect() }
        });
        Ok(Outcome { actions: actions.collect(), memory: outcome.memory })
    }

    /// Asserts that the file scores as the native type does, bit by bit.
    ///
    /// # Panics
    ///
    /// If it does not, with the output and the row, or if either fails.
    #[track_caller]
    #[allow(clippy::panic, reason = "an assertion")]
    pub fn assert_scores_like<T: Scorer>(&self, make: impl Fn() -> T, params: &Entries, batch: &Batch) {
        let native = configured(make, |native| native.configure(params));
        let expected = native.score(batch).unwrap_or_else(|failure| panic!("the native scorer declines: {failure}"));
        let found = self.score(params, batch).unwrap_or_else(|error| panic!("the plugin failed: {error}"));
        assert_eq!(expected.len(), found.len(), "the number of outputs");
        for (output, (expected, found)) in expected.iter().zip(&found).enumerate() {
            assert_eq!(expected.rows(), found.rows(), "the rows of output {output}");
            for row in 0..expected.rows() {
                let (expected, found) = (expected.cell(row), found.cell(row));
                assert!(
                    expected.is_same(&found),
                    "output {output} of row {row} is {expected:?} natively and {found:?} in the host"
                );
            }
        }
    }

    /// Asserts that the file answers events as the native type does; what it remembers of one event
    /// comes with the next.
    ///
    /// # Panics
    ///
    /// If it does not, with the event's place, or if either fails.
    #[track_caller]
    #[allow(clippy::panic, reason = "an assertion")]
    pub fn assert_handles_like<T: Workflow>(
        &self,
        make: impl Fn() -> T,
        params: &Entries,
        events: &[Event],
        customer: &Entries,
    ) {
        let native = configured(make, |native| native.configure(params));
        let mut memory = Vec::new();
        for (place, event) in events.iter().enumerate() {
            let expected = native.handle(event, customer, &memory);
            let expected = expected.unwrap_or_else(|failure| panic!("the native workflow declines {place}: {failure}"));
            let found = self.handle(params, event, customer, &memory);
            let found = found.unwrap_or_else(|error| panic!("the plugin failed at event {place}: {error}"));
            assert_eq!(expected, found, "event {place}");
            memory = expected.memory;
        }
    }
}

/// The sources as the test has them.
struct Provided;

impl Lookups for Provided {
    fn fetch(&self, source: &str, keys: &[&str], field: &str) -> Answer {
        let values = keys.iter().map(|key| lookup::provided(source, key, field)).collect::<Result<Option<Vec<_>>, _>>();
        match values {
            Ok(Some(values)) => Answer::Values(values.iter().map(to_host).collect()),
            Ok(None) => Answer::Missing,
            Err(_) => Answer::Unavailable,
        }
    }
}

#[allow(clippy::panic, reason = "part of an assertion")]
fn configured<T>(make: impl Fn() -> T, configure: impl FnOnce(&mut T) -> Result<(), crm_plugin_sdk::Failure>) -> T {
    let mut native = make();
    if let Err(failure) = configure(&mut native) {
        panic!("the native type refuses its parameters: {failure}");
    }
    native
}
