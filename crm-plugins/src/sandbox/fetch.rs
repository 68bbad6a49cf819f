//! A guest's look-up: read and checked, and answered from what is at hand.

use wasmtime::StoreContextMut;

use super::{Sandbox, Stop};
use crate::fault::{GuestText, InputError};
use crate::lookup::{Answer, Need};
use crate::manifest::is_name;
use crate::wire::{FailureAnswer, LookupAnswer, LookupOut, ValueAnswer};

pub(super) fn fetch(
    mut store: StoreContextMut<'_, Sandbox>,
    (source, keys, field): LookupOut,
) -> wasmtime::Result<LookupAnswer> {
    store.data_mut().count_host_call()?;
    let source = source.to_str(&store)?.into_owned();
    let field = field.to_str(&store)?.into_owned();
    store.data().check_lookup(&source, &field, keys.len())?;
    let mut bytes = store.data().key_bytes();
    let mut owned = Vec::with_capacity(keys.len());
    for index in 0..keys.len() {
        // The list was bounds-checked as a whole, so each index has a key.
        let Some(key) = keys.get(&mut store, index) else { break };
        let key = key?;
        owned.push(bytes.take(&key.to_str(&store)?)?);
    }
    let answer = store.data().answer(Need { source, keys: owned, field })?;
    Ok((answer,))
}

/// How many bytes the keys of one look-up may still have.
pub(crate) struct KeyBytes {
    left: usize,
    limit: usize,
}

impl KeyBytes {
    /// Counts a key and keeps it.
    pub(crate) fn take(&mut self, key: &str) -> Result<String, Stop> {
        let too_long = Stop::Lookup { what: "bytes of keys", limit: self.limit };
        self.left = self.left.checked_sub(key.len()).ok_or(too_long)?;
        Ok(key.to_owned())
    }
}

impl Sandbox {
    /// Whether the guest may look up so many keys there.
    pub(crate) fn check_lookup(&self, source: &str, field: &str, keys: usize) -> Result<(), Stop> {
        if !self.plugin.manifest().lookups.iter().any(|declared| declared == source) {
            return Err(Stop::UndeclaredLookup(GuestText::new(source)));
        }
        if !is_name(field) {
            return Err(Stop::LookupField);
        }
        let limit = self.plugin.limits().lookup_keys;
        if keys > limit { Err(Stop::Lookup { what: "keys", limit }) } else { Ok(()) }
    }

    pub(crate) fn key_bytes(&self) -> KeyBytes {
        let limit = self.plugin.limits().lookup_bytes;
        KeyBytes { left: limit, limit }
    }

    /// What there is at hand for a look-up that is allowed.
    pub(crate) fn answer(&self, wanted: Need) -> Result<Result<Vec<ValueAnswer>, FailureAnswer>, Stop> {
        let keys: Vec<&str> = wanted.keys.iter().map(String::as_str).collect();
        let answer = match &self.lookups {
            _ if keys.is_empty() => Answer::Values(Vec::new()),
            Some(lookups) => lookups.fetch(&wanted.source, &keys, &wanted.field),
            None => Answer::Missing,
        };
        match answer {
            Answer::Values(values) if values.len() != keys.len() => {
                Err(Stop::Answer(InputError::Answer { expected: keys.len(), actual: values.len() }))
            }
            Answer::Values(values) if !values.iter().all(|value| value.is_finite()) => {
                Err(Stop::Answer(InputError::NotFinite { name: wanted.source }))
            }
            Answer::Values(values) => Ok(Ok(values.into_iter().map(ValueAnswer::from).collect())),
            Answer::Missing => Err(Stop::Need(wanted)),
            Answer::Unavailable => {
                let message = format!("{} cannot be asked now", wanted.source);
                Ok(Err(FailureAnswer { code: "unavailable".to_owned(), message }))
            }
        }
    }
}
