//! What the macros call: it keeps the plugin between `configure` and the call, and translates.

use std::cell::RefCell;
use std::thread::LocalKey;

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

/// The bytes of `json` with each comma before a closing bracket made a space: a macro that repeats
/// can't tell its last item from the others, and JSON minds.
pub const fn tidy<const N: usize>(json: &str) -> [u8; N] {
    let bytes = json.as_bytes();
    let mut tidied = [b' '; N];
    let mut in_text = false;
    let mut at = 0;
    while at < N {
        let byte = bytes[at];
        if byte == b'"' && (at == 0 || bytes[at - 1] != b'\\') {
            in_text = !in_text;
        }
        let is_last = byte == b',' && !in_text && at + 1 < N && bytes[at + 1] == b']';
        tidied[at] = if is_last { b' ' } else { byte };
        at += 1;
    }
    tidied
}

/// Where the macro keeps the plugin.
pub type Slot<T> = &'static LocalKey<RefCell<Option<T>>>;

/// Makes and configures a scorer.
pub fn configure_scorer<T: Scorer>(slot: Slot<T>, params: Vec<wit::Entry>) -> Result<(), wit::Failure> {
    diag::report_panics();
    let mut plugin = T::default();
    plugin.configure(&bindings::entries(params))?;
    slot.set(Some(plugin));
    Ok(())
}

/// Scores a batch whose columns are those `features`.
pub fn score<T: Scorer>(slot: Slot<T>, features: &[&str], batch: wit::Batch) -> Result<Vec<wit::Column>, wit::Failure> {
    let batch = bindings::batch(batch, features)?;
    let columns = with(slot, |plugin| plugin.score(&batch))?;
    Ok(columns.into_iter().map(wit::Column::from).collect())
}

/// Makes and configures a workflow.
pub fn configure_workflow<T: Workflow>(slot: Slot<T>, params: Vec<wit::Entry>) -> Result<(), wit::Failure> {
    diag::report_panics();
    let mut plugin = T::default();
    plugin.configure(&bindings::entries(params))?;
    slot.set(Some(plugin));
    Ok(())
}

/// Answers an event.
pub fn handle<T: Workflow>(
    slot: Slot<T>,
    event: wit_workflow::Event,
    customer: Vec<wit::Entry>,
    memory: Vec<u8>,
) -> Result<wit_workflow::Outcome, wit::Failure> {
    let event = bindings::event(event);
    let customer = bindings::entries(customer);
    Ok(with(slot, |plugin| plugin.handle(&event, &customer, &memory))?.into())
}

fn with<T, R>(slot: Slot<T>, call: impl FnOnce(&T) -> Result<R, Failure>) -> Result<R, Failure> {
    slot.with_borrow(|plugin| match plugin {
        Some(plugin) => call(plugin),
        None => Err(Failure::new("not-configured", "called before configure")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commas_before_brackets_go() {
        let json = r#"{"a":["b","c",],"d":[",]"],"e":[]}"#;
        let tidied = tidy::<34>(json);
        assert_eq!(std::str::from_utf8(&tidied).unwrap(), r#"{"a":["b","c" ],"d":[",]"],"e":[]}"#);
    }

    #[test]
    #[should_panic(expected = "a name is made of")]
    fn a_name_with_a_space_does_not_compile() {
        assert_name("recency days");
    }
}
