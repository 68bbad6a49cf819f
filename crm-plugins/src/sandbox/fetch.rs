//! A guest's look-up: read and checked, and answered from what is at hand.

use wasmtime::StoreContextMut;

use super::{Sandbox, Stop};
use crate::fault::{GuestText, InputError};
use crate::lookup::{Answer, Need};
use crate::manifest::is_name;
use crate::wire::{FailureAnswer, LookupAnswer, LookupOut, ValueAnswer};

pub(super) fn fetch(mut store: StoreContextMut<'_, Sandbox>, input: LookupOut) -> wasmtime::Result<LookupAnswer> {
    store.data_mut().count_host_call()?;
    let wanted = read(&mut store, input)?;
    let keys: Vec<&str> = wanted.keys.iter().map(String::as_str).collect();
    let answer = match &store.data().lookups {
        _ if keys.is_empty() => Answer::Values(Vec::new()),
        Some(lookups) => lookups.fetch(&wanted.source, &keys, &wanted.field),
        None => Answer::Missing,
    };
    match answer {
        Answer::Values(values) if values.len() != keys.len() => {
            let wrong = InputError::Answer { expected: keys.len(), actual: values.len() };
            Err(Stop::Answer(wrong).into())
        }
        Answer::Values(values) if !values.iter().all(|value| value.is_finite()) => {
            Err(Stop::Answer(InputError::NotFinite { name: wanted.source }).into())
        }
        Answer::Values(values) => Ok((Ok(values.into_iter().map(ValueAnswer::from).collect()),)),
        Answer::Missing => Err(Stop::Need(wanted).into()),
        Answer::Unavailable => {
            let message = format!("{} cannot be asked now", wanted.source);
            Ok((Err(FailureAnswer { code: "unavailable".to_owned(), message }),))
        }
    }
}

/// What the guest asks for, once it is known to be allowed.
fn read(store: &mut StoreContextMut<'_, Sandbox>, (source, keys, field): LookupOut) -> wasmtime::Result<Need> {
    let plugin = store.data().plugin.clone();
    let limits = plugin.limits();
    let source = source.to_str(&*store)?.into_owned();
    if !plugin.manifest().lookups.contains(&source) {
        return Err(Stop::UndeclaredLookup(GuestText::new(&source)).into());
    }
    let field = field.to_str(&*store)?.into_owned();
    if !is_name(&field) {
        return Err(Stop::LookupField.into());
    }
    if keys.len() > limits.lookup_keys {
        return Err(Stop::Lookup { what: "keys", limit: limits.lookup_keys }.into());
    }
    let too_long = Stop::Lookup { what: "bytes of keys", limit: limits.lookup_bytes };
    let mut bytes_left = limits.lookup_bytes;
    let mut owned = Vec::with_capacity(keys.len());
    for index in 0..keys.len() {
        // The list was bounds-checked as a whole, so each index has a key.
        let Some(key) = keys.get(&mut *store, index) else { break };
        let key = key?;
        let key = key.to_str(&*store)?;
        bytes_left = bytes_left.checked_sub(key.len()).ok_or_else(|| too_long.clone())?;
        owned.push(key.into_owned());
    }
    Ok(Need { source, keys: owned, field })
}
