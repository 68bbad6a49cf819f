//! Finding rows by keys: in one statement over all lanes, or in one for each lane.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::options::Dialect;
use super::wire::{Call, Value, call, list, one};

/// A part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part<'a> {
    Id(Uuid),
    Bytes(&'a [u8]),
}

/// A key with the lane that it is in.
pub(super) type Key<'a, const N: usize> = (i16, [Part<'a>; N]);

/// The calls that find keys, none for no keys. A key that comes twice is looked for once.
pub(super) fn find<'a, const N: usize>(
    text: &Arc<str>,
    dialect: Dialect,
    tenant: i64,
    mut keys: Vec<Key<'a, N>>,
) -> Vec<Call<'a>> {
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Vec::new();
    }
    match dialect {
        Dialect::Plain => {
            let lanes = list(keys.iter().map(|(lane, _)| *lane).collect());
            let mut call = call!(text, lanes, one(tenant));
            call.values.extend(columns(keys.iter().map(|(_, parts)| parts)));
            vec![call]
        }
        Dialect::Sharded => {
            let mut lanes: BTreeMap<i16, Vec<&[Part<'a>; N]>> = BTreeMap::new();
            for (lane, parts) in &keys {
                lanes.entry(*lane).or_default().push(parts);
            }
            let in_lane = |(lane, parts): (i16, Vec<&[Part<'a>; N]>)| {
                let mut call = call!(text, one(lane), one(tenant));
                call.values.extend(columns(parts.into_iter()));
                call
            };
            lanes.into_iter().map(in_lane).collect()
        }
    }
}

/// The keys as one list for each of their parts.
fn columns<'k, 'a: 'k, const N: usize>(keys: impl Iterator<Item = &'k [Part<'a>; N]> + Clone) -> Vec<Value<'a>> {
    let column = |at: usize| {
        let ids: Vec<Uuid> = keys.clone().filter_map(|key| key[at].id()).collect();
        if ids.is_empty() { list(keys.clone().filter_map(|key| key[at].bytes()).collect()) } else { list(ids) }
    };
    (0..N).map(column).collect()
}

impl<'a> Part<'a> {
    const fn id(self) -> Option<Uuid> {
        match self {
            Part::Id(id) => Some(id),
            Part::Bytes(_) => None,
        }
    }

    const fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Part::Bytes(bytes) => Some(bytes),
            Part::Id(_) => None,
        }
    }
}
