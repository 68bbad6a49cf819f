//! Workflows: an event and a view of its customer in, requests out.

use alloc::string::String;
use alloc::vec::Vec;

use crate::failure::Failure;
use crate::value::{Entries, Value};

/// Answers events with requests. Each call has a fresh instance: nothing survives it but the memory
/// that it returns.
pub trait Workflow: Default {
    /// Takes the parameters of the manifest, each of its kind. Called once, before the event.
    ///
    /// # Errors
    ///
    /// If the values make no sense together.
    fn configure(&mut self, params: &Entries) -> Result<(), Failure> {
        let _ = params;
        Ok(())
    }

    /// Answers one event. `customer` holds the features of the manifest that the shop grants, and
    /// `memory` what this plugin returned for this customer the last time, empty at first.
    ///
    /// # Errors
    ///
    /// If the plugin can't answer. Having nothing to ask for is no failure.
    fn handle(&self, event: &Event, customer: &Entries, memory: &[u8]) -> Result<Outcome, Failure>;
}

/// What happened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    /// Identifies the event.
    pub id: String,
    /// One of the kinds that the manifest listens to.
    pub kind: String,
    /// When it happened, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// Where to draw randomness from; the same for a replay.
    pub seed: u64,
    /// What the kind says about it.
    pub fields: Entries,
}

impl Event {
    /// An event without fields, for tests.
    pub fn new(kind: impl Into<String>) -> Self {
        Event { kind: kind.into(), ..Event::default() }
    }

    /// The same event with one more field, for tests.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields = self.fields.with(name, value);
        self
    }

    /// The text in field `name`; none if it is missing or no text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.text(name)
    }

    /// The whole number in field `name`; none if it is missing or none.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.fields.int(name)
    }

    /// The number in field `name`; none if it is missing or none.
    pub fn float(&self, name: &str) -> Option<f64> {
        self.fields.float(name)
    }
}

/// What a workflow answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The requests, in order.
    pub actions: Vec<Action>,
    /// What to get back with this customer's next event, at most 64 KiB. Empty forgets.
    pub memory: Vec<u8>,
}

impl Outcome {
    /// Nothing to ask for, and nothing to remember.
    pub fn nothing() -> Self {
        Outcome::default()
    }

    /// These requests, and nothing to remember.
    pub fn ask(actions: impl IntoIterator<Item = Action>) -> Self {
        Outcome { actions: actions.into_iter().collect(), memory: Vec::new() }
    }

    /// The same requests, and `memory` to get back the next time.
    #[must_use]
    pub fn remember(mut self, memory: impl Into<Vec<u8>>) -> Self {
        self.memory = memory.into();
        self
    }
}

/// A request. The host checks it like any other command, and the manifest must list its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// What is asked for.
    pub kind: String,
    /// With what.
    pub args: Entries,
}

impl Action {
    /// A request of any kind; its arguments follow by [`Action::with`].
    pub fn new(kind: impl Into<String>) -> Self {
        Action { kind: kind.into(), args: Entries::new() }
    }

    /// `add_tag`: puts `tag` on the customer.
    pub fn add_tag(tag: &str) -> Self {
        Action::new("add_tag").with("tag", tag)
    }

    /// `remove_tag`: takes `tag` off the customer.
    pub fn remove_tag(tag: &str) -> Self {
        Action::new("remove_tag").with("tag", tag)
    }

    /// `award_points`: posts `points` to the customer's loyalty account, with the reason that their
    /// statement shows.
    pub fn award_points(points: i64, reason: &str) -> Self {
        Action::new("award_points").with("points", points).with("reason", reason)
    }

    /// `notify`: asks for a message about `topic`, if the customer's consent allows one. More
    /// arguments are the values that its template uses.
    pub fn notify(topic: &str) -> Self {
        Action::new("notify").with("topic", topic)
    }

    /// The same request with one more argument.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.args = self.args.with(name, value);
        self
    }
}
