//! The tables: what is kept, by which key. This is the whole schema.
//!
//! Keys are tuples, which redb compares part by part: text byte by byte, numbers with their sign, UUIDs as 16
//! bytes. That is the order the contract asks for everywhere, and no two keys run into each other. Every key
//! begins with the tenant; only the feed and its cursors are the store's own.

use redb::{TableDefinition, WriteTransaction};
use uuid::Uuid;

use crate::fault::Fault;
use crate::parts::{CustomerParts, EntryParts, LetterParts, ScoreParts, TraitParts};

type Text = &'static str;
type Bytes = &'static [u8];
/// Milliseconds since 1970.
type Instant = i64;

/// Declares each table, and a function that creates them all, so that whoever reads finds every one of them.
macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident: $key:ty => $value:ty;)*) => {
        $($(#[$doc])* pub(crate) const $name: TableDefinition<'static, $key, $value> =
            TableDefinition::new(stringify!($name));)*

        pub(crate) fn create(transaction: &WriteTransaction) -> Result<(), Fault> {
            $(transaction.open_table($name)?;)*
            Ok(())
        }
    };
}

tables! {
    /// By customer: version and state.
    CUSTOMERS: (Text, Uuid) => CustomerParts<'static>;
    /// By customer, for each who is in `CUSTOMERS`: numbers and sets. Apart, so that a selection reads no state.
    TRAITS: (Text, Uuid) => TraitParts<'static>;
    /// By customer and place, from 1: events and changes as they were committed.
    HISTORY: (Text, Uuid, u64) => EntryParts<'static>;
    /// By customer and id: the events in the history.
    EVENTS: (Text, Uuid, Uuid) => ();
    /// By customer and key: the digest and the answer of a request.
    REQUESTS: (Text, Uuid, Text) => (&'static [u8; 32], Bytes);
    /// By kind and key: the customer who has it, and the event.
    CLAIMS: (Text, Text, Bytes) => (Uuid, Uuid);
    /// By name.
    COUNTERS: (Text, Text) => i64;
    /// By instant, kind (its rank) and customer.
    ALARMS: (Text, Instant, u8, Uuid) => ();
    /// By customer, plugin, output and instant: the newest of an output is the last.
    SCORES: (Text, Uuid, Text, Text, Instant) => ScoreParts<'static>;
    /// By customer: the key that the fields are sealed under.
    PERSON_KEYS: (Text, Uuid) => Bytes;
    /// By customer and name.
    FIELDS: (Text, Uuid, Text) => Bytes;
    /// By customer and token.
    TOKENS: (Text, Uuid, &'static [u8; 16]) => ();
    /// By id: outbox entries, waiting or dead.
    OUTBOX: (Text, Uuid) => LetterParts<'static>;
    /// By due and id, those that wait: until when each is leased, or `NOT_LEASED`.
    WAITING: (Text, Instant, Uuid) => Instant;
    /// By due and id: dead letters.
    DEAD: (Text, Instant, Uuid) => ();
    /// How many leases a tenant has seen. It only rises, so that no token comes twice.
    LEASES: Text => u64;
    /// By revision, from 1.
    DEFINITIONS: (Text, u64) => Bytes;
    /// By position, from 1: where an entry is in `HISTORY`, which is never cut.
    FEED: u64 => (Text, Uuid, u64);
    /// By consumer: position and epoch.
    CURSORS: Text => (u64, u64);
}

/// In `WAITING`: earlier than any instant, so that such an entry is free whenever it is looked at.
pub(crate) const NOT_LEASED: Instant = Instant::MIN;
