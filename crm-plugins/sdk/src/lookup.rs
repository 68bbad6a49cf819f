//! Look-ups in sources that the shop offers, such as prices and stock. For workflows that name the
//! source in `lookups`; the shop grants it or does not take the plugin.
//!
//! The host answers from what it has loaded. Where something is missing it stops the call, loads it
//! and calls again from the start, so ask for all keys at once rather than one after another.
//!
//! A native test says beforehand what a source holds:
//!
//! ```
//! use crm_plugin_sdk::{Failure, Value, lookup};
//!
//! fn in_stock(product: &str) -> Result<bool, Failure> {
//!     let on_hand = lookup::fetch("stock", &[product], "on_hand")?;
//!     Ok(matches!(on_hand[..], [Value::Int(count)] if count > 0))
//! }
//!
//! # fn main() -> Result<(), Failure> {
//! lookup::provide("stock", "mug", "on_hand", 12);
//! assert!(in_stock("mug")?);
//! # Ok(())
//! # }
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use crate::failure::Failure;
use crate::value::Value;

/// The values of `field` in `source`, one for each of `keys` and in their order; [`Value::Null`]
/// where the source has none. At most 256 keys, of 256 bytes each; `field` is spelled as names are.
///
/// # Errors
///
/// With code `unavailable` if the source cannot be asked now.
///
/// # Panics
///
/// In a native test, if a value was not [`provide`]d: there the host would stop the call.
pub fn fetch(source: &str, keys: &[&str], field: &str) -> Result<Vec<Value>, Failure> {
    let keys: Vec<String> = keys.iter().map(|key| String::from(*key)).collect();
    fetch_keys(source, &keys, field)
}

#[cfg(target_arch = "wasm32")]
fn fetch_keys(source: &str, keys: &[String], field: &str) -> Result<Vec<Value>, Failure> {
    match crate::bindings::workflow::crm::plugin::lookup::fetch(source, keys, field) {
        Ok(values) => Ok(values.into_iter().map(Value::from).collect()),
        Err(failure) => Err(Failure::new(failure.code, failure.message)),
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::{forget, provide, provided, refuse};

#[cfg(not(target_arch = "wasm32"))]
use native::fetch_keys;

/// The stand-in for tests without a host.
#[cfg(not(target_arch = "wasm32"))]
mod native {
    use alloc::borrow::ToOwned as _;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::cell::RefCell;
    use std::collections::HashMap;

    use crate::failure::Failure;
    use crate::value::Value;

    /// What a source holds under a key; none if it cannot be asked.
    #[derive(Default)]
    struct Desk {
        values: HashMap<(String, String, String), Value>,
        unavailable: Vec<String>,
    }

    std::thread_local! {
        // Tests run on threads of their own, so they do not see each other's values.
        static DESK: RefCell<Desk> = RefCell::default();
    }

    /// Says what [`fetch`](super::fetch) finds in this thread: the value of `field` under `key` in
    /// `source`. [`Value::Null`] says that the source has none. Native tests only.
    pub fn provide(source: &str, key: &str, field: &str, value: impl Into<Value>) {
        let place = (source.to_owned(), key.to_owned(), field.to_owned());
        DESK.with_borrow_mut(|desk| desk.values.insert(place, value.into()));
    }

    /// Makes `source` one that cannot be asked now, in this thread. Native tests only.
    pub fn refuse(source: &str) {
        DESK.with_borrow_mut(|desk| desk.unavailable.push(source.to_owned()));
    }

    /// What this thread was told of one key: none if nothing. Native tests only: the harness answers a guest in the real
    /// host with it.
    ///
    /// # Errors
    ///
    /// With code `unavailable` if the source cannot be asked now.
    pub fn provided(source: &str, key: &str, field: &str) -> Result<Option<Value>, Failure> {
        DESK.with_borrow(|desk| {
            if desk.unavailable.iter().any(|known| known == source) {
                return Err(Failure::new("unavailable", format!("{source} cannot be asked now")));
            }
            let place = (source.to_owned(), key.to_owned(), field.to_owned());
            Ok(desk.values.get(&place).cloned())
        })
    }

    /// Forgets all that this thread was told. Native tests only.
    pub fn forget() {
        DESK.set(Desk::default());
    }

    pub(super) fn fetch_keys(source: &str, keys: &[String], field: &str) -> Result<Vec<Value>, Failure> {
        let value = |key: &String| {
            let value = provided(source, key, field)?;
            Ok(value.expect("a look-up of what the test did not `lookup::provide`"))
        };
        keys.iter().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_the_order_of_the_keys() {
        provide("stock", "mug", "on_hand", 12);
        provide("stock", "jug", "on_hand", Value::Null);
        let found = fetch("stock", &["jug", "mug"], "on_hand");
        assert_eq!(found, Ok(alloc::vec![Value::Null, Value::Int(12)]));
    }

    #[test]
    fn a_source_that_cannot_be_asked_says_so() {
        refuse("stock");
        assert_eq!(fetch("stock", &["mug"], "on_hand").unwrap_err().code(), "unavailable");
        forget();
        provide("stock", "mug", "on_hand", 1);
        assert!(fetch("stock", &["mug"], "on_hand").is_ok());
    }

    #[test]
    #[should_panic(expected = "did not `lookup::provide`")]
    fn what_was_not_provided_stops_the_test() {
        let _ = fetch("stock", &["cup"], "on_hand");
    }
}
