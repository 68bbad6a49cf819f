//! What the macros call: it keeps the plugin between `configure` and the call, and translates.

use alloc::vec::Vec;
use core::cell::RefCell;

use crate::bindings::scorer::crm::plugin::types as wit;
use crate::bindings::workflow::exports::crm::plugin::workflow as wit_workflow;
use crate::{Failure, Scorer, Workflow, bindings, diag};

/// Stops the build if a name in a manifest is not spelled as names are.
///
/// # Panics
///
/// At compile time, which is the point.
pub const fn assert_name(name: &str) {
    let bytes = name.as_bytes();
    let mut at = 0;
    assert!(!bytes.is_empty() && bytes.len() <= 64, "a name has 1 to 64 characters");
    while at < bytes.len() {
        let (letter, other) = match bytes[at] {
            b'a'..=b'z' => (true, false),
            b'0'..=b'9' | b'_' | b'-' | b'.' | b':' => (false, true),
            _ => (false, false),
        };
        assert!(letter || (other && at > 0), "a name is made of a-z, 0-9, _, -, . and : after a letter");
        at += 1;
    }
}

/// As [`assert_name`], for each of them.
///
/// # Panics
///
/// At compile time, which is the point.
pub const fn assert_names(names: &[&str]) {
    let mut at = 0;
    while at < names.len() {
        assert_name(names[at]);
        at += 1;
    }
}

/// How long `pieces` are together.
pub const fn length(pieces: &[&str]) -> usize {
    let mut length = 0;
    let mut at = 0;
    while at < pieces.len() {
        length += pieces[at].len();
        at += 1;
    }
    length
}

/// The bytes of the JSON that `pieces` make, with each comma before a closing bracket made a space: a
/// macro that repeats can't tell its last item from the others, and JSON minds. `N` is their length.
pub const fn tidy<const N: usize>(pieces: &[&str]) -> [u8; N] {
    let mut bytes = [b' '; N];
    let mut at = 0;
    let mut piece = 0;
    while piece < pieces.len() {
        let from = pieces[piece].as_bytes();
        let mut place = 0;
        while place < from.len() {
            bytes[at] = from[place];
            at += 1;
            place += 1;
        }
        piece += 1;
    }
    let mut in_text = false;
    at = 0;
    while at < N {
        if bytes[at] == b'"' && (at == 0 || bytes[at - 1] != b'\\') {
            in_text = !in_text;
        }
        if bytes[at] == b',' && !in_text && at + 1 < N && bytes[at + 1] == b']' {
            bytes[at] = b' ';
        }
        at += 1;
    }
    bytes
}

/// Where the macro keeps the plugin.
#[derive(Debug, Default)]
pub struct Slot<T>(RefCell<Option<T>>);

impl<T> Slot<T> {
    /// An empty one.
    pub const fn new() -> Self {
        Slot(RefCell::new(None))
    }
}

// SAFETY: `Sync` says that threads may share the slot. A guest has one: hosts refuse modules that use
// threads, and a module without the target feature `atomics` could not share its memory with another.
// Where there are threads, this line is not compiled and the macro's static does not build.
#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
#[allow(unsafe_code, reason = "a static without the standard library's thread locals")]
unsafe impl<T> Sync for Slot<T> {}

/// Makes and configures a scorer.
pub fn configure_scorer<T: Scorer>(slot: &Slot<T>, params: Vec<wit::Entry>) -> Result<(), wit::Failure> {
    diag::report_panics();
    let mut plugin = T::default();
    plugin.configure(&bindings::entries(params))?;
    slot.0.replace(Some(plugin));
    Ok(())
}

/// Scores a batch whose columns are those `features`.
pub fn score<T: Scorer>(
    slot: &Slot<T>,
    features: &[&'static str],
    batch: wit::Batch,
) -> Result<Vec<wit::Column>, wit::Failure> {
    let batch = bindings::batch(batch, features)?;
    let columns = with(slot, |plugin| plugin.score(&batch))?;
    Ok(columns.into_iter().map(wit::Column::from).collect())
}

/// Makes and configures a workflow.
pub fn configure_workflow<T: Workflow>(slot: &Slot<T>, params: Vec<wit::Entry>) -> Result<(), wit::Failure> {
    diag::report_panics();
    let mut plugin = T::default();
    plugin.configure(&bindings::entries(params))?;
    slot.0.replace(Some(plugin));
    Ok(())
}

/// Answers an event.
pub fn handle<T: Workflow>(
    slot: &Slot<T>,
    event: wit_workflow::Event,
    customer: Vec<wit::Entry>,
    memory: Vec<u8>,
) -> Result<wit_workflow::Outcome, wit::Failure> {
    let event = bindings::event(event);
    let customer = bindings::entries(customer);
    Ok(with(slot, |plugin| plugin.handle(&event, &customer, &memory))?.into())
}

fn with<T, R>(slot: &Slot<T>, call: impl FnOnce(&T) -> Result<R, Failure>) -> Result<R, Failure> {
    match &*slot.0.borrow() {
        Some(plugin) => call(plugin),
        None => Err(Failure::new("not-configured", "called before configure")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commas_before_brackets_go() {
        let json = r#"{"a":["b","c",],"d":[",]"],"e":[]}"#;
        let (first, second) = json.split_at(10);
        let tidied = tidy::<34>(&[first, "", second]);
        assert_eq!(length(&[first, "", second]), 34);
        assert_eq!(std::str::from_utf8(&tidied).unwrap(), r#"{"a":["b","c" ],"d":[",]"],"e":[]}"#);
    }

    #[test]
    #[should_panic(expected = "a name is made of")]
    fn a_name_with_a_space_does_not_compile() {
        assert_name("recency days");
    }
}
